//! Runs the verb and turns its result into an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // A keeper is born often and stays small: it never sees the command line's parser.
    if args.next().is_some_and(|verb| verb == "keep") {
        let rest: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
        return beadle::keeper::main(&rest);
    }
    beadle::cli::run()
}
