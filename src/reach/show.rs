//! Findings for people and for machines: the same facts in words and as JSON.
//!
//! Refuses to find anything out.

use std::fmt::Write;

use serde_json::{Value, json};

use super::header::{Field, Header, ICMP, ICMP6, SCTP, TCP, UDP, protocol_name};
use super::judge::{Course, Finding, Judge, Verdict};
use super::network::{Direction, RowId, show_mac};
use super::set::{Set, Sets};
use super::walk::{End, Obstacle, Outcome, Step, TTL, Why};
use crate::span::SourceMap;

/// What holds of every answer.
pub const ASSUMPTIONS: [&str; 8] = [
    "neighbours answer address resolution, where rules let them",
    "packets are whole and untagged, and leave their sender with a time to live of 64",
    "NB_Global has no `default_acl_drop`, where the rows are not a database's",
    "receivers answer what they get",
    "no connection is older than the rows",
    "every chassis is up",
    "translations keep the source port unless they have a range",
    "the Internet has no way to private addresses, but for those that are on a physical network themselves",
];

/// Writes about one network.
pub struct Writer<'a, 'n> {
    /// The judge.
    pub judge: &'a Judge<'n>,
    /// The texts that the rows come from.
    pub sources: &'a SourceMap,
}

impl Writer<'_, '_> {
    /// A finding in words, each line after `indent`.
    pub fn finding(&self, finding: &Finding, asked: Set) -> String {
        let mut text = String::new();
        let scope = match self.judge.sets.minus(asked, finding.set).is_none() {
            true => String::new(),
            false => format!(" for {}", services(self.judge.sets, finding.set)),
        };
        let _ = writeln!(text, "{}{scope}", finding.verdict.name());
        let _ = writeln!(text, "  packet   {}", finding.witness);
        let many = finding.courses.len() > 1;
        for (at, course) in finding.courses.iter().enumerate() {
            if many {
                let _ = writeln!(text, "  choice {}: {}", at + 1, course.verdict.name());
            }
            self.way("request", &course.request, finding, &mut text);
            if let Some(answer) = &course.answer {
                self.way("answer", answer, finding, &mut text);
            }
        }
        if let Some(command) = self.trace(finding) {
            let _ = writeln!(text, "  try      {command}");
        }
        text
    }

    fn way(&self, what: &str, outcome: &Outcome, finding: &Finding, text: &mut String) {
        for (at, step) in outcome.flow.path.steps().iter().enumerate() {
            let lead = if at == 0 { what } else { "" };
            let (said, row) = self.step(step, &finding.witness);
            let _ = writeln!(text, "  {lead:<8} {said}{}", self.place(row));
            if let Step::Stop(obstacle) = step {
                for near in self.near_misses(obstacle, &outcome.flow.rewrite.apply(&finding.witness)) {
                    let _ = writeln!(text, "  {:<8}   {near}", "");
                }
            }
        }
        if let Some((said, row)) = self.end(&outcome.end, outcome) {
            let _ =
                writeln!(text, "  {:<8} {said}{}", "", row.map_or_else(String::new, |row| self.place(row)));
        }
    }

    fn place(&self, row: RowId) -> String {
        self.origin(row).map_or_else(String::new, |place| format!("  ({place})"))
    }

    /// `file:line` of the YAML behind a row.
    pub fn origin(&self, row: RowId) -> Option<String> {
        self.judge.network.row(row).origin.map(|span| self.sources.line(span))
    }

    /// A step in words, and the row behind it.
    pub fn step(&self, step: &Step, sent: &Header) -> (String, RowId) {
        let network = self.judge.network;
        match step {
            Step::In(port) => {
                let port = network.port(*port);
                (format!("into switch {} by {}", network.switch(port.switch).name, port.name), port.row)
            }
            Step::Out(port) => {
                let port = network.port(*port);
                (format!("out by {}", port.name), port.row)
            }
            Step::Rule(acl) => {
                let row = network.acls[acl.0].row;
                (format!("let through: {}", network.row(row).gist), row)
            }
            Step::Connection(switch) => {
                let switch = network.switch(*switch);
                (format!("let through: the connection is known on {}", switch.name), switch.row)
            }
            Step::Router(port) => {
                let port = network.router_port(*port);
                let router = network.router(port.router);
                (format!("into router {} by {}", router.name, port.name), router.row)
            }
            Step::Via { row, out, next_hop } => {
                let port = network.router_port(*out);
                let gist = &network.row(*row).gist;
                let why = if gist.is_empty() { "connected".to_owned() } else { gist.clone() };
                let to = next_hop.map_or_else(String::new, |hop| format!(" to {hop}"));
                (format!("{why}: out by {}{to}", port.name), *row)
            }
            Step::Policy(row) => (format!("let through: policy {}", network.row(*row).gist), *row),
            Step::Translated { row, before, after } => {
                let (before, after) = (before.apply(sent), after.apply(sent));
                (format!("translated: {}: {before} becomes {after}", network.row(*row).gist), *row)
            }
            Step::Stop(obstacle) => (format!("✗ {}", self.obstacle(obstacle)), obstacle.row),
        }
    }

    /// An obstacle in words.
    pub fn obstacle(&self, obstacle: &Obstacle) -> String {
        let network = self.judge.network;
        let row = network.row(obstacle.row);
        let name = &row.name;
        match &obstacle.why {
            Why::Disabled => format!("{name} is switched off"),
            Why::Spoofed => format!("port security of {name}: it may not send from this address"),
            Why::NotItsAddress => format!("port security of {name}: it may not be sent this address"),
            Why::Dropped => format!("dropped: {}", row.gist),
            Why::Rejected => format!("rejected: {}", row.gist),
            Why::NoRule => format!("no rule of {name} lets it pass, and NB_Global has `default_acl_drop`"),
            Why::GuestRoute => format!("{name} learns no route there, from DHCP or router advertisements"),
            Why::Neighbour(Some(hop)) => format!("nobody on {name} has the next hop {hop}"),
            Why::Neighbour(None) => format!("nobody on {name} has the address"),
            Why::EthernetAddress => format!("nobody on {name} has the Ethernet address"),
            Why::SamePort => format!("it would leave {name} by the port that it came by"),
            Why::NoRoute => format!("router {name} has no route"),
            Why::Discarded => format!("discarded: {}", row.gist),
            Why::Policy => format!("dropped: policy {}", row.gist),
            Why::NoBackend { .. } => format!("nobody is behind the balancer: {}", row.gist),
            Why::RouterAddress => format!("{name} answers nothing but echo requests at its own address"),
            Why::Martian => format!("router {name} forwards nothing with such a source or destination"),
            Why::Loop => format!("it comes back to router {name}: a loop"),
            Why::TimeToLive => format!("its time to live runs out at router {name}"),
            Why::DeadEnd => format!("{name} leads nowhere"),
            Why::External => format!("{name} translates nothing of the kind for its external address"),
            Why::Private => "nobody on the Internet knows a way to a private address".to_owned(),
            Why::NotAsked => {
                format!("{name} has asked somebody else than who answers: the answer is not taken")
            }
        }
    }

    /// An end in words, where it says more than the obstacles.
    fn end(&self, end: &End, outcome: &Outcome) -> Option<(String, Option<RowId>)> {
        let network = self.judge.network;
        match end {
            End::Nowhere => None,
            End::Port(port) => Some((format!("= at {}", network.port(*port).name), None)),
            End::Outside(port) => {
                Some((format!("= on the physical network behind {}", network.port(*port).name), None))
            }
            End::Router(port) => {
                Some((format!("= at router port {}", network.router_port(*port).name), None))
            }
            End::Unjudged { .. } if !outcome.flow.obstacles.is_empty() => None,
            End::Unjudged { row, what } => {
                let info = network.row(*row);
                Some((format!("? {} {}: {what}", info.table.name(), info.name), Some(*row)))
            }
        }
    }

    /// Rows that nearly made it otherwise.
    fn near_misses(&self, obstacle: &Obstacle, packet: &Header) -> Vec<String> {
        let mut near = match obstacle.why {
            Why::Dropped | Why::Rejected => self.near_rules(obstacle, packet),
            Why::NoRoute => self.near_routes(obstacle, packet),
            _ => Vec::new(),
        };
        near.truncate(3);
        near
    }

    /// Rules of the same way that let nearly the same packets through.
    fn near_rules(&self, obstacle: &Obstacle, packet: &Header) -> Vec<String> {
        let network = self.judge.network;
        let Some(by) = network.acls.iter().find(|rule| rule.row == obstacle.row) else { return Vec::new() };
        let mut near = Vec::new();
        for switch in &network.switches {
            let rules = switch.acls.iter().map(|id| &network.acls[id.0]);
            if !rules.clone().any(|rule| rule.row == by.row) {
                continue;
            }
            for rule in rules.filter(|rule| rule.direction == by.direction && rule.action.lets_through()) {
                let Some(what) = self.judge.walker.misses(rule, packet) else { continue };
                let why = match what {
                    None => format!("priority {} is not above {}", rule.priority, by.priority),
                    Some(field) => format!("another {}", field_name(field, packet)),
                };
                near.push(format!("near: {} ({why}){}", network.row(rule.row).gist, self.place(rule.row)));
            }
        }
        near.dedup();
        near
    }

    /// Routes of the router for the same destination that were not asked.
    fn near_routes(&self, obstacle: &Obstacle, packet: &Header) -> Vec<String> {
        let network = self.judge.network;
        let router = network.routers.iter().find(|router| router.row == obstacle.row);
        let routes = router.into_iter().flat_map(|router| &router.routes);
        let fits = routes.filter_map(|(row, route)| {
            let net = super::network::parse_net(&route.ip_prefix)?;
            let is_source = route.policy.as_deref() == Some("src-ip");
            let address = if is_source { packet.source() } else { packet.destination() };
            let why = if route.route_table.is_empty() {
                "OVN passes over it".to_owned()
            } else {
                format!("it is in table {}", route.route_table)
            };
            let place = self.place(*row);
            net.contains(&address).then(|| format!("near: {} ({why}){place}", network.row(*row).gist))
        });
        fits.collect()
    }

    /// The command that shows the same with OVN's own tool.
    fn trace(&self, finding: &Finding) -> Option<String> {
        let network = self.judge.network;
        let flow = &finding.courses.first()?.request.flow;
        let (port, eth_dst) = flow.first_hop?;
        let port = network.port(port);
        let (eth_src, eth_dst) = (flow.first_source?, eth_dst?);
        let n_tracked = 2 * network.switches.iter().filter(|switch| switch.is_stateful()).count();
        let ct = "--ct=new ".repeat(n_tracked.min(8));
        let switch = &network.switch(port.switch).name;
        Some(format!(
            "ovn-trace {ct}{} 'inport == \"{}\" && eth.src == {} && eth.dst == {} && ip.ttl == {TTL} && {}'",
            shell_word(switch),
            port.name,
            show_mac(eth_src),
            show_mac(eth_dst),
            microflow(&finding.witness)
        ))
    }

    /// A finding for machines.
    pub fn document(&self, finding: &Finding, asked: Set) -> Value {
        let way = |outcome: &Outcome| {
            let steps = outcome.flow.path.steps();
            let steps = steps.iter().map(|step| {
                let (said, row) = self.step(step, &finding.witness);
                let mut document = json!({"says": said, "row": self.row(row)});
                if let Step::Translated { before, after, .. } = step {
                    document["before"] = witness(&before.apply(&finding.witness));
                    document["after"] = witness(&after.apply(&finding.witness));
                }
                document
            });
            let obstacles = outcome.flow.obstacles.iter().map(|obstacle| {
                let near = self.near_misses(obstacle, &outcome.flow.rewrite.apply(&finding.witness));
                let says = self.obstacle(obstacle);
                json!({"code": code(&obstacle.why), "says": says, "row": self.row(obstacle.row), "near": near})
            });
            let end = self.end(&outcome.end, outcome).map(|(said, _)| said);
            json!({
                "steps": steps.collect::<Vec<_>>(),
                "obstacles": obstacles.collect::<Vec<_>>(),
                "end": end,
                "ttl": outcome.flow.ttl,
            })
        };
        let course = |course: &Course| {
            json!({
                "verdict": course.verdict.name(),
                "request": way(&course.request),
                "answer": course.answer.as_ref().map(way),
            })
        };
        json!({
            "verdict": finding.verdict.name(),
            "services": services(self.judge.sets, self.judge.sets.and(finding.set, asked)),
            "witness": witness(&finding.witness),
            "ovn_trace": self.trace(finding),
            "courses": finding.courses.iter().map(course).collect::<Vec<_>>(),
        })
    }

    fn row(&self, row: RowId) -> Value {
        let info = self.judge.network.row(row);
        json!({"table": info.table.name(), "name": info.name, "origin": self.origin(row)})
    }
}

/// An obstacle's name for machines.
fn code(why: &Why) -> &'static str {
    match why {
        Why::Disabled => "disabled",
        Why::Spoofed => "port-security-source",
        Why::NotItsAddress => "port-security-destination",
        Why::Dropped => "acl-drop",
        Why::Rejected => "acl-reject",
        Why::NoRule => "acl-default",
        Why::GuestRoute => "guest-route",
        Why::Neighbour(_) => "no-neighbour",
        Why::EthernetAddress => "no-ethernet-address",
        Why::SamePort => "same-port",
        Why::NoRoute => "no-route",
        Why::Discarded => "route-discard",
        Why::Policy => "policy-drop",
        Why::NoBackend { .. } => "no-backend",
        Why::RouterAddress => "router-address",
        Why::Martian => "martian",
        Why::Loop => "loop",
        Why::TimeToLive => "time-to-live",
        Why::DeadEnd => "dead-end",
        Why::External => "external-address",
        Why::Private => "private-address",
        Why::NotAsked => "not-asked",
    }
}

fn field_name(field: Field, packet: &Header) -> String {
    let proto = protocol_name(packet[Field::IpProto]);
    match field {
        Field::EthType => "family".to_owned(),
        Field::IpProto => "protocol".to_owned(),
        Field::IpSrc => "source".to_owned(),
        Field::IpDst => "destination".to_owned(),
        Field::TpSrc => format!("{proto} source"),
        Field::TpDst => format!("{proto} port"),
    }
}

/// What a packet is, as somebody asks about its like: `tcp/443`.
pub fn probe(header: &Header) -> String {
    let proto = protocol_name(header[Field::IpProto]);
    match header[Field::IpProto] {
        TCP | UDP | SCTP => format!("{proto}/{}", header[Field::TpDst]),
        _ => proto,
    }
}

/// A packet for machines.
pub fn witness(header: &Header) -> Value {
    json!({
        "proto": protocol_name(header[Field::IpProto]),
        "src": header.source().to_string(),
        "dst": header.destination().to_string(),
        "tp_src": header[Field::TpSrc] as u64,
        "tp_dst": header[Field::TpDst] as u64,
    })
}

/// A packet in OVN's match language.
pub fn microflow(header: &Header) -> String {
    let ip = if header.is_ipv6() { "ip6" } else { "ip4" };
    let ends = format!("{ip}.src == {} && {ip}.dst == {}", header.source(), header.destination());
    let (first, second) = (header[Field::TpSrc], header[Field::TpDst]);
    match header[Field::IpProto] {
        ICMP => format!("{ends} && icmp4.type == {first} && icmp4.code == {second}"),
        ICMP6 => format!("{ends} && icmp6.type == {first} && icmp6.code == {second}"),
        proto @ (TCP | UDP | SCTP) => {
            let name = protocol_name(proto);
            format!("{ends} && {name} && {name}.src == {first} && {name}.dst == {second}")
        }
        proto => format!("{ends} && ip.proto == {proto}"),
    }
}

fn shell_word(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Protocols and ports of packets: `tcp/22+80-90, udp from 53, icmp`.
pub fn services(sets: &Sets, set: Set) -> String {
    let mut said = Vec::new();
    for proto in [TCP, UDP, SCTP, ICMP, ICMP6] {
        let of_proto = sets.and(set, sets.value(Field::IpProto, proto));
        if of_proto.is_none() {
            continue;
        }
        let name = if proto == ICMP6 { "icmp6".to_owned() } else { protocol_name(proto) };
        let ranges = |field| sets.intervals(sets.only(of_proto, &[field]), field);
        let is_all = |ports: &[(u128, u128)]| ports == [(0, 65_535)];
        let (sources, ports) = (ranges(Field::TpSrc), ranges(Field::TpDst));
        if matches!(proto, ICMP | ICMP6) {
            said.push(name);
            continue;
        }
        let from = if is_all(&sources) { String::new() } else { format!(" from {}", port_list(&sources)) };
        match is_all(&ports) {
            true => said.push(format!("{name}{from}")),
            false => said.push(format!("{name}/{}{from}", port_list(&ports))),
        }
    }
    said.join(", ")
}

/// `22+80-90`, cut short.
fn port_list(ports: &[(u128, u128)]) -> String {
    let one = |(low, high): &(u128, u128)| match low == high {
        true => low.to_string(),
        false => format!("{low}-{high}"),
    };
    let mut said: Vec<String> = ports.iter().take(8).map(one).collect();
    said.extend((ports.len() > 8).then(|| format!("{} more", ports.len() - 8)));
    said.join("+")
}

/// What findings come to: the verdict of all of them, or none if they differ.
pub fn verdict(findings: &[Finding]) -> Option<Verdict> {
    let first = findings.first()?.verdict;
    findings.iter().all(|finding| finding.verdict == first).then_some(first)
}

impl Direction {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Direction::FromPort | Direction::FromPortBalanced => "from-lport",
            Direction::ToPort => "to-lport",
        }
    }
}
