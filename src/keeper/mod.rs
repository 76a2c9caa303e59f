//! (keeper)
