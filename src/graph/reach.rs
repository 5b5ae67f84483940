//! Who reaches whom, painted on a picture: a letter for all that behave alike, or an answer on each.
//!
//! Refuses to follow packets; somebody has done that, and says what came of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Legend, Picture, Sign, Tone, counted};

/// More arrows than these are more than anybody can follow.
const ARROWS_MAX: usize = 40;

/// Parties that behave alike.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The names that they are plugged in by.
    pub ports: BTreeSet<String>,
    /// What people call them.
    pub names: Vec<String>,
    /// Whether the world outside is one of them.
    pub has_outside: bool,
}

/// What becomes of packets from one group to another: yes, no or open, and for which.
pub type Answer = Vec<(Tone, String)>;

/// Who reaches whom.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The one that is asked about, as it was called; `None` where everybody is.
    pub asked: Option<String>,
    /// Who sends.
    pub from: Vec<Group>,
    /// Who is sent to: the same groups where everybody is asked about.
    pub to: Vec<Group>,
    /// By sender and receiver in those.
    pub answers: BTreeMap<(usize, usize), Answer>,
}

/// What answers come to.
pub fn tone(answer: &[(Tone, String)]) -> Tone {
    let has = |tone| answer.iter().any(|(it, _)| *it == tone);
    match (has(Tone::Yes), has(Tone::No), has(Tone::Open)) {
        (true, false, false) => Tone::Yes,
        (true, _, _) => Tone::Partly,
        (false, _, true) => Tone::Open,
        (false, _, false) => Tone::No,
    }
}

/// A, B, … Z, AA, AB …
fn letters(n: usize) -> String {
    let last = char::from(b'A' + u8::try_from(n % 26).unwrap_or(0));
    match n / 26 {
        0 => last.to_string(),
        before => format!("{}{last}", letters(before - 1)),
    }
}

impl Reach {
    /// The group that an object is in, as a sender where everybody is asked about.
    pub fn group_of(&self, port: &str) -> Option<usize> {
        self.to.iter().position(|group| group.ports.contains(port))
    }

    /// The letters of a group, or the answer that it got.
    pub fn sign(&self, group: usize) -> Sign {
        if self.asked.is_none() {
            return Sign { text: letters(group), tone: Tone::Group(group) };
        }
        let answer: Answer = (0..self.from.len())
            .filter_map(|from| self.answers.get(&(from, group)))
            .flatten()
            .cloned()
            .collect();
        if answer.is_empty() {
            return Sign { text: "from".to_owned(), tone: Tone::Asked };
        }
        let tone = tone(&answer);
        let text = match tone {
            Tone::Yes => "yes",
            Tone::Partly => "part",
            Tone::No => "no",
            _ => "?",
        };
        Sign { text: text.to_owned(), tone }
    }

    /// What passes between two groups: empty where everything does.
    pub fn passes(&self, from: usize, to: usize) -> Option<String> {
        let answer = self.answers.get(&(from, to))?;
        let yes = answer.iter().filter(|(tone, _)| *tone == Tone::Yes).map(|(_, what)| what.as_str());
        let yes: Vec<&str> = yes.collect();
        (!yes.is_empty()).then(|| yes.join(", "))
    }
}

/// Puts signs on everything that somebody was asked about, and says what they mean.
pub fn paint(picture: &mut Picture, reach: &Reach) {
    let outside = reach.to.iter().position(|group| group.has_outside).map(|group| reach.sign(group));
    let asked: BTreeSet<&String> = match reach.asked {
        Some(_) => reach.from.iter().flat_map(|group| &group.ports).collect(),
        None => BTreeSet::new(),
    };
    for vpc in &mut picture.vpcs {
        if vpc.kind == Kind::Physical {
            vpc.sign.clone_from(&outside);
        }
        for workload in vpc.subnets.iter_mut().flat_map(|subnet| &mut subnet.workloads) {
            workload.sign = reach.group_of(&workload.port).map(|group| reach.sign(group));
            if asked.contains(&workload.port) {
                workload.sign = Some(Sign { text: "from".to_owned(), tone: Tone::Asked });
            }
        }
    }
    picture.legend = Some(match &reach.asked {
        Some(name) => answers(reach, name),
        None => groups(reach),
    });
}

/// Who is in a group: some of them, and how many more.
fn some<S: AsRef<str>>(names: &[S]) -> String {
    let n_named = if names.len() <= 3 { 3 } else { 2 };
    let named: Vec<&str> = names.iter().take(n_named).map(AsRef::as_ref).collect();
    match names.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn groups(reach: &Reach) -> Legend {
    let mut arrows = Vec::new();
    let mut line = |(from, group): (usize, &Group)| {
        let mut by_words: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for to in 0..reach.to.len() {
            if let Some(what) = reach.passes(from, to) {
                arrows.push((from, to, what.clone()));
                by_words.entry(what).or_default().push(reach.sign(to).text);
            }
        }
        let said = by_words.into_iter().map(|(what, who)| match what.is_empty() {
            true => who.join(", "),
            false => format!("{} for {what}", who.join(", ")),
        });
        let said = said.collect::<Vec<_>>().join("; ");
        let said = if said.is_empty() { "reaches nobody".to_owned() } else { format!("→ {said}") };
        (reach.sign(from), some(&group.names), said)
    };
    let lines: Vec<_> = reach.from.iter().enumerate().map(&mut line).collect();
    if arrows.len() > ARROWS_MAX {
        arrows.clear();
    }
    Legend { title: "Who reaches whom".to_owned(), lines, arrows }
}

fn answers(reach: &Reach, name: &str) -> Legend {
    let mut by_answer: BTreeMap<(Sign, String), Vec<&String>> = BTreeMap::new();
    for (to, group) in reach.to.iter().enumerate() {
        let passes: BTreeSet<String> = (0..reach.from.len())
            .filter_map(|from| reach.passes(from, to))
            .filter(|it| !it.is_empty())
            .collect();
        let what = passes.into_iter().collect::<Vec<_>>().join("; ");
        by_answer.entry((reach.sign(to), what)).or_default().extend(&group.names);
    }
    let line = |((sign, what), names): ((Sign, String), Vec<&String>)| {
        let who = match names.as_slice() {
            [one] => (*one).clone(),
            many => format!("{}: {}", counted(many.len(), "machine", "machines"), some(many)),
        };
        (sign, who, what)
    };
    let lines = by_answer.into_iter().filter(|((sign, _), _)| sign.tone != Tone::Asked).map(line).collect();
    Legend { title: format!("What {name} reaches"), lines, arrows: Vec::new() }
}
