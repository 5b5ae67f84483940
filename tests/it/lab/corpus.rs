//! Every fixture on every version: real daemons take its rows without a complaint, however they get there, and
//! nothing stays when they go.
//!
//! The emitted script goes to the lab's own Northbound database, where northd, ovn-controller and ovs-vswitchd
//! make flows of the rows. The emitted transaction and `northc apply` go to a second database of that version's
//! schema. All three must leave the same rows, with nothing left to do, and `northc destroy` must bring back
//! what was there before, beside which all of it happens: somebody else's network. Refuses to send packets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use northc::nb::record;
use serde_json::{Value, json};

use super::bench::{Bench, northc};
use super::guests::{self, World};
use super::steps::Step;
use super::{Case, column, on_every_version};
use crate::cases;
use crate::northbound::{self, Dump, Northbound};
use crate::ovn;

/// What was there before.
const THEIRS: &str = "ls-add theirs -- lsp-add theirs their-vm -- lsp-set-addresses their-vm dynamic \
    -- set logical_switch theirs other_config:subnet=192.0.2.0/24 \
    -- lr-add their-router -- lrp-add their-router their-port 0a:00:00:00:00:01 192.0.2.1/24 \
    -- lr-route-add their-router 198.51.100.0/24 192.0.2.9 \
    -- lr-policy-add their-router 5 ip4.src==192.0.2.7 drop \
    -- acl-add theirs to-lport 5 ip6 drop \
    -- --id=@options create dhcp_options cidr=192.0.2.0/24 options:server_id=192.0.2.1 \
    options:server_mac=0a:00:00:00:00:01 options:lease_time=60 \
    -- set logical_switch_port their-vm dhcpv4_options=@options";

/// The second database, in the node that has the first.
const BESIDE: &str = "ovsdb-tool create /run/lab/beside.db /usr/share/ovn/ovn-nb.ovsschema
    ovsdb-server --detach --no-chdir -vconsole:off --log-file=/lab/log/central/beside.log \
        --pidfile=/run/lab/beside.pid --remote=punix:/lab/run/beside.sock /run/lab/beside.db
    chmod 0666 /lab/run/beside.sock";

#[test]
#[ignore = "needs Docker and minutes; scripts/test runs it"]
fn every_fixture_on_every_version() {
    on_every_version("fixtures", cases(), |bench, cases| {
        let site = Site::new(bench)?;
        Ok(vec![column(bench, bench.version.clone(), cases, |case| site.case(case))])
    });
}

fn cases() -> Result<Vec<Case>, String> {
    let good = cases::all().into_iter().filter(cases::Case::is_good);
    good.map(|case| {
        let steps = std::fs::read_to_string(case.path("steps")).unwrap_or_default();
        Case::read(case.name.clone(), case.path(""), &steps)
    })
    .collect()
}

/// A lab and its two Northbound databases.
struct Site<'a> {
    bench: &'a Bench,
    central: Northbound,
    beside: Northbound,
    southbound: PathBuf,
}

impl Site<'_> {
    fn new(bench: &Bench) -> Result<Site<'_>, String> {
        let sockets = bench.sockets()?;
        bench.lab(&["exec", "central", "--", "bash", "-ec", BESIDE], "")?;
        for nb in ["nb", "beside"] {
            let remote = format!("unix:/lab/run/{nb}.sock");
            let words: Vec<&str> = THEIRS.split_whitespace().collect();
            bench.lab(&[&["nbctl", "--db", &remote], words.as_slice()].concat(), "")?;
        }
        bench.lab(&["sync"], "")?;
        let at = |name: &str| Northbound::at(&sockets.join(name));
        let (central, beside) = (at("nb.sock"), at("beside.sock"));
        Ok(Site { bench, central, beside, southbound: sockets.join("sb.sock") })
    }

    fn case(&self, case: &Case) -> Result<usize, String> {
        self.bench.lab(&["mark"], "")?;
        let by_script = self.there_and_back(&self.central, "hv", case, || self.script(case))?;
        let by_transaction = self.there_and_back(&self.beside, "none", case, || self.transaction(case))?;
        same("script and transaction differ", &by_script, &by_transaction)?;
        let by_apply = self.there_and_back(&self.beside, "none", case, || self.apply(case))?;
        same("script and apply differ", &by_script, &by_apply)?;
        let complaints = self.bench.lab(&["logs"], "")?;
        let complaints = complaints.lines().filter(|line| !case.steps.logs.iter().any(|t| line.contains(t)));
        let complaints: Vec<String> = complaints.map(|line| format!("  log: {line}\n")).collect();
        if complaints.is_empty() {
            Ok(by_script.values().map(BTreeMap::len).sum())
        } else {
            Err(complaints.concat())
        }
    }

    /// Brings rows, sees that nothing is left to do, and removes them; gives the rows that were there.
    fn there_and_back(
        &self,
        nb: &Northbound,
        wait: &str,
        case: &Case,
        bring: impl FnOnce() -> Result<(), String>,
    ) -> Result<Dump, String> {
        // What a case before this one failed to take away.
        nb.remove_owned();
        let before = nb.everything();
        bring()?;
        let after = nb.dump();
        let remote = nb.remote();
        let args = ["plan", "--detailed-exitcode", "--db", &remote];
        northc(&case.folder, &with(&args, &sources(case)))?;
        northc(&case.folder, &["destroy", "--yes", "--wait", wait, "--db", &remote])?;
        same("destroy does not bring back what was there", &before, &nb.everything())?;
        Ok(ours(&before, after))
    }

    /// Runs the script twice and has every hypervisor make flows of the rows.
    fn script(&self, case: &Case) -> Result<(), String> {
        let script = self.compile(case, "nbctl")?;
        self.bench.lab(&["exec", "central", "--", "bash", "-s"], &script)?;
        let once = self.central.dump();
        self.bench.lab(&["exec", "central", "--", "bash", "-s"], &script)?;
        same("the script's second run changes something", &once, &self.central.dump())?;
        self.become_flows(case)?;
        match northbound::passed_over(&once, &self.southbound).as_slice() {
            [] => Ok(()),
            ports => Err(format!("northd makes nothing of {}", ports.join(", "))),
        }
    }

    fn transaction(&self, case: &Case) -> Result<(), String> {
        let params = self.compile(case, "ovsdb")?;
        let params: Value = serde_json::from_str(&params).map_err(|e| e.to_string())?;
        self.beside.transact(&params).map(drop)
    }

    fn apply(&self, case: &Case) -> Result<(), String> {
        let remote = self.beside.remote();
        let args = ["apply", "--yes", "--wait", "none", "--db", &remote];
        northc(&case.folder, &with(&args, &sources(case))).map(drop)
    }

    /// Plugs something into every switch, on both hypervisors in turn, the first of which has all of them. Who wants
    /// one of them gets that one.
    fn become_flows(&self, case: &Case) -> Result<(), String> {
        let World { guests, physical, switches, routers, .. } = guests::read(&self.compile(case, "rows")?)?;
        if !physical.is_empty() {
            let names: Vec<&str> = physical.iter().map(String::as_str).collect();
            self.bench.lab(&[&["physnet"], names.as_slice()].concat(), "")?;
        }
        let mut ports: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
        for guest in guests.values() {
            ports.entry(&guest.switch).or_default().push(&guest.lsp);
        }
        let chassis_of = |port: &str| guests.values().find(|guest| guest.lsp == port)?.chassis.as_deref();
        let empty: Vec<&String> = switches.iter().filter(|switch| !ports.contains_key(switch)).collect();
        let by_hand: Vec<String> = empty.iter().map(|switch| format!("by-hand-{switch}")).collect();
        for (switch, port) in empty.iter().zip(&by_hand) {
            self.bench.lab(&["nbctl", "lsp-add", switch, port], "")?;
            ports.entry(switch).or_default().push(port);
        }
        let on = |(at, port): (usize, &&str)| {
            format!("{} {port}\n", chassis_of(port).unwrap_or(["hv1", "hv2"][at % 2]))
        };
        let table: String = ports.values().flat_map(|ports| ports.iter().enumerate().map(on)).collect();
        self.bench.lab(&["stubs", "-"], &table)?;
        let present = self.datapaths_with_flows()?;
        let wanted = switches.iter().map(|s| ("logical-switch", s));
        let wanted = wanted.chain(routers.iter().map(|r| ("logical-router", r)));
        let missing: Vec<String> =
            wanted.map(|(kind, name)| format!("{kind} {name}")).filter(|d| !present.contains(d)).collect();
        if !missing.is_empty() {
            return Err(format!("no flows on hv1 for {}", missing.join(", ")));
        }
        for port in &by_hand {
            self.bench.lab(&["nbctl", "lsp-del", port], "")?;
        }
        Ok(())
    }

    /// Kind and name of every datapath that the first hypervisor has flows of.
    fn datapaths_with_flows(&self) -> Result<BTreeSet<String>, String> {
        const METADATA: &str = "ovs-ofctl dump-flows br-int | grep -o 'metadata=0x[0-9a-f]*' | sort -u";
        let flows = self.bench.lab(&["exec", "hv1", "--", "bash", "-c", METADATA], "")?;
        let keys = flows.lines().filter_map(|line| line.strip_prefix("metadata=0x"));
        let keys: BTreeSet<i64> = keys.filter_map(|key| i64::from_str_radix(key, 16).ok()).collect();
        let select = json!({"op": "select", "table": "Datapath_Binding", "where": []});
        let result = ovn::call(&self.southbound, "transact", &json!(["OVN_Southbound", select]));
        let bindings = result[0]["rows"].as_array().ok_or("no Datapath_Binding")?;
        let present = bindings.iter().filter(|b| b["tunnel_key"].as_i64().is_some_and(|k| keys.contains(&k)));
        let describe = |binding: &Value| {
            let ids: BTreeMap<&str, &str> = binding["external_ids"][1]
                .as_array()?
                .iter()
                .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
                .collect();
            let kind =
                ["logical-router", "logical-switch"].into_iter().find(|kind| ids.contains_key(kind))?;
            Some(format!("{kind} {}", ids.get("name")?))
        };
        Ok(present.filter_map(describe).collect())
    }

    fn compile(&self, case: &Case, to: &str) -> Result<String, String> {
        let args = ["compile", "--ovn-version", &self.bench.version, "--to", to];
        northc(&case.folder, &with(&args, &sources(case)))
    }
}

/// What the first `apply` of the steps names.
fn sources(case: &Case) -> Vec<&str> {
    let apply = case.steps.steps.iter().find_map(|(_, step)| match step {
        Step::Apply(paths) => Some(paths.iter().map(String::as_str).collect()),
        _ => None,
    });
    apply.unwrap_or_else(|| vec!["."])
}

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

fn same(what: &str, one: &Dump, other: &Dump) -> Result<(), String> {
    match northbound::difference(one, other) {
        None => Ok(()),
        Some(difference) => Err(format!("  {what}:\n{difference}\n")),
    }
}

/// The rows that came, but for the note that runs of `apply` leave each other.
fn ours(before: &Dump, mut after: Dump) -> Dump {
    for (table, rows) in &mut after {
        let is_theirs = |uuid: &String| before.get(table).is_some_and(|rows| rows.contains_key(uuid));
        rows.retain(|uuid, row| !is_theirs(uuid) && !row["external_ids"].to_string().contains(record::TXN));
    }
    after.retain(|_, rows| !rows.is_empty());
    after
}
