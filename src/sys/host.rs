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

/// What the machine tells of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// In bytes.
    pub memory: u64,
    pub available_memory: u64,
    /// Of the last minute.
    pub load: f64,
    pub cores: usize,
    /// For processor, memory and I/O: of the last ten seconds, in how many percent somebody waited for it
    /// (`Documentation/accounting/psi.rst`, Linux 4.20).
    pub pressure: Option<[f64; 3]>,
}

/// `None` where the machine does not tell.
pub fn figures() -> Option<Figures> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    Some(Figures {
        memory: system.total_memory(),
        available_memory: system.available_memory(),
        load: sysinfo::System::load_average().ok()?.one,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        pressure: pressure(),
    })
}

fn pressure() -> Option<[f64; 3]> {
    let of = |what: &str| some_of_ten(&std::fs::read_to_string(format!("/proc/pressure/{what}")).ok()?);
    Some([of("cpu")?, of("memory")?, of("io")?])
}

/// `some avg10=0.12 avg60=…`
fn some_of_ten(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

/// Free and all bytes of the file system a path is on. Can hang on a dead mount.
pub fn disk(path: &std::path::Path) -> Option<(u64, u64)> {
    let room = rustix::fs::statvfs(path).ok()?;
    Some((room.f_bavail.saturating_mul(room.f_frsize), room.f_blocks.saturating_mul(room.f_frsize)))
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

#[cfg(test)]
mod tests {
    use super::some_of_ten;

    #[test]
    fn pressure_is_that_of_the_last_ten_seconds_in_which_some_waited() {
        let text = "some avg10=1.53 avg60=0.87 avg300=0.20 total=123\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(some_of_ten(text), Some(1.53));
        assert_eq!((some_of_ten(""), some_of_ten("some avg10=x")), (None, None));
    }
}
