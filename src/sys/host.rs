//! This machine, and this process as its shell sees it.

/// The name of the machine up to the first dot.
pub fn name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_string()
}

/// Stops this process as `Ctrl-Z` at its terminal would; comes back when it is continued. The shell's whole job stops: its process
/// group.
pub fn stop_self() {
    // SAFETY: a signal to our own group. SIGSTOP, because SIGTSTP may be ignored by whoever started us.
    unsafe {
        libc::kill(0, libc::SIGSTOP);
    }
}
