//! (keeper)

/// What `beadle keep …` runs, with the arguments after `keep`. A stub.
pub fn main(_args: &[String]) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
