//! `--watch`: a verb again whenever its files change. Refuses to know the verb.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use super::{Streams, exit};
use crate::files;

/// How often files are looked at. Looking works on every file system, which notices of the kernel do not: a
/// folder that is shared with a container or over a network sends none.
const EVERY: Duration = Duration::from_millis(200);

/// Runs `act`, and again after each change of what is at `paths`, until somebody stops it. Standard input can't
/// be read twice, and is refused.
pub(super) fn again(
    paths: &[PathBuf],
    streams: &mut Streams<'_>,
    mut act: impl FnMut(&mut Streams<'_>) -> u8,
) -> u8 {
    if paths.iter().any(|path| path.as_os_str() == "-") {
        streams.say("error: --watch reads files again and again, and standard input only once\n");
        return exit::USAGE;
    }
    loop {
        let seen = files::stamps(paths);
        let code = act(streams);
        let n = seen.len();
        let files = if n == 1 { "file" } else { "files" };
        streams.say(&format!("exit {code}; watching {n} {files}\n"));
        while files::stamps(paths) == seen {
            sleep(EVERY);
        }
        streams.say("\n");
    }
}
