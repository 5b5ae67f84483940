//! What northc leaves on disk, on a terminal and in a log: files whole or not at all and as open as they were, no key,
//! and nothing of what a database says that a terminal would obey.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use northc::nb::{Atom, Datum};
use northc::ovsdb::op::{Op, Which};

use crate::live::{block_on, connect, northc};
use crate::ovn;
use crate::servers::{Pki, Server};

/// What a terminal obeys.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r";

fn network(dir: &Path) -> String {
    let text = "{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: v}}\n---\n\
        {apiVersion: northc.io/v1alpha1, kind: Subnet, metadata: {name: s}, spec: {vpc: v, cidrs: 10.0.0.0/24}}\n";
    let path = dir.join("network.yaml");
    fs::write(&path, text).expect("written");
    path.to_str().expect("a plain name").to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o777
}

/// Runs `northc compile` of this folder's network into a file, in a shell that runs `before` first.
fn compile_to(dir: &Path, file: &str, before: &str) -> String {
    let input = network(dir);
    let script = format!("{before} exec \"$0\" compile --to rows --output \"$1\" \"$2\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_northc")]).arg(dir.join(file)).arg(input);
    let output = command.stdin(Stdio::null()).output().expect("bash is there");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn files_are_as_open_as_they_were_and_links_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let (dir, at) = (dir.path(), |name: &str| dir.path().join(name));
    // A new one is as the user's mask has it.
    compile_to(dir, "new", "umask 077;");
    assert_eq!(mode(&at("new")), 0o600);
    compile_to(dir, "open", "umask 022;");
    assert_eq!(mode(&at("open")), 0o644);
    // An old one keeps its permissions, and its content is another.
    fs::write(at("old"), "before").expect("written");
    fs::set_permissions(at("old"), Permissions::from_mode(0o640)).expect("it is ours");
    compile_to(dir, "old", "umask 000;");
    assert_eq!(mode(&at("old")), 0o640);
    assert!(fs::read_to_string(at("old")).expect("text").starts_with('{'));
    // A link is written through, and whoever reads the old file goes on reading it.
    symlink("old", at("link")).expect("a link");
    fs::write(at("old"), "before").expect("written");
    let reader = fs::File::open(at("old")).expect("it is there");
    compile_to(dir, "link", "");
    assert!(fs::symlink_metadata(at("link")).expect("it is there").is_symlink());
    assert!(fs::read_to_string(at("old")).expect("text").starts_with('{'));
    assert_eq!(std::io::read_to_string(reader).expect("text"), "before");
    // Nothing is left beside them.
    let left: Vec<String> = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_file_that_cannot_be_finished_is_left_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("out.json");
    fs::write(&file, "before").expect("written");
    let said = compile_to(dir.path(), "out.json", "trap '' XFSZ; ulimit -f 0;");
    assert!(said.contains("can't write"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("text"), "before");
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2, "something is left beside it");
}

/// Somebody who may write to the folder put a link where the unfinished file would be.
#[test]
fn what_is_unfinished_is_written_through_no_link() {
    let dir = tempfile::tempdir().expect("a directory");
    let victim = dir.path().join("victim");
    fs::write(&victim, "before").expect("written");
    // `exec` keeps the shell's number.
    let said = compile_to(dir.path(), "out.json", "ln -s victim \"$1.$$.tmp\";");
    assert!(said.contains("can't write"), "{said}");
    assert_eq!(fs::read_to_string(&victim).expect("text"), "before");
}

#[test]
fn no_key_is_ever_logged() {
    if !ovn::is_present() {
        return;
    }
    let pki = Pki::new();
    let server = pki.server("server");
    let files = pki.files("client", "ca");
    let dir = tempfile::tempdir().expect("a directory");
    let input = network(dir.path());
    let mut logged = 0;
    let broken = dir.path().join("broken.pem");
    let right = fs::read_to_string(&files.private_key).expect("PEM");
    fs::write(&broken, right.replace("-----END", "A\n-----END")).expect("written");
    // With the right key, with one that fits nothing, and with one that cannot be read.
    for key in [files.private_key.clone(), pki.files("stranger", "ca").private_key, broken] {
        let output = Command::new(env!("CARGO_BIN_EXE_northc"))
            .args(["apply", &input, "--yes", "--wait", "none", "-vvv", "--db"])
            .arg(format!("ssl:127.0.0.1:{}", server.port()))
            .arg("-p")
            .arg(&key)
            .arg("-c")
            .arg(&files.certificate)
            .arg("-C")
            .arg(&files.ca_cert)
            .env("NORTHC_LOG", "trace")
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        logged += said.len();
        let secret = fs::read_to_string(&key).expect("PEM");
        for line in secret.lines().filter(|line| !line.starts_with("-----") && line.len() > 20) {
            assert!(!said.contains(line), "a line of {} is logged", key.display());
        }
    }
    assert!(logged > 500, "the log was not asked for: {logged} bytes");
}

#[test]
fn what_a_database_says_drives_no_terminal() {
    if !ovn::is_present() {
        return;
    }
    let server = Server::alone(&[]);
    let remote = server.remote();
    let dir = tempfile::tempdir().expect("a directory");
    let input = network(dir.path());
    let (code, _, err) = northc(&remote, &["apply", &input, "--yes", "--wait", "none"]);
    assert_eq!(code, 0, "{err}");
    let text = |text: &str| Datum::set([Atom::Text(text.into())]);
    let pairs = |key: &str| Datum::map([(Atom::Text(key.into()), Atom::Text(HOSTILE.into()))]);
    let all = |column: &'static str, value: Datum, table: &'static str| Op::Update {
        table: table.into(),
        rows: Which::All,
        row: vec![(column.into(), value)],
    };
    let ours = |key: &str| {
        let owner = (Atom::Text("northc-owner".into()), Atom::Text("default".into()));
        Datum::map([owner, (Atom::Text("northc-key".into()), Atom::Text(key.into()))])
    };
    let insert = |n: u128, name: &str, external_ids: Datum| Op::Insert {
        table: "Logical_Switch".into(),
        uuid: uuid::Uuid::from_u128(n << 96),
        row: vec![("name".into(), text(name)), ("external_ids".into(), external_ids)],
    };
    // Drift in every sort of value, a row of ours with a key like that, a stranger of such a name in the way.
    let damage = [
        all("options", pairs(HOSTILE), "Logical_Router"),
        all("other_config", pairs(HOSTILE), "Logical_Switch"),
        all("mac", text(HOSTILE), "Logical_Router_Port"),
        insert(1, HOSTILE, ours(HOSTILE)),
        insert(2, "t", Datum::map([(Atom::Text("vendor".into()), Atom::Text(HOSTILE.into()))])),
        insert(3, "u", Datum::map([(Atom::Text("northc-owner".into()), Atom::Text(HOSTILE.into()))])),
    ];
    block_on(connect(&remote).transact(&damage)).expect("written");
    let more = fs::read_to_string(&input).expect("text");
    let subnet = |name: &str, n: u8| {
        format!(
            "---\n{{apiVersion: northc.io/v1alpha1, kind: Subnet, metadata: {{name: {name}}}, spec: {{vpc: v, cidrs: 10.0.{n}.0/24}}}}\n"
        )
    };
    fs::write(&input, more + &subnet("t", 1) + &subnet("u", 2)).expect("written");
    let mut n_shown = 0;
    for verb in [
        &["plan", &input][..],
        &["plan", &input, "--format", "markdown"],
        &["plan", &input, "--adopt"],
        &["apply", &input, "--yes", "--wait", "none"],
        &["destroy", "--yes", "--wait", "none"],
        &["reach", "--all"],
    ] {
        let (_, out, err) = northc(&remote, verb);
        let shown = format!("{out}{err}") + &logged(&remote, verb);
        let is_obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(is_obeyed), "{verb:?}: {shown:?}");
        n_shown += shown.matches("owned").count();
    }
    assert!(n_shown > 10, "it was shown {n_shown} times");
}

/// What the program says of the verb where everything is logged.
fn logged(remote: &str, verb: &[&str]) -> String {
    let mut northc = Command::new(env!("CARGO_BIN_EXE_northc"));
    northc.args(verb).args(["-vvv", "--db", remote]).env("NORTHC_LOG", "trace").stdin(Stdio::null());
    let output = northc.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("DEBUG"), "nothing is logged of {verb:?}");
    String::from_utf8(said).expect("text")
}

/// Two branches give addresses to machines that the other doesn't know: merged by lines, as git's `union` does it,
/// the lock file is one, nobody shares an address, and who had one before keeps it.
#[test]
fn lock_files_of_two_branches_merge() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("a plain name").to_owned();
    let lock = |machines: &[&str], lock: &str| {
        let mut text = fs::read_to_string(network(dir.path())).expect("text");
        for name in machines {
            text += &format!(
                "---\n{{apiVersion: northc.io/v1alpha1, kind: NetworkInterface, metadata: {{name: {name}}}, spec: {{subnet: s}}}}\n"
            );
        }
        fs::write(at("all.yaml"), text).expect("written");
        let args = [
            "northc",
            "compile",
            "--to",
            "rows",
            "--lock",
            &at(lock),
            "--output",
            &at("rows"),
            &at("all.yaml"),
        ];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = northc::cli::run(args, &mut out, &mut err, false);
        assert_eq!(code, 0, "{}", String::from_utf8_lossy(&err));
        let text = fs::read_to_string(at(lock)).expect("a lock file");
        northc::lock::parse(&text).expect("it can be read")
    };
    let base = lock(&["a", "m"], "base.lock");
    for name in ["ours.lock", "theirs.lock"] {
        fs::copy(at("base.lock"), at(name)).expect("copied");
    }
    lock(&["a", "b", "m", "y"], "ours.lock");
    lock(&["a", "c", "m", "z"], "theirs.lock");
    let merged = Command::new("git")
        .args(["merge-file", "--union", &at("ours.lock"), &at("base.lock"), &at("theirs.lock")])
        .status();
    assert!(merged.is_ok_and(|status| status.success()));
    let all = lock(&["a", "b", "c", "m", "y", "z"], "ours.lock");
    let addresses: std::collections::BTreeSet<_> = all.values().flatten().collect();
    assert_eq!((all.len(), addresses.len()), (6, 6), "{all:?}");
    assert!(base.iter().all(|(name, addresses)| all[name] == *addresses), "{all:?}");
}
