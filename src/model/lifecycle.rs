//! (lifecycle)
