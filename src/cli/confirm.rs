//! `northc confirm`: keeps what `apply --confirm-within` did. Refuses when nothing waits.

use super::database::{DatabaseArgs, block_on, refuse};
use super::{Streams, exit};
use crate::apply::Failure;
use crate::apply::provisional::confirm;

/// Arguments of `northc confirm`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose apply is confirmed
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = super::compile::owner)]
    owner: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args, streams: &mut Streams<'_>) -> u8 {
    let session = match args.database.northbound() {
        Ok(session) => session,
        Err(fault) => return refuse(&fault, streams),
    };
    match block_on(confirm(&session, &args.owner)) {
        Ok(Some(id)) => {
            streams.status(&format!("apply {id} is confirmed and stays\n"));
            exit::OK
        }
        Ok(None) => {
            streams.say(&format!("error: no apply of owner `{}` waits for a confirmation\n", args.owner));
            exit::NO
        }
        Err(Failure::Fault(fault, _) | Failure::Unknown(fault)) => refuse(&fault, streams),
        Err(Failure::Conflicts(_) | Failure::Declined | Failure::Stale(..)) => exit::CONFLICT,
    }
}
