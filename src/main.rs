//! Runs the verb and turns its result into an exit status.

fn main() -> std::process::ExitCode {
    beadle::cli::run()
}
