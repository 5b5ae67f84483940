//! A scratch Northbound database, with a Southbound one and `ovn-northd` behind it where packets matter.

use std::cell::Cell;
use std::fs;
use std::ops::Deref;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::northbound::{self, Dump, Northbound};
use crate::ovn::{self, Database, Scratch};

/// The hypervisors that fixtures name, and the ends of their tunnels.
const CHASSIS: [(&str, &str); 2] = [("hv1", "127.0.0.1"), ("hv2", "127.0.0.2")];

/// The databases and what serves them.
pub(crate) struct Stack {
    scratch: Scratch,
    nb: Northbound,
    sb: Option<Database>,
    /// How much of northd's log has been read.
    n_logged: Cell<usize>,
}

impl Deref for Stack {
    type Target = Northbound;

    fn deref(&self) -> &Northbound {
        &self.nb
    }
}

impl Stack {
    /// A Northbound database alone.
    pub(crate) fn database() -> Stack {
        let mut scratch = Scratch::new();
        let nb = Northbound::at(&scratch.database("ovn-nb").socket);
        Stack { scratch, nb, sb: None, n_logged: Cell::new(0) }
    }

    /// With northd, which logs without a limit.
    pub(crate) fn with_northd() -> Stack {
        let mut stack = Stack::database();
        let sb = stack.scratch.database("ovn-sb");
        sb.transact("OVN_Southbound", CHASSIS.into_iter().flat_map(chassis).collect());
        let args =
            [format!("--ovnnb-db={}", stack.nb.remote()), format!("--ovnsb-db=unix:{}", sb.socket.display())];
        let started = stack.scratch.daemon("ovn-northd", &args).wait();
        assert!(started.is_ok_and(|status| status.success()), "ovn-northd starts");
        ovn::call(&stack.scratch.path("ovn-northd.ctl"), "vlog/disable-rate-limit", &json!([]));
        stack.sb = Some(sb);
        stack
    }

    /// A file beside the databases.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path(name)
    }

    /// Runs a script of northc's as its reader would.
    pub(crate) fn script(&self, text: &str) -> Output {
        let file = self.scratch.path("script");
        fs::write(&file, text).expect("the script can be written");
        self.run(Command::new("bash").arg(&file))
    }

    /// Runs a program that finds the database by `OVN_NB_DB`.
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        let command = command.env("OVN_NB_DB", self.remote()).current_dir(self.scratch.path(""));
        command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"))
    }

    pub(crate) fn nbctl(&self, args: &[&str]) -> Result<String, String> {
        let output = self.run(Command::new("ovn-nbctl").args(args));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Waits until northd has done what there is to do.
    pub(crate) fn settle(&self) {
        self.settles().unwrap_or_else(|e| panic!("{e}"));
    }

    /// The same; if northd does not, the last that it said.
    pub(crate) fn settles(&self) -> Result<(), String> {
        self.nbctl(&["--wait=sb", "--timeout=60", "sync"]).map(drop).map_err(|e| {
            let log = fs::read_to_string(self.scratch.path("ovn-northd.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(20).collect();
            format!("northd is gone: {e}\nits last words, the last first:\n{}", lines.join("\n"))
        })
    }

    /// What northd logged since it was asked last, as far as it is about its input.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = fs::read(self.scratch.path("ovn-northd.log")).expect("northd keeps a log");
        let new = String::from_utf8_lossy(&log[self.n_logged.replace(log.len())..]).into_owned();
        let is_bad = |line: &&str| ["|WARN|", "|ERR|", "|EMER|"].iter().any(|level| line.contains(level));
        // A machine with other things to do makes a poll interval long; a neighbour taught meanwhile ([`Stack::learn`])
        // holds a datapath until northd has seen it and tries again.
        let harmless = ["|timeval|", "cannot delete Datapath_Binding row"];
        let is_ours = |line: &&str| !harmless.iter().any(|part| line.contains(part));
        new.lines().filter(is_bad).filter(is_ours).map(str::to_owned).collect()
    }

    /// What becomes of a packet: `ovn-trace`'s actions, one a line. The error is its complaint.
    pub(crate) fn trace(&self, switch: &str, ct: &str, packet: &str) -> Result<String, String> {
        let sb = self.sb.as_ref().expect("this stack has northd");
        let output = Command::new("ovn-trace")
            .arg(format!("--db=unix:{}", sb.socket.display()))
            .args(["--minimal", "--no-friendly-names"])
            .args(vec![format!("--ct={ct}"); 16])
            .args([switch, packet])
            .stdin(Stdio::null())
            .output()
            .expect("ovn-trace runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() && output.stderr.is_empty() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("ovn-trace: {}{}", text(&output.stdout), text(&output.stderr)))
        }
    }

    /// The remote of the Southbound database.
    pub(crate) fn southbound(&self) -> String {
        format!("unix:{}", self.southbound_socket().display())
    }

    /// The Southbound database's socket.
    pub(crate) fn southbound_socket(&self) -> &std::path::Path {
        &self.sb.as_ref().expect("this stack has northd").socket
    }

    /// Lets northd end, as a host that is shut down does.
    #[cfg(feature = "live")]
    pub(crate) fn stop_northd(&self) {
        ovn::call(&self.scratch.path("ovn-northd.ctl"), "exit", &json!([]));
    }

    /// Makes a router know a neighbour's Ethernet address, as it would after an answer.
    pub(crate) fn learn(&self, port: &str, address: std::net::IpAddr) {
        let sb = self.sb.as_ref().expect("this stack has northd");
        let is_port = json!([["logical_port", "==", port]]);
        let select =
            json!({"op": "select", "table": "Port_Binding", "where": is_port, "columns": ["datapath"]});
        let found = ovn::call(&sb.socket, "transact", &json!(["OVN_Southbound", select]));
        let datapath = &found[0]["rows"][0]["datapath"];
        let row = json!({
            "logical_port": port, "ip": address.to_string(), "mac": "02:00:00:00:00:fe", "datapath": datapath
        });
        let insert = json!({"op": "insert", "table": "MAC_Binding", "row": row});
        let made = ovn::call(&sb.socket, "transact", &json!(["OVN_Southbound", insert]));
        assert!(made[0].get("uuid").is_some(), "{made}");
    }

    /// Ports that northd makes nothing of.
    pub(crate) fn passed_over(&self, rows: &Dump) -> Vec<String> {
        northbound::passed_over(rows, &self.sb.as_ref().expect("this stack has northd").socket)
    }
}

/// What an ovn-controller can do: northd makes other flows as long as one of them can't.
const ABILITIES: [&str; 12] = [
    "ct-commit-nat-v2",
    "ct-commit-to-zone",
    "ct-label-flush",
    "ct-next-zone",
    "ct-no-masked-label",
    "ct-state-save",
    "fdb-timestamp",
    "ls-dpg-column",
    "mac-binding-timestamp",
    "ovn-ct-lb-related",
    "ovn-sample-with-registers",
    "port-up-notif",
];

/// A chassis as its ovn-controller would write it, for ports that ask for it: northd says of others that they are unknown.
fn chassis((name, ip): (&str, &str)) -> [serde_json::Value; 2] {
    let encap = json!({"type": "geneve", "ip": ip, "chassis_name": name});
    let encaps = json!(["named-uuid", format!("encap_{name}")]);
    let abilities = json!(["map", ABILITIES.map(|ability| [ability, "true"])]);
    let row = json!({"name": name, "hostname": name, "encaps": encaps, "other_config": abilities});
    [
        json!({"op": "insert", "table": "Encap", "uuid-name": format!("encap_{name}"), "row": encap}),
        json!({"op": "insert", "table": "Chassis", "row": row}),
    ]
}

/// Whether a script did what it is for; what it said otherwise.
pub(crate) fn succeeded(output: &Output) -> Result<(), String> {
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("the script ends with {} and says: {said}", output.status))
}
