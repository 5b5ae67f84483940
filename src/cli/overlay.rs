//! What `northc graph` paints on a picture: answers of `reach`, steps of `plan`.
//!
//! Refuses to draw, and to judge or plan by itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Streams;
use super::graph::Drawn;
use crate::graph::change::{self, Touch};
use crate::graph::reach::{Answer, Group, Reach};
use crate::graph::{self, Picture, Subnet, Tone, Vpc, Workload, WorkloadKind};
use crate::nb::{Atom, Datum, Row, Rows, Table, stamp};
use crate::plan::step::{Action, Step};
use crate::plan::{Plan, Request, as_if_applied, plan, render};
use crate::reach::guest::ByHand;
use crate::reach::header::Field;
use crate::reach::judge::{Judge, Place, Proto, Verdict, service};
use crate::reach::matrix::Matrix;
use crate::reach::network::Network;
use crate::reach::parties::{INTERNET, Who, machines, name_of, parties};
use crate::reach::set::{Set, Sets};
use crate::target::Target;

/// Whose rows they are while they are compared.
const OWNER: &str = "default";

/// What `who` reaches, or, where it is empty, who reaches whom. The error says what is wrong with the name.
pub(super) fn reach(
    rows: &Rows,
    target: Target,
    who: &str,
    streams: &mut Streams<'_>,
) -> Result<Reach, String> {
    let network = Network::of_rows(rows, target);
    let sets = Sets::default();
    let mut judge = Judge::new(&network, &sets, ByHand::default());
    let named = |name| parties(&judge, name).map(|found| found.into_iter().map(|it| Who::of(&judge, it)));
    let mut all: Vec<Who> = machines(&judge).map(Who::Machine).collect();
    if !judge.wires().is_empty() {
        all.extend(named(INTERNET)?);
    }
    let from = if who.is_empty() { all.clone() } else { named(who)?.collect() };
    let _ = streams;
    let asked = sets.minus(service(&sets, None, None), dhcp(&sets));
    let matrix = Matrix::new(&mut judge, &from, &all, asked);
    let group = |parties: &[Who], group: &[usize]| {
        let members: Vec<&Who> = group.iter().map(|at| &parties[*at]).collect();
        let ports = members.iter().filter_map(|who| who.port());
        Group {
            ports: ports.map(|port| network.port(port).name.clone()).collect(),
            names: members.iter().map(|who| name_of(&network, &who.place())).collect(),
            has_outside: members.iter().any(|who| who.place() == Place::Outside),
        }
    };
    let mut answers: BTreeMap<(usize, usize), Answer> = BTreeMap::new();
    for (a, sender) in matrix.from.iter().enumerate() {
        for (b, receiver) in matrix.to.iter().enumerate() {
            let Some(cell) = matrix.cell(sender, receiver) else { continue };
            let said = cell.0.iter().map(|(verdict, services)| (tone(*verdict), services.clone()));
            answers.insert((a, b), said.collect());
        }
    }
    Ok(Reach {
        asked: (!who.is_empty()).then(|| who.to_owned()),
        from: matrix.from.iter().map(|it| group(&from, it)).collect(),
        to: matrix.to.iter().map(|it| group(&all, it)).collect(),
        answers,
    })
}

/// What DHCP is made of, which security groups let pass and nobody asks about (RFC 2131 §4.1, RFC 8415 §7.2).
fn dhcp(sets: &Sets) -> Set {
    let udp = service(sets, Some(Proto::Udp), None);
    let pair = |(from, to): (u128, u128)| {
        let ports = sets.and(sets.value(Field::TpSrc, from), sets.value(Field::TpDst, to));
        sets.and(udp, ports)
    };
    sets.any([(67, 68), (68, 67), (547, 546), (546, 547)].map(pair))
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Reachable => Tone::Yes,
        Verdict::OneWay | Verdict::Blocked | Verdict::NoRoute => Tone::No,
        Verdict::Ambiguous | Verdict::Undetermined => Tone::Open,
    }
}

/// The picture of the old input, what changes from it, and what that comes to.
pub(super) fn before_input(new: &Drawn, old: Drawn) -> (Picture, Vec<Touch>, String) {
    let [mut wanted, mut had] = [&new.rows, &old.rows].map(Clone::clone);
    [&mut wanted, &mut had].into_iter().for_each(|rows| stamp::stamp(rows, OWNER));
    let made = plan(&wanted, &as_if_applied(&had, OWNER), &Request::new(OWNER, &new.sources));
    let touch = |step: &Step| {
        let line = || old.rows.origin(&step.key).map(|span| old.sources.line(span));
        Touch { line: step.place.clone().or_else(line), vpc: step.group.name.to_string() }
    };
    let (touches, sum) = (made.steps.iter().map(touch).collect(), render::sum(&made));
    (old.picture, touches, sum)
}

/// The picture of what is there before a plan is carried out, what the plan touches, and what it comes to. Whatever
/// the plan inserts was not there; what it deletes is drawn by what its rows say.
pub(super) fn before_plan(mut picture: Picture, plan: &Plan) -> (Picture, Vec<Touch>, String) {
    let inserts = |table: Table, name: &str| {
        let is_it =
            |step: &&Step| step.key.table == table && graph::visible(&step.key.name) == graph::visible(name);
        plan.steps.iter().find(is_it).is_some_and(|step| matches!(step.action, Action::Insert(_)))
    };
    let is_new_line = |place: &Option<graph::Place>| {
        let is_it = |step: &&Step| {
            let is_port = step.key.table == Table::LogicalRouterPort;
            is_port
                && matches!(step.action, Action::Insert(_))
                && step.place == place.as_ref().map(|it| it.line.clone())
        };
        place.is_some() && plan.steps.iter().any(|step| is_it(&step))
    };
    picture.links.retain(|link| !link.ends.iter().any(|end| is_new_line(&end.place)));
    change::keep(&mut picture, &|vpc| !inserts(Table::LogicalRouter, &vpc.name), &|subnet| {
        !inserts(Table::LogicalSwitch, &subnet.name)
    });
    for subnet in picture.vpcs.iter_mut().flat_map(|vpc| &mut vpc.subnets) {
        subnet.workloads.retain(|workload| !inserts(Table::LogicalSwitchPort, &workload.port));
    }
    for table in [Table::LogicalRouter, Table::LogicalSwitch, Table::LogicalSwitchPort] {
        for step in plan.steps.iter().filter(|step| step.key.table == table) {
            if let Action::Delete(row) = &step.action {
                put_back(&mut picture, step, row);
            }
        }
    }
    let touch = |step: &Step| Touch { line: step.place.clone(), vpc: step.group.name.to_string() };
    (picture, plan.steps.iter().map(touch).collect(), render::sum(plan))
}

/// Draws a router, a switch or a machine's port that goes.
fn put_back(picture: &mut Picture, step: &Step, row: &Row) {
    let name = step.key.name.to_string();
    let home = picture.vpcs.iter_mut().find(|vpc| *vpc.name == *step.group.name);
    match (step.key.table, home) {
        (Table::LogicalRouter, _) => picture.vpcs.push(Vpc { name, ..Vpc::default() }),
        (Table::LogicalSwitch, Some(vpc)) => {
            vpc.subnets.push(Subnet { name, routed: true, ..Subnet::default() });
        }
        (Table::LogicalSwitchPort, Some(vpc)) => {
            let addresses = row.get("addresses").map(words).unwrap_or_default();
            let addresses: Vec<IpAddr> = addresses.iter().filter_map(|word| word.parse().ok()).collect();
            let is_home = |subnet: &&mut Subnet| {
                let blocks = subnet.blocks.iter().filter_map(|(cidr, _)| cidr.parse::<ipnet::IpNet>().ok());
                blocks.into_iter().any(|block| addresses.iter().any(|address| block.contains(address)))
            };
            let of_router = row.get("type").map(words).is_some_and(|kind| !kind.is_empty());
            if let Some(subnet) = vpc.subnets.iter_mut().find(is_home).filter(|_| !of_router) {
                let short = name.split('.').next().unwrap_or(&name).to_owned();
                let addresses = addresses.iter().map(ToString::to_string).collect();
                let kind = WorkloadKind::Machine;
                subnet.workloads.push(Workload {
                    name: short,
                    kind,
                    addresses,
                    port: name,
                    place: None,
                    sign: None,
                });
            }
        }
        _ => {}
    }
}

/// The words of a column's texts.
fn words(datum: &Datum) -> Vec<String> {
    let atoms = match datum {
        Datum::Set(atoms) => atoms.as_slice(),
        Datum::Map(_) => &[],
    };
    let mut words = Vec::new();
    for atom in atoms {
        if let Atom::Text(text) = atom {
            words.extend(text.split_whitespace().map(str::to_owned));
        }
    }
    words
}
