//! `plan`, `apply`, `destroy` and `confirm` as people call them: what they say and how they exit.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::live::{block_on, connect, northc};
use crate::ovn;
use crate::servers::Server;

struct Lab {
    server: Server,
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Lab {
        Lab { server: Server::alone(&[]), dir: tempfile::tempdir().expect("a directory") }
    }

    /// A file with VPC `v` and these subnets.
    fn input(&self, subnets: &[&str]) -> String {
        let mut text = String::from("{apiVersion: kubeovn.io/v1, kind: Vpc, metadata: {name: v}}\n");
        for (at, name) in subnets.iter().enumerate() {
            text.push_str(&format!(
                "---\n{{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {{name: {name}}}, spec: {{vpc: v, \
                 cidrBlock: 10.0.{at}.0/24, provider: {name}.default.ovn}}}}\n"
            ));
        }
        let file = self.file("vpc.yaml");
        std::fs::write(&file, text).expect("written");
        file.to_str().expect("a plain name").to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn northc(&self, args: &[&str]) -> (u8, String, String) {
        let wait: &[&str] = if matches!(args[0], "apply" | "destroy") { &["--wait", "none"] } else { &[] };
        northc(&self.server.remote(), &[args, wait].concat())
    }

    fn nbctl(&self, args: &[&str]) -> String {
        let output = Command::new("ovn-nbctl")
            .arg(format!("--db={}", self.server.remote()))
            .arg("--no-leader-only")
            .args(args)
            .output()
            .expect("ovn-nbctl runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[test]
fn a_foreign_row_in_the_way_is_named_and_can_be_taken_over() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    lab.nbctl(&["ls-add", "s", "--", "set", "Logical_Switch", "s", "external_ids:vendor=kube-ovn"]);
    lab.nbctl(&["lsp-add", "s", "guest"]);
    let uuid = lab.nbctl(&["get", "Logical_Switch", "s", "_uuid"]);
    let input = lab.input(&["s"]);
    for verb in [&["plan", &input][..], &["apply", &input, "--yes"]] {
        let (code, _, err) = lab.northc(verb);
        assert_eq!(code, 3, "{err}");
        assert!(err.contains(&uuid) && err.contains("`kube-ovn`") && err.contains("vpc.yaml:3"), "{err}");
    }
    let (code, out, err) = lab.northc(&["apply", &input, "--yes", "--adopt"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(&format!("taken over from `kube-ovn`, {uuid}")), "{out}");
    assert_eq!(lab.nbctl(&["get", "Logical_Switch", "s", "_uuid"]), uuid);
    let (code, out, _) = lab.northc(&["plan", &input, "--detailed-exitcode"]);
    assert_eq!(code, 0, "{out}");
    // What lives in it is still not ours, so it cannot go.
    let (code, _, err) = lab.northc(&["destroy", "--yes"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("`guest`"), "{err}");
}

#[test]
fn deletions_and_silence_need_a_yes() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let (code, _, err) = lab.northc(&["apply", &lab.input(&["a", "b"])]);
    assert_eq!(code, 64, "{err}");
    assert_eq!(lab.northc(&["apply", &lab.input(&["a", "b"]), "--yes"]).0, 0);
    let one = lab.input(&["a"]);
    let (code, _, err) = lab.northc(&["apply", &one, "--yes"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("3 of 7 rows") && err.contains("--yes-delete"), "{err}");
    assert_eq!(lab.northc(&["apply", &one, "--yes", "--prune", "false"]).0, 0);
    assert_eq!(lab.northc(&["apply", &one, "--yes", "--max-delete", "50%"]).0, 0);
    assert_eq!(lab.northc(&["plan", &one, "--detailed-exitcode"]).0, 0);
    assert_eq!(lab.northc(&["destroy"]).0, 3);
    assert_eq!(lab.northc(&["destroy", "--yes"]).0, 0);
    let rows = block_on(connect(&lab.server.remote()).actual()).expect("rows");
    assert!(rows.is_empty());
}

#[test]
fn nothing_is_no_wish_for_everything_to_go() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    assert_eq!(lab.northc(&["apply", &lab.input(&["a"]), "--yes"]).0, 0);
    let before = lab.nbctl(&["show"]);
    let empty = lab.file("empty");
    std::fs::create_dir(&empty).expect("made");
    let empty = empty.to_str().expect("a plain name");
    for args in [&["apply", empty, "--yes", "--yes-delete"][..], &["plan", empty]] {
        let (code, _, err) = lab.northc(args);
        assert!(code == 1 && err.contains("error[N0110]"), "{args:?}: {code} {err}");
    }
    assert_eq!(lab.nbctl(&["show"]), before);
    let (code, _, err) = lab.northc(&["apply", empty, "--yes", "--yes-delete", "--allow", "N0110"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(lab.nbctl(&["show"]), "");
}

#[test]
fn what_opens_something_may_be_refused_and_is_not_written_then() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let path = |case: &str| format!("{}/fixtures/harvester/{case}", crate::cases::root().display());
    let (closed, open) = (path("private-both-one-allows"), path("private-both-allow"));
    assert_eq!(lab.northc(&["apply", &closed, "--yes"]).0, 0);
    let rows = || block_on(connect(&lab.server.remote()).actual()).expect("rows");
    let before = rows();
    let careful = ["apply", &open, "--yes", "--yes-delete", "--fail-on", "opens"];
    let (code, _, err) = lab.northc(&careful);
    assert!(code == 1 && err.contains("nothing was written"), "{code}: {err}");
    assert!(rows() == before, "nothing was written");
    assert_eq!(lab.northc(&["apply", &open, "--yes", "--yes-delete"]).0, 0);
    assert!(rows() != before, "it is written where nobody minds");
    assert_eq!(
        lab.northc(&["apply", &closed, "--yes", "--yes-delete", "--fail-on", "opens"]).0,
        0,
        "it closes"
    );
}

#[test]
fn a_saved_plan_is_applied_exactly_or_not_at_all() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let saved = lab.file("next.plan");
    let saved = saved.to_str().expect("a plain name");
    let (code, out, err) = lab.northc(&["plan", &lab.input(&["a"]), "--out", saved, "--detailed-exitcode"]);
    assert_eq!(code, 2, "{out}{err}");
    let (code, _, err) = lab.northc(&["apply", saved]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = lab.northc(&["apply", saved]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("stale"), "{err}");
    let altered = std::fs::read_to_string(saved).expect("saved").replace("10.0.0.1", "10.0.0.9");
    std::fs::write(saved, altered).expect("written");
    let (code, _, err) = lab.northc(&["apply", saved]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("altered"), "{err}");
}

#[test]
fn a_row_changed_since_the_plan_stops_it() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    assert_eq!(lab.northc(&["apply", &lab.input(&["a", "b"]), "--yes"]).0, 0);
    let saved = lab.file("next.plan");
    let saved = saved.to_str().expect("a plain name");
    assert_eq!(lab.northc(&["plan", &lab.input(&["a"]), "--out", saved]).0, 0);
    lab.nbctl(&["set", "Logical_Switch", "b", "other_config:mcast_snoop=true"]);
    let (code, _, err) = lab.northc(&["apply", saved, "--yes-delete"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("Logical_Switch b: `other_config` changed"), "{err}");
}

/// The schema lets two switches, and two routers, have one name.
#[test]
fn a_name_taken_since_the_plan_stops_it() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let saved = lab.file("next.plan");
    let saved = saved.to_str().expect("a plain name");
    assert_eq!(lab.northc(&["plan", &lab.input(&["s"]), "--out", saved]).0, 0);
    for (add, table, name, del) in
        [("ls-add", "Logical_Switch", "s", "ls-del"), ("lr-add", "Logical_Router", "v", "lr-del")]
    {
        lab.nbctl(&[add, name]);
        let uuid = lab.nbctl(&["get", table, name, "_uuid"]);
        let before = block_on(connect(&lab.server.remote()).actual()).expect("rows");
        let (code, _, err) = lab.northc(&["apply", saved]);
        assert_eq!(code, 3, "{err}");
        let taken = format!("{table} {name}: the name is taken by {table} `{name}` ({uuid})");
        assert!(err.contains(&taken) && err.contains("nothing was written"), "{err}");
        assert_eq!(block_on(connect(&lab.server.remote()).actual()).expect("rows"), before);
        lab.nbctl(&[del, name]);
    }
    let (code, _, err) = lab.northc(&["apply", saved]);
    assert_eq!(code, 0, "{err}");
}

/// A switch of ours that took another's name by hand gives it back in the same transaction.
#[test]
fn a_name_that_is_freed_is_no_conflict() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    assert_eq!(lab.northc(&["apply", &lab.input(&["a"]), "--yes"]).0, 0);
    lab.nbctl(&["set", "Logical_Switch", "a", "name=b"]);
    let both = lab.input(&["a", "b"]);
    let (code, _, err) = lab.northc(&["apply", &both, "--yes"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(lab.northc(&["plan", &both, "--detailed-exitcode"]).0, 0);
}

#[test]
fn a_description_that_is_gone_goes_and_other_peoples_ids_stay() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let plain = std::fs::read_to_string(lab.input(&["a"])).expect("written");
    let described = plain.replace("name: a}", "name: a, annotations: {field.cattle.io/description: ours}}");
    std::fs::write(lab.file("described.yaml"), described).expect("written");
    let path = lab.file("described.yaml");
    let (code, _, err) = lab.northc(&["apply", path.to_str().expect("a plain name"), "--yes"]);
    assert_eq!(code, 0, "{err}");
    let id =
        |key: &str| lab.nbctl(&["--if-exists", "get", "Logical_Switch", "a", &format!("external_ids:{key}")]);
    lab.nbctl(&["set", "Logical_Switch", "a", "external_ids:description=theirs"]);
    assert_eq!(id("northc-description"), "ours");
    let (code, out, err) = lab.northc(&["apply", &lab.input(&["a"]), "--yes"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("external_ids:northc-description  \"ours\" -> (none)"), "{out}");
    assert_eq!((id("northc-description"), id("description")), (String::new(), "theirs".to_owned()));
    assert_eq!(lab.northc(&["plan", &lab.input(&["a"]), "--detailed-exitcode"]).0, 0);
}

/// A run of the emitted script in between is judged by the rows that the plan guards, and by nothing else.
#[test]
fn a_script_in_between_stops_a_plan_only_where_they_meet() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let saved = lab.file("next.plan");
    let saved = saved.to_str().expect("a plain name");
    assert_eq!(lab.northc(&["apply", &lab.input(&["a"]), "--yes"]).0, 0);
    let script = |subnets: &[&str]| {
        let path = lab.input(subnets);
        let script = crate::cases::compile("nbctl", &[path]).out;
        std::fs::write(lab.file("script"), script).expect("written");
        let mut bash = Command::new("bash");
        let ran =
            bash.arg(lab.file("script")).env("OVN_NB_DB", lab.server.remote()).output().expect("bash runs");
        assert!(ran.status.success(), "{ran:?}");
    };
    assert_eq!(lab.northc(&["plan", &lab.input(&["a", "b"]), "--out", saved]).0, 0);
    script(&["a"]);
    let (code, _, err) = lab.northc(&["apply", saved]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(lab.northc(&["plan", &lab.input(&["a", "b", "c"]), "--out", saved]).0, 0);
    script(&["a", "b", "c"]);
    let (code, _, err) = lab.northc(&["apply", saved]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("Logical_Switch c is there"), "{err}");
}

#[test]
fn who_cannot_be_waited_for_is_not_waited_for() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let apply = ["apply", &lab.input(&["a"]), "--yes", "--wait", "sb"];
    let (code, _, err) = northc(&lab.server.remote(), &apply);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("not confirmed by NB_Global, which has no row\n"), "{err}");
    assert_eq!(lab.northc(&["plan", &lab.input(&["a"]), "--detailed-exitcode"]).0, 0, "it is written");
}

#[test]
fn waiting_shows_on_a_terminal_who_is_asked_for_what() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    lab.nbctl(&["init"]);
    let southbound = Server::of_schema("/usr/share/ovn/ovn-sb.ovsschema", &[]);
    let southbound = southbound.remote();
    let init = Command::new("ovn-sbctl").args([&format!("--db={southbound}"), "init"]).status();
    assert!(init.is_ok_and(|status| status.success()));
    let remote = lab.server.remote();
    let apply = |subnets: &[&str], more: &[&str]| {
        let input = lab.input(subnets);
        let fixed = ["apply", &input, "--yes", "--yes-delete", "--db", &remote, "--timeout", "1200ms"];
        [&fixed[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let shows = |err: &str, asked: &str| {
        assert!(err.contains(&format!("not confirmed by {asked}")), "{err}");
        // The first comes while there is still something to wait for.
        err.matches(&format!("\r\x1b[Kcommitted; waiting for {asked} to reach")).count() > 1
    };
    for (subnets, more, asked) in [
        (&["a"][..], &["--wait", "sb"][..], "NB_Global.sb_cfg"),
        (&["a", "b"], &["--wait", "sb", "--sb-db", &southbound], "SB_Global.nb_cfg"),
        (&["a"], &["--wait", "hv"], "NB_Global.hv_cfg"),
    ] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = std::iter::once("northc".to_owned()).chain(apply(subnets, more));
        assert_eq!(northc::cli::run(args, &mut out, &mut err, true), 5);
        assert!(shows(&String::from_utf8_lossy(&err), asked), "{}", String::from_utf8_lossy(&err));
    }
    // The program itself: on a terminal that `script` makes, and without one.
    let program = env!("CARGO_BIN_EXE_northc");
    let quoted = apply(&["a", "b"], &[]).into_iter().map(|word| format!(" '{word}'"));
    let mut on_terminal = Command::new("script");
    on_terminal.args(["-qec", &format!("'{program}'{}", quoted.collect::<String>()), "/dev/null"]);
    let said = on_terminal.stdin(Stdio::null()).output().expect("script(1) runs");
    assert!(shows(&String::from_utf8_lossy(&said.stdout), "NB_Global.sb_cfg"), "{said:?}");
    let said = Command::new(program).args(apply(&["a"], &[])).output().expect("it runs");
    assert!(!shows(&String::from_utf8_lossy(&said.stderr), "NB_Global.sb_cfg"), "{said:?}");
}

#[test]
fn an_unconfirmed_apply_is_undone() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    assert_eq!(lab.northc(&["apply", &lab.input(&["a"]), "--yes"]).0, 0);
    let both = lab.input(&["a", "b"]);
    let (code, _, err) = lab.northc(&["apply", &both, "--yes", "--confirm-within", "300ms"]);
    assert_eq!(code, 5, "{err}");
    assert_eq!(lab.northc(&["plan", &lab.input(&["a"]), "--detailed-exitcode"]).0, 0);
    let both = lab.input(&["a", "b"]);
    std::thread::scope(|scope| {
        let applied = scope.spawn(|| lab.northc(&["apply", &both, "--yes", "--confirm-within", "60s"]));
        while lab.northc(&["confirm"]).0 != 0 {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let (code, _, err) = applied.join().expect("no panic");
        assert_eq!(code, 0, "{err}");
    });
    assert_eq!(lab.northc(&["plan", &both, "--detailed-exitcode"]).0, 0);
}

#[test]
fn nobody_there_is_exit_4_and_nobody_confirming_is_exit_5() {
    if !ovn::is_present() {
        return;
    }
    let lab = Lab::new();
    let input = lab.input(&["a"]);
    let (code, _, err) = northc("unix:/nowhere/nb.sock", &["plan", &input, "--retry-for", "100ms"]);
    assert_eq!(code, 4, "{err}");
    let (code, _, err) = northc("udp:1.2.3.4", &["plan", &input]);
    assert_eq!(code, 64, "{err}");
    let wait = ["apply", &input, "--yes", "--wait", "sb", "--timeout", "200ms"];
    let (code, _, err) = northc(&lab.server.remote(), &wait);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("no row"), "{err}");
    assert_eq!(lab.northc(&["destroy", "--yes"]).0, 0);
    // And with the row there is still no ovn-northd.
    lab.nbctl(&["init"]);
    let wait = ["apply", &input, "--yes", "--wait", "sb", "--timeout", "200ms"];
    let (code, _, err) = northc(&lab.server.remote(), &wait);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("NB_Global.sb_cfg"), "{err}");
}
