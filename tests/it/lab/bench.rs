//! One running lab, driven through `scripts/lab`, and northc itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A lab of one OVN version; it goes when this does, or when this process does.
pub(super) struct Bench {
    pub(super) version: String,
    name: String,
    keep: bool,
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str) -> Command {
    Command::new(root().join("scripts").join(name))
}

/// Makes the images that are missing.
pub(super) fn images(versions: &[String]) -> Result<(), String> {
    let mut command = script("images");
    command.args(versions);
    run(command, "").map(|_| ())
}

impl Bench {
    /// A lab for the test of this name.
    pub(super) fn up(test: &str, version: &str, keep: bool) -> Result<Bench, String> {
        let name = format!("{test}-{}-{}", std::process::id(), version.replace('.', ""));
        let bench = Bench { version: version.to_owned(), name, keep };
        let owner = std::process::id().to_string();
        let mut args = vec!["up", "--ovn", version];
        if !keep {
            args.extend(["--owner", &owner]);
        }
        bench.lab(&args, "")?;
        Ok(bench)
    }

    /// `scripts/lab ARGS…` for this lab; gives what it printed.
    pub(super) fn lab(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = script("lab");
        command.args(["--name", &self.name]).args(args);
        run(command, input)
    }

    /// Northbound, from this machine.
    pub(super) fn database(&self) -> Result<String, String> {
        let env = self.lab(&["env"], "")?;
        env.lines()
            .find_map(|l| l.strip_prefix("export OVN_NB_DB="))
            .map(str::to_owned)
            .ok_or_else(|| format!("scripts/lab env names no OVN_NB_DB:\n{env}"))
    }

    /// The folder that the nodes know as `/lab/run`.
    pub(super) fn sockets(&self) -> Result<PathBuf, String> {
        let database = self.database()?;
        let socket = Path::new(database.trim_start_matches("unix:"));
        socket.parent().map(Path::to_owned).ok_or_else(|| format!("{database} is in no folder"))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.keep {
            let _ = writeln!(std::io::stderr(), "kept: scripts/lab --name {} status", self.name);
        } else {
            let _ = self.lab(&["down"], "");
        }
    }
}

/// northc in the case's folder; standard output, or standard error as the error.
pub(super) fn northc(folder: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_northc"));
    command.args(args).current_dir(folder).env_remove("OVN_NB_DB").env_remove("NORTHC_DB");
    run(command, "")
}

/// Whether northc has this verb yet.
pub(super) fn has_verb(verb: &str) -> bool {
    northc(root(), &[verb, "--help"]).is_ok()
}

fn run(mut command: Command, input: &str) -> Result<String, String> {
    let what = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{what}: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever does not read it says why on its own.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| format!("{what}: {e}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(format!("{what}: {}\n{}{}", output.status, text(output.stdout), text(output.stderr)))
    }
}
