//! Whether packets arrive and are answered: every packet of a question gets one verdict.
//!
//! | verdict | of a packet |
//! |---|---|
//! | reachable | it arrives and its answer comes back, whatever OVN chooses |
//! | one-way | it arrives, and its answer does not come back |
//! | blocked | it does not arrive |
//! | no-route | its sender knows no way to send it |
//! | ambiguous | what becomes of it is OVN's choice |
//! | undetermined | what becomes of it is not in the rows, or not followed here |
//!
//! Refuses to resolve names, and to write for people.

use super::guest::{ByHand, Guests};
use super::header::{Field, Header, ICMP, ICMP6, IPV4, IPV6, Rewrite, SCTP, TCP, UDP};
use super::network::{Network, PortId, PortKind, RowId};
use super::set::{Set, Sets};
use super::walk::{End, Flow, Kind, Obstacle, Outcome, Walker, Why};

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// They arrive, and are answered.
    Reachable,
    /// They arrive, and the answer is lost.
    OneWay,
    /// They are lost.
    Blocked,
    /// They are not sent.
    NoRoute,
    /// OVN's choice.
    Ambiguous,
    /// It can't be said.
    Undetermined,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 6] = [
        Verdict::Reachable,
        Verdict::OneWay,
        Verdict::Blocked,
        Verdict::NoRoute,
        Verdict::Ambiguous,
        Verdict::Undetermined,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Reachable => "reachable",
            Verdict::OneWay => "one-way",
            Verdict::Blocked => "blocked",
            Verdict::NoRoute => "no-route",
            Verdict::Ambiguous => "ambiguous",
            Verdict::Undetermined => "undetermined",
        }
    }
}

/// One end of a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The machine at a port.
    Guest(PortId),
    /// A router.
    Router,
    /// What is behind the physical networks.
    Outside,
    /// Whoever is behind these balancers.
    Balanced(Vec<RowId>),
}

/// One end of a question, with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Where it is.
    pub place: Place,
    /// Headers whose source is one of its addresses.
    pub sources: Set,
    /// Headers whose destination is one of its addresses.
    pub destinations: Set,
    /// Likewise, of addresses that are translated to it: what outsiders know it by.
    pub public: Set,
}

impl Party {
    /// Headers whose destination is one that somebody knows it by.
    pub fn known_to(&self, from: &Party) -> Set {
        if from.place == Place::Outside && !self.public.is_none() { self.public } else { self.destinations }
    }
}

/// One way that packets may go.
#[derive(Clone, Debug)]
pub struct Course {
    /// The packets.
    pub set: Set,
    /// What becomes of them on it.
    pub verdict: Verdict,
    /// How they go.
    pub request: Outcome,
    /// How their answer goes, where there is one.
    pub answer: Option<Outcome>,
}

/// Packets with one verdict for one reason.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The packets.
    pub set: Set,
    /// What becomes of them.
    pub verdict: Verdict,
    /// One of them.
    pub witness: Header,
    /// How that one goes: one course, or all that are possible.
    pub courses: Vec<Course>,
}

impl Finding {
    /// Whether the packets arrive, answered or not, if only by OVN's choice.
    pub fn may_arrive(&self) -> bool {
        let arrives = |verdict| matches!(verdict, Verdict::Reachable | Verdict::OneWay);
        arrives(self.verdict)
            || self.verdict == Verdict::Ambiguous && self.courses.iter().any(|course| arrives(course.verdict))
    }
}

/// What becomes of packets, without reasons.
pub(super) struct Fates {
    /// They by verdict.
    pub(super) by_verdict: Vec<(Verdict, Set)>,
    /// Those that arrive, answered or not, if only by OVN's choice.
    pub(super) arriving: Set,
}

/// Judges questions about one network.
pub struct Judge<'n> {
    /// The network.
    pub network: &'n Network,
    /// Where the sets live.
    pub sets: &'n Sets,
    /// Follows the packets.
    pub walker: Walker<'n>,
}

impl<'n> Judge<'n> {
    /// A judge of `network`, whose sets live in `sets`.
    pub fn new(network: &'n Network, sets: &'n Sets, by_hand: ByHand) -> Judge<'n> {
        Judge { network, sets, walker: Walker::new(network, sets, Guests::new(network, by_hand)) }
    }

    /// What becomes of packets of `service` from one party to another; all that stands in their way.
    pub fn explain(&mut self, from: &Party, to: &Party, service: Set) -> Vec<Finding> {
        self.walker.is_thorough = true;
        let set = self.sets.and(self.sets.and(from.sources, to.known_to(from)), service);
        let requests = self.requests(from, set);
        self.findings(from, to, &requests)
    }

    /// Where packets from a party end.
    pub fn requests(&mut self, from: &Party, set: Set) -> Vec<Outcome> {
        let flow = Flow::new(set);
        match &from.place {
            Place::Guest(port) => self.walker.from_guest(*port, flow, Kind::First),
            Place::Outside => {
                let wires = self.wires().into_iter();
                wires.flat_map(|port| self.walker.from_outside(port, flow.clone(), Kind::First)).collect()
            }
            Place::Router | Place::Balanced(_) => Vec::new(),
        }
    }

    /// Why there is no packet from one party to another: none could be, or there is nowhere to come from.
    pub fn nothing(&self, from: &Party) -> &'static str {
        match from.place == Place::Outside && self.wires().is_empty() {
            true => "no switch leads to a physical network",
            false => "no common family",
        }
    }

    /// Ports that lead to physical networks.
    pub fn wires(&self) -> Vec<PortId> {
        let ids = (0..self.network.ports.len()).map(PortId);
        ids.filter(|id| self.network.port(*id).kind == PortKind::Localnet).collect()
    }

    /// Verdicts on packets from one party to another, whose requests ended like this.
    pub fn findings(&mut self, from: &Party, to: &Party, requests: &[Outcome]) -> Vec<Finding> {
        let courses = self.courses(from, to, requests);
        let mut findings: Vec<Finding> = Vec::new();
        for (verdict, set) in self.verdicts(&courses) {
            self.group(verdict, set, &courses, &mut findings);
        }
        findings
    }

    /// The same without reasons.
    pub(super) fn fates(&mut self, from: &Party, to: &Party, requests: &[Outcome]) -> Fates {
        let courses = self.courses(from, to, requests);
        let arrives = |course: &&Course| matches!(course.verdict, Verdict::Reachable | Verdict::OneWay);
        let arriving = self.sets.any(courses.iter().filter(arrives).map(|course| course.set));
        Fates { by_verdict: self.verdicts(&courses), arriving }
    }

    fn courses(&mut self, from: &Party, to: &Party, requests: &[Outcome]) -> Vec<Course> {
        let mut courses = Vec::new();
        for request in requests {
            let set = self.sets.and(request.flow.set, to.known_to(from));
            if !set.is_none() {
                let flow = Flow { set, ..request.flow.clone() };
                self.course(from, to, Outcome { flow, end: request.end.clone() }, &mut courses);
            }
        }
        courses
    }

    /// What becomes of packets of one request that may have arrived, part by part, with their answers.
    pub fn answered(
        &mut self,
        from: &Party,
        to: &Party,
        request: Outcome,
    ) -> impl Iterator<Item = (Set, Verdict, Option<Outcome>)> {
        let mut courses = Vec::new();
        self.course(from, to, request, &mut courses);
        courses.into_iter().map(|course| (course.set, course.verdict, course.answer))
    }

    fn course(&mut self, from: &Party, to: &Party, request: Outcome, courses: &mut Vec<Course>) {
        if !self.arrives(&to.place, &request) {
            let is_machine = matches!(to.place, Place::Guest(_));
            return courses.extend(self.lost(is_machine, &request, request.flow.set));
        }
        let no = no(&request);
        let is_stopped = !request.flow.obstacles.is_empty();
        let answers = self.answers(&request);
        for answer in answers.into_iter().flat_map(|answer| self.taken(from, answer)) {
            let set = answer.flow.set;
            let is_back = self.arrives(&from.place, &answer) && answer.flow.obstacles.is_empty();
            let is_lost = !answer.flow.obstacles.is_empty();
            let verdict = match (is_stopped, is_back, is_lost) {
                (true, _, _) => no,
                (false, true, _) => Verdict::Reachable,
                (false, false, true) => Verdict::OneWay,
                (false, false, false) => Verdict::Undetermined,
            };
            courses.push(Course { set, verdict, request: request.clone(), answer: Some(answer) });
        }
    }

    /// What becomes of those of the packets in `set` that have not arrived at a machine, or at somebody else: lost, or
    /// who knows.
    pub(super) fn lost(&self, is_machine: bool, request: &Outcome, set: Set) -> Vec<Course> {
        let mut flow = Flow { set: self.sets.and(request.flow.set, set), ..request.flow.clone() };
        let end = request.end.clone();
        let course = |verdict, flow: Flow, end| Course {
            set: flow.set,
            verdict,
            request: Outcome { flow, end },
            answer: None,
        };
        let mut courses = Vec::new();
        if let (End::Outside(port), true, true) = (&end, is_machine, flow.obstacles.is_empty()) {
            // Nobody out there knows a way to a private address.
            let private = self.walker.part(&flow, self.walker.private(Field::IpDst));
            let mut stopped = Flow { set: private, ..flow.clone() };
            let row = self.network.switch(self.network.port(*port).switch).row;
            stopped.meet(Obstacle { row, why: Why::Private });
            courses.push(course(Verdict::Blocked, stopped, End::Nowhere));
            flow.set = self.sets.minus(flow.set, private);
        }
        let outcome = Outcome { flow, end };
        let is_stopped = !outcome.flow.obstacles.is_empty() || self.is_elsewhere(&outcome);
        let verdict = if is_stopped { no(&outcome) } else { Verdict::Undetermined };
        courses.push(course(verdict, outcome.flow, outcome.end));
        courses.retain(|course| !course.set.is_none());
        courses
    }

    /// An answer that has come back, apart from one that looks as if somebody else had been asked.
    fn taken(&self, from: &Party, answer: Outcome) -> Vec<Outcome> {
        if !self.arrives(&from.place, &answer) {
            return vec![answer];
        }
        let Outcome { flow, end } = answer;
        let row = match end {
            End::Port(port) | End::Outside(port) => self.network.port(port).row,
            End::Router(_) | End::Nowhere | End::Unjudged { .. } => return vec![Outcome { flow, end }],
        };
        let expected = self.walker.same(&Rewrite::IDENTITY.reply(flow.echo), &flow.rewrite);
        let set = self.sets.minus(flow.set, expected);
        let mut strange = Flow { set, ..flow.clone() };
        strange.meet(Obstacle { row, why: Why::NotAsked });
        let strange = Outcome { flow: strange, end: End::Nowhere };
        let good = Outcome { flow: Flow { set: self.sets.and(flow.set, expected), ..flow }, end };
        [good, strange].into_iter().filter(|answer| !answer.flow.set.is_none()).collect()
    }

    fn arrives(&self, place: &Place, outcome: &Outcome) -> bool {
        match (place, &outcome.end) {
            (Place::Guest(wanted), End::Port(port)) => wanted == port,
            (Place::Router, End::Router(_)) | (Place::Outside, End::Outside(_)) => true,
            (Place::Balanced(rows), End::Port(_) | End::Outside(_)) => {
                outcome.flow.memories.iter().any(|memory| rows.contains(&memory.row))
            }
            _ => false,
        }
    }

    /// Whether packets have come to somebody else who has their destination.
    fn is_elsewhere(&self, outcome: &Outcome) -> bool {
        match outcome.end {
            End::Port(port) => {
                let own = self.walker.guests.addresses(port);
                let own = own.into_iter().map(|address| self.walker.destined(&address.into()));
                // Whoever it is: that tells nobody from others.
                let own = self.sets.before(self.sets.any(own), &outcome.flow.rewrite);
                self.sets.minus(outcome.flow.set, own).is_none()
            }
            End::Router(_) => true,
            End::Outside(_) | End::Nowhere | End::Unjudged { .. } => false,
        }
    }

    /// What becomes of the answers to packets that have arrived.
    fn answers(&mut self, request: &Outcome) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut left = request.flow.set;
        let kinds = [(IPV4, ICMP, Some(0)), (IPV6, ICMP6, Some(129))];
        for (family, proto, echo) in kinds {
            let of_kind = self
                .sets
                .and(self.sets.value(Field::EthType, family), self.sets.value(Field::IpProto, proto));
            let set = self.sets.and(left, of_kind);
            left = self.sets.minus(left, of_kind);
            outcomes.extend(self.answer(request, request.flow.answered(set, echo)));
        }
        outcomes.extend(self.answer(request, request.flow.answered(left, None)));
        outcomes
    }

    fn answer(&mut self, request: &Outcome, flow: Flow) -> Vec<Outcome> {
        if flow.set.is_none() {
            return Vec::new();
        }
        match request.end {
            End::Port(port) => self.walker.from_guest(port, flow, Kind::Answer),
            End::Router(port) => self.walker.from_router(port, flow, Kind::Answer),
            End::Outside(port) => {
                let flow = Flow { eth_dst: request.flow.eth_src, ..flow };
                self.walker.answered_outside(port, flow)
            }
            End::Nowhere | End::Unjudged { .. } => Vec::new(),
        }
    }

    /// Parts the packets of all courses by verdict.
    pub(super) fn verdicts(&self, courses: &[Course]) -> Vec<(Verdict, Set)> {
        let of = |verdict| {
            self.sets.any(courses.iter().filter(|course| course.verdict == verdict).map(|course| course.set))
        };
        let undetermined = of(Verdict::Undetermined);
        let mut parts = vec![(Verdict::Undetermined, undetermined)];
        let plain = [Verdict::Reachable, Verdict::OneWay, Verdict::Blocked, Verdict::NoRoute];
        let plain = plain.map(|verdict| (verdict, of(verdict)));
        let mut ambiguous = Set::NONE;
        for (verdict, set) in plain {
            let others = plain.into_iter().filter(|(other, _)| *other != verdict).map(|(_, set)| set);
            let others = self.sets.any(others);
            ambiguous = self.sets.or(ambiguous, self.sets.and(set, others));
            parts.push((verdict, self.sets.minus(self.sets.minus(set, others), undetermined)));
        }
        parts.push((Verdict::Ambiguous, self.sets.minus(ambiguous, undetermined)));
        parts.retain(|(_, set)| !set.is_none());
        parts.sort();
        parts
    }

    /// Parts packets of one verdict by reason.
    fn group(&self, verdict: Verdict, set: Set, courses: &[Course], findings: &mut Vec<Finding>) {
        let mut left = set;
        for course in courses {
            let here = self.sets.and(course.set, left);
            if here.is_none() || !matters(verdict, course.verdict) {
                continue;
            }
            let same = courses.iter().filter(|other| is_alike(other, course));
            let alike = match verdict {
                Verdict::Ambiguous | Verdict::Reachable => left,
                _ => self.sets.and(left, self.sets.any(same.map(|other| other.set))),
            };
            let Some(witness) = self.witness(alike) else { continue };
            let involved = courses.iter().filter(|other| self.sets.contains(other.set, &witness));
            let involved: Vec<Course> = match verdict {
                Verdict::Ambiguous => involved.cloned().collect(),
                _ => involved.filter(|other| other.verdict == course.verdict).take(1).cloned().collect(),
            };
            findings.push(Finding { set: alike, verdict, witness, courses: involved });
            left = self.sets.minus(left, alike);
        }
    }

    /// A packet as people would try one.
    fn witness(&self, set: Set) -> Option<Header> {
        let mut wishes = vec![(Field::EthType, IPV4), (Field::EthType, IPV6)];
        wishes.extend([(Field::IpSrc, SOMEBODY), (Field::IpDst, SOMEBODY)]);
        wishes.extend([TCP, ICMP, ICMP6, UDP].map(|proto| (Field::IpProto, proto)));
        wishes.extend([(Field::TpSrc, 49_152), (Field::TpSrc, 8), (Field::TpSrc, 128)]);
        wishes.extend([443, 80, 22, 53, 0].map(|port| (Field::TpDst, port)));
        self.sets.pick(set, &wishes)
    }
}

/// An address that everybody knows, 8.8.8.8, for packets from and to the Internet.
const SOMEBODY: u128 = 0x0808_0808;

/// What is said of packets that do not arrive.
fn no(request: &Outcome) -> Verdict {
    match request.flow.obstacles.first().map(|obstacle| &obstacle.why) {
        Some(Why::GuestRoute) => Verdict::NoRoute,
        _ => Verdict::Blocked,
    }
}

fn matters(verdict: Verdict, course: Verdict) -> bool {
    verdict == Verdict::Ambiguous || verdict == course
}

/// Whether two courses are the same to somebody who asks why: to who asks why packets do not arrive, it is
/// all the same what would become of their answers.
fn is_alike(a: &Course, b: &Course) -> bool {
    let is_same = |a: &Outcome, b: &Outcome| a.flow.obstacles == b.flow.obstacles && a.end == b.end;
    let is_answered_alike = match (&a.answer, &b.answer) {
        (Some(a), Some(b)) => is_same(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let is_stopped = a.verdict == Verdict::Blocked;
    a.verdict == b.verdict && is_same(&a.request, &b.request) && (is_stopped || is_answered_alike)
}

/// Which packets a question is about: all that are answered, or one protocol's.
pub fn service(sets: &Sets, proto: Option<Proto>, ports: Option<(u16, u16)>) -> Set {
    let kinds = proto.map_or(vec![Proto::Tcp, Proto::Udp, Proto::Sctp, Proto::Icmp], |proto| vec![proto]);
    let families = sets.or(sets.value(Field::EthType, IPV4), sets.value(Field::EthType, IPV6));
    let of = |proto: Proto| match proto.number() {
        Some(number) => sets.and(sets.value(Field::IpProto, number), families),
        None => {
            let kind = |family, proto, kind| {
                let echo = [(Field::EthType, family), (Field::IpProto, proto), (Field::TpSrc, kind)];
                echo.into_iter().fold(sets.value(Field::TpDst, 0), |set, (field, value)| {
                    sets.and(set, sets.value(field, value))
                })
            };
            sets.or(kind(IPV4, ICMP, 8), kind(IPV6, ICMP6, 128))
        }
    };
    let (low, high) = ports.unwrap_or((0, u16::MAX));
    let wanted = sets.range(Field::TpDst, low.into(), high.into());
    let any = sets.range(Field::TpSrc, 0, u16::MAX.into());
    sets.and(sets.any(kinds.into_iter().map(of)), sets.and(wanted, any))
}

/// A protocol that can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// Echo requests of either family.
    Icmp,
}

impl Proto {
    fn number(self) -> Option<u128> {
        match self {
            Proto::Tcp => Some(TCP),
            Proto::Udp => Some(UDP),
            Proto::Sctp => Some(SCTP),
            Proto::Icmp => None,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Sctp => "sctp",
            Proto::Icmp => "icmp",
        }
    }
}
