//! This machine, and this process as its shell sees it.

/// The name of the machine up to the first dot.
pub fn name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_string()
}

/// What the machine calls itself, whole and up to the first dot.
pub fn names() -> Vec<String> {
    let whole = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok());
    whole.into_iter().chain([name()]).filter(|n| !n.is_empty()).collect()
}

/// Memory and available memory in bytes, and the load of the last minute; `None` where the machine does not tell.
pub fn figures() -> Option<(u64, u64, f64)> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let load = sysinfo::System::load_average().ok()?.one;
    Some((system.total_memory(), system.available_memory(), load))
}

/// The name tools show for this process (prctl(2), `PR_SET_NAME`): it was started through a link in `/proc` and would be
/// called after that.
pub fn call_oneself(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        // A name is only for people.
        let _ = rustix::thread::set_name(&name);
    }
}

/// Stops this process as `Ctrl-Z` at its terminal would; comes back when it is continued. The shell's whole job stops: its process
/// group.
pub fn stop_self() {
    // SAFETY: a signal to our own group. SIGSTOP, because SIGTSTP may be ignored by whoever started us.
    unsafe {
        libc::kill(0, libc::SIGSTOP);
    }
}
