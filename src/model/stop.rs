//! (stop)
