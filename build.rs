//! Links the binary without position independence on Linux with glibc.
//!
//! A position-independent program of this size has hundreds of kilobytes of relocated pointers, and they are
//! dirty memory in each process: with a keeper for each session that is most of what a keeper costs, in memory and in time to
//! start.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
