//! What a change adds, alters and removes, painted on the picture of what comes of it.
//!
//! Two pictures become one: what is in the new one alone is added, what is in the old one alone is put back and marked
//! as going. An object is altered where it is drawn otherwise than before, or a row that its line wants is touched.
//! Refuses to compare rows; a plan has done that.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Kind, Legend, Link, LinkEnd, Picture, Place, Sign, Subnet, Tone, Vpc, Workload, counted, visible,
};

/// A row that a plan inserts, changes or deletes.
#[derive(Clone, Debug)]
pub struct Touch {
    /// `file:line` of what wants it, or wanted it.
    pub line: Option<String>,
    /// The VPC that it is part of.
    pub vpc: String,
}

/// The new picture with everything of the old one that goes, and signs on what differs. `sum` is what the plan comes
/// to in words.
pub fn painted(new: Picture, old: Picture, touches: &[Touch], sum: &str) -> Picture {
    let drawn: BTreeSet<&str> = [&new, &old].into_iter().flat_map(lines).collect();
    let (mut at, mut within) = (BTreeSet::new(), BTreeSet::new());
    for touch in touches {
        match touch.line.as_deref().map(visible).filter(|line| drawn.contains(line.as_str())) {
            Some(line) => at.insert(line),
            // Somebody who is not drawn, a security group for one.
            None => within.insert(visible(&touch.vpc)),
        };
    }
    let touched = Touched { at, within };
    let (links, gone) = (named(new.links, &new.vpcs), named(old.links, &old.vpcs));
    let vpcs = merged(new.vpcs, old.vpcs, &touched);
    let links = merged(links, gone, &touched).into_iter().filter_map(|link| link.placed(&vpcs)).collect();
    let mut picture = Picture { vpcs, links, legend: None };
    picture.legend = Some(legend(&picture, sum));
    picture
}

/// Leaves out boxes and subnets, with the links to them.
pub fn keep(picture: &mut Picture, vpc: &dyn Fn(&Vpc) -> bool, subnet: &dyn Fn(&Subnet) -> bool) {
    let links = named(std::mem::take(&mut picture.links), &picture.vpcs);
    picture.vpcs.retain(|it| vpc(it));
    picture.vpcs.iter_mut().for_each(|it| it.subnets.retain(|it| subnet(it)));
    picture.links = links.into_iter().filter_map(|link| link.placed(&picture.vpcs)).collect();
}

/// Where rows are touched: the lines of what is drawn, and VPCs for the rest.
struct Touched {
    at: BTreeSet<String>,
    within: BTreeSet<String>,
}

impl Touched {
    fn has(&self, place: Option<&Place>) -> bool {
        place.is_some_and(|place| self.at.contains(&place.line))
    }
}

/// Every line that something drawn is declared on.
fn lines(picture: &Picture) -> Vec<&str> {
    let mut places: Vec<Option<&Place>> = Vec::new();
    for vpc in &picture.vpcs {
        places.push(vpc.place.as_ref());
        places.extend(vpc.balancers.iter().map(|balancer| balancer.place.as_ref()));
        for subnet in &vpc.subnets {
            places.push(subnet.place.as_ref());
            places.extend(subnet.workloads.iter().map(|workload| workload.place.as_ref()));
        }
    }
    places.extend(picture.links.iter().flat_map(|link| &link.ends).map(|end| end.place.as_ref()));
    places.into_iter().flatten().map(|place| place.line.as_str()).collect()
}

/// Something that can be there before and after.
trait Part: Sized {
    /// What makes it the same one, and its place among others.
    fn key(&self) -> (u8, String);
    /// Marks it and all that is in it.
    fn mark(&mut self, tone: Tone);
    /// Takes in what was there before; true when that differs from what is there now.
    fn meet(&mut self, before: Self, touched: &Touched) -> bool;
    /// Marks it alone.
    fn alter(&mut self);
}

/// One list of two, in their order.
fn merged<P: Part>(new: Vec<P>, old: Vec<P>, touched: &Touched) -> Vec<P> {
    let mut before: BTreeMap<(u8, String), Vec<P>> = BTreeMap::new();
    old.into_iter().rev().for_each(|part| before.entry(part.key()).or_default().push(part));
    let mut all: Vec<P> = Vec::with_capacity(new.len());
    for mut part in new {
        match before.get_mut(&part.key()).and_then(Vec::pop) {
            Some(it) => {
                if part.meet(it, touched) {
                    part.alter();
                }
            }
            None => part.mark(Tone::Added),
        }
        all.push(part);
    }
    for mut part in before.into_values().flatten() {
        part.mark(Tone::Removed);
        all.push(part);
    }
    all.sort_by_key(Part::key);
    all
}

fn sign(tone: Tone) -> Option<Sign> {
    let text = match tone {
        Tone::Added => "+",
        Tone::Removed => "-",
        _ => "~",
    };
    Some(Sign { text: text.to_owned(), tone })
}

impl Part for Vpc {
    fn key(&self) -> (u8, String) {
        let rank = match self.kind {
            Kind::Default => 0,
            Kind::Vpc => 1,
            Kind::Transit => 2,
            Kind::Physical => 3,
        };
        (rank, self.name.clone())
    }

    fn mark(&mut self, tone: Tone) {
        self.sign = sign(tone);
        self.subnets.iter_mut().for_each(|subnet| subnet.mark(tone));
    }

    fn meet(&mut self, before: Vpc, touched: &Touched) -> bool {
        let says = |vpc: &Vpc| (vpc.description.clone(), vpc.cidrs.clone(), vpc.router_lines());
        let differs = says(self) != says(&before);
        let balancers = self.balancers.iter().chain(&before.balancers).map(|it| it.place.as_ref());
        let places = [self.place.as_ref(), before.place.as_ref()].into_iter().chain(balancers);
        let is_touched = touched.within.contains(&self.name) || places.into_iter().any(|it| touched.has(it));
        self.subnets = merged(std::mem::take(&mut self.subnets), before.subnets, touched);
        differs || is_touched
    }

    fn alter(&mut self) {
        self.sign = sign(Tone::Changed);
    }
}

impl Part for Subnet {
    fn key(&self) -> (u8, String) {
        (0, self.name.clone())
    }

    fn mark(&mut self, tone: Tone) {
        self.sign = sign(tone);
        self.workloads.iter_mut().for_each(|workload| workload.mark(tone));
    }

    fn meet(&mut self, before: Subnet, touched: &Touched) -> bool {
        let says = |it: &Subnet| {
            (it.description.clone(), it.blocks.clone(), it.network.clone(), it.routed, it.marks.clone())
        };
        let differs = says(self) != says(&before);
        let is_touched = touched.has(self.place.as_ref()) || touched.has(before.place.as_ref());
        self.workloads = merged(std::mem::take(&mut self.workloads), before.workloads, touched);
        differs || is_touched
    }

    fn alter(&mut self) {
        self.sign = sign(Tone::Changed);
    }
}

impl Part for Workload {
    fn key(&self) -> (u8, String) {
        (self.kind as u8, self.name.clone())
    }

    fn mark(&mut self, tone: Tone) {
        self.sign = sign(tone);
    }

    fn meet(&mut self, before: Workload, touched: &Touched) -> bool {
        let is_touched = touched.has(self.place.as_ref()) || touched.has(before.place.as_ref());
        self.addresses != before.addresses || is_touched
    }

    fn alter(&mut self) {
        self.sign = sign(Tone::Changed);
    }
}

/// A link by the names of what it joins, which are the same before and after.
struct Named {
    boxes: [(u8, String); 2],
    subnets: [Option<String>; 2],
    link: Link,
}

fn named(links: Vec<Link>, vpcs: &[Vpc]) -> Vec<Named> {
    let name = |link: Link| {
        let boxes = link.ends.each_ref().map(|end| vpcs[end.vpc].key());
        let subnet = |end: &LinkEnd| end.subnet.map(|at| vpcs[end.vpc].subnets[at].name.clone());
        Named { boxes, subnets: link.ends.each_ref().map(subnet), link }
    };
    links.into_iter().map(name).collect()
}

impl Named {
    /// The link with its ends where they are now.
    fn placed(self, vpcs: &[Vpc]) -> Option<Link> {
        let mut link = self.link;
        for ((end, name), subnet) in link.ends.iter_mut().zip(&self.boxes).zip(&self.subnets) {
            end.vpc = vpcs.iter().position(|vpc| vpc.key() == *name)?;
            let subnets = &vpcs[end.vpc].subnets;
            if let Some(name) = subnet {
                end.subnet = Some(subnets.iter().position(|it| it.name == *name)?);
            }
        }
        Some(link)
    }
}

impl Part for Named {
    fn key(&self) -> (u8, String) {
        let [(_, a), (_, b)] = &self.boxes;
        let subnet = self.subnets.iter().flatten().next().map_or("", String::as_str);
        // No name holds a control character once it is drawn.
        (u8::from(self.link.is_exit), [a, b, subnet].join("\n"))
    }

    fn mark(&mut self, tone: Tone) {
        self.link.sign = sign(tone);
    }

    fn meet(&mut self, before: Named, touched: &Touched) -> bool {
        let ends = self.link.ends.iter().zip(&before.link.ends);
        let differs = |(now, then): (&LinkEnd, &LinkEnd)| {
            let places = [&now.place, &then.place];
            now.address != then.address || places.into_iter().any(|place| touched.has(place.as_ref()))
        };
        ends.into_iter().any(differs)
    }

    fn alter(&mut self) {
        self.link.sign = sign(Tone::Changed);
    }
}

/// What has which sign.
fn legend(picture: &Picture, sum: &str) -> Legend {
    let line = |(tone, what): (Tone, &str)| {
        let has = |sign: &Option<Sign>| sign.as_ref().is_some_and(|sign| sign.tone == tone);
        let vpcs: Vec<&str> =
            picture.vpcs.iter().filter(|vpc| has(&vpc.sign)).map(|vpc| vpc.name.as_str()).collect();
        let all = || picture.vpcs.iter().flat_map(|vpc| &vpc.subnets);
        let subnets: Vec<&str> = all().filter(|it| has(&it.sign)).map(|it| it.name.as_str()).collect();
        let workloads = all().flat_map(|subnet| &subnet.workloads);
        let workloads: Vec<&str> = workloads.filter(|it| has(&it.sign)).map(|it| it.name.as_str()).collect();
        let n_links = picture.links.iter().filter(|link| has(&link.sign)).count();
        let counts = [
            (vpcs.len(), "VPC", "VPCs"),
            (subnets.len(), "subnet", "subnets"),
            (workloads.len(), "workload", "workloads"),
            (n_links, "link", "links"),
        ];
        let counts =
            counts.into_iter().filter(|(n, _, _)| *n > 0).map(|(n, one, many)| counted(n, one, many));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let names = [vpcs, subnets, workloads].concat().join(", ");
        (!counts.is_empty()).then(|| Some((sign(tone)?, format!("{what}: {counts}"), names))).flatten()
    };
    let tones = [(Tone::Added, "added"), (Tone::Changed, "changed"), (Tone::Removed, "removed")];
    let lines = tones.into_iter().filter_map(line).collect();
    Legend { title: sum.to_owned(), lines, arrows: Vec::new() }
}
