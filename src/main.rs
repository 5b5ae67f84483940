//! The binary: arguments in, exit code out.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let terminal = io::stderr().is_terminal();
    let code = northc::cli::run(std::env::args_os(), &mut io::stdout(), &mut io::stderr(), terminal);
    ExitCode::from(code)
}
