//! The binary: arguments in, exit code out.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

fn main() -> ExitCode {
    let terminal = io::stderr().is_terminal();
    let code = northc::cli::run(std::env::args_os(), &mut io::stdout(), &mut io::stderr(), terminal);
    ExitCode::from(code)
}
