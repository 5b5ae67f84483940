//! Typed reading of a mapping: each field is asked for by name, and what nobody asked for is reported.
//!
//! A wrong type is a diagnostic and the field counts as absent, so that one run finds every mistake.
//! An empty string is absent, as the Kube-OVN API has it. Refuses to know any kind.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::yaml::{Entry, Node, Yaml};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{AddressRange, Mac};
use crate::nearest::nearest;
use crate::span::{Span, Spanned};

/// A mapping that is being read.
pub(crate) struct Fields<'d> {
    /// How the mapping is called in messages: `Subnet.spec`.
    what: &'static str,
    /// Where the whole mapping stands.
    pub(crate) span: Span,
    entries: &'d [Entry<'d>],
    asked: Vec<&'static str>,
    /// It was no mapping, which was reported: nothing is missing in it.
    broken: bool,
}

impl<'d> Fields<'d> {
    /// Starts reading `node` as a mapping; anything but a mapping or nothing is reported.
    pub(crate) fn of(what: &'static str, node: &'d Node<'d>, sink: &mut Sink) -> Fields<'d> {
        let (entries, broken) = match &node.value {
            Yaml::Map(entries) => (entries.as_slice(), false),
            Yaml::Null => (&[][..], false),
            Yaml::Scalar { .. } | Yaml::Seq(_) => {
                sink.push(wrong_type(node, what, "a mapping"));
                (&[][..], true)
            }
        };
        // Room for most kinds at once: it grows with each field that is asked for.
        Fields { what, span: node.span, entries, asked: Vec::with_capacity(16), broken }
    }

    /// A mapping without fields, for what may be left out altogether.
    pub(crate) fn empty(what: &'static str, span: Span) -> Fields<'d> {
        Fields { what, span, entries: &[], asked: Vec::new(), broken: false }
    }

    /// The raw value of a field; `None` for absent and null.
    pub(crate) fn node(&mut self, name: &'static str) -> Option<&'d Node<'d>> {
        self.asked.push(name);
        let entry = self.entries.iter().find(|e| e.key == name)?;
        (!matches!(entry.value.value, Yaml::Null)).then_some(&entry.value)
    }

    /// Where a field's key stands, if the field is there at all.
    pub(crate) fn key_span(&self, name: &str) -> Option<Span> {
        self.entries.iter().find(|e| e.key == name).map(|e| e.key_span)
    }

    /// The first field that nobody asked for so far, and where it stands.
    pub(crate) fn first_unasked(&self) -> Option<(&'d str, Span)> {
        let entry = self.entries.iter().find(|e| !self.asked.contains(&&*e.key))?;
        Some((&entry.key, entry.key_span))
    }

    /// Fields that are known and have no bearing on anything.
    pub(crate) fn skip(&mut self, names: &[&'static str]) {
        self.asked.extend_from_slice(names);
    }

    /// A string; a number or boolean written without quotes is taken as its text.
    pub(crate) fn text(&mut self, name: &'static str, sink: &mut Sink) -> Option<Spanned<&'d str>> {
        let node = self.node(name)?;
        text_of(node, name, sink).filter(|text| !text.value.trim().is_empty()).map(|t| t.map(str::trim))
    }

    /// A string that must be there.
    pub(crate) fn required(&mut self, name: &'static str, sink: &mut Sink) -> Option<Spanned<&'d str>> {
        let there = self.node(name).is_some_and(|node| !is_empty(node));
        if !there {
            self.report_missing(name, sink);
            return None;
        }
        self.text(name, sink)
    }

    /// Reports a required field that is not there.
    pub(crate) fn report_missing(&self, name: &str, sink: &mut Sink) {
        if !self.broken {
            sink.push(self.missing(name));
        }
    }

    /// The diagnostic for a required field that is not there.
    pub(crate) fn missing(&self, name: &str) -> Diagnostic {
        match self.key_span(name) {
            Some(span) => {
                Diagnostic::new(Code::MissingField, span, format!("`{name}` of {} is empty", self.what))
            }
            None => missing(self.what, self.span, name),
        }
    }

    /// The elements of a list.
    pub(crate) fn list(&mut self, name: &'static str, sink: &mut Sink) -> &'d [Node<'d>] {
        let Some(node) = self.node(name) else { return &[] };
        match &node.value {
            Yaml::Seq(items) => items,
            _ if is_empty(node) => &[],
            _ => {
                sink.push(wrong_type(node, name, "a list"));
                &[]
            }
        }
    }

    /// A mapping below this one; an empty one if absent.
    pub(crate) fn map(
        &mut self,
        name: &'static str,
        what: &'static str,
        sink: &mut Sink,
    ) -> Option<Fields<'d>> {
        let node = self.node(name)?;
        Some(Fields::of(what, node, sink))
    }

    /// Key and value of every entry whose value is a single one; for annotations and labels.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'d str, Span, Spanned<&'d str>)> {
        self.entries.iter().filter_map(|entry| match &entry.value.value {
            Yaml::Scalar { text, .. } => {
                Some((&*entry.key, entry.key_span, Spanned::new(text.trim(), entry.value.span)))
            }
            _ => None,
        })
    }

    /// Ends the reading: reports every field that nobody asked for.
    pub(crate) fn finish(&self, sink: &mut Sink) {
        for entry in self.entries.iter().filter(|e| !self.asked.contains(&&*e.key)) {
            let message = format!("{} has no field `{}`", self.what, entry.key);
            let diagnostic = Diagnostic::new(Code::UnknownField, entry.key_span, message);
            sink.push(match nearest(&entry.key, self.asked.iter().copied()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.note("it is ignored"),
            });
        }
    }
}

/// The diagnostic for a field that must be there and is not, in a mapping at `span`.
pub(crate) fn missing(what: &str, span: Span, name: &str) -> Diagnostic {
    Diagnostic::new(Code::MissingField, span, format!("{what} has no `{name}`")).help(format!("add `{name}`"))
}

/// True for nothing, and for a text without a letter.
pub(crate) fn is_empty(node: &Node<'_>) -> bool {
    match &node.value {
        Yaml::Null => true,
        Yaml::Scalar { text, .. } => text.trim().is_empty(),
        Yaml::Seq(_) | Yaml::Map(_) => false,
    }
}

/// A boolean; what else the field takes is said in `expected`.
pub(crate) fn bool_of(node: &Node<'_>, name: &str, expected: &str, sink: &mut Sink) -> Option<Spanned<bool>> {
    if let Yaml::Scalar { text, plain: true } = &node.value {
        match &*text.to_ascii_lowercase() {
            "true" | "yes" | "on" => return Some(Spanned::new(true, node.span)),
            "false" | "no" | "off" => return Some(Spanned::new(false, node.span)),
            _ => {}
        }
    }
    let mut problem = wrong_type(node, name, expected);
    if matches!(&node.value, Yaml::Scalar { plain: false, .. }) {
        problem = problem.help("remove the quotes");
    }
    sink.push(problem);
    None
}

/// A whole number, with or without quotes.
pub(crate) fn int_of(node: &Node<'_>, name: &str, sink: &mut Sink) -> Option<Spanned<i64>> {
    let number = match &node.value {
        Yaml::Scalar { text, .. } => text.trim().parse().ok(),
        _ => None,
    };
    if number.is_none() {
        sink.push(wrong_type(node, name, "a whole number"));
    }
    Some(Spanned::new(number?, node.span))
}

/// The items of a list of single values; one that stands alone is shown as the list that it should be.
pub(crate) fn items_of<'d>(node: &'d Node<'d>, name: &str, sink: &mut Sink) -> &'d [Node<'d>] {
    match &node.value {
        Yaml::Seq(items) => items,
        _ if is_empty(node) => &[],
        Yaml::Scalar { text, .. } => {
            sink.push(wrong_type(node, name, "a list").help(format!("write `{name}: [{}]`", short(text))));
            &[]
        }
        Yaml::Map(_) | Yaml::Null => {
            sink.push(wrong_type(node, name, "a list"));
            &[]
        }
    }
}

/// A string.
pub(crate) fn text_of<'d>(node: &'d Node<'d>, name: &str, sink: &mut Sink) -> Option<Spanned<&'d str>> {
    match &node.value {
        Yaml::Scalar { text, .. } => Some(Spanned::new(text, node.span)),
        Yaml::Null => None,
        Yaml::Seq(items) => {
            let texts: Option<Vec<&str>> = items
                .iter()
                .map(|item| match &item.value {
                    Yaml::Scalar { text, .. } => Some(&**text),
                    _ => None,
                })
                .collect();
            let problem = wrong_type(node, name, "a string");
            sink.push(match texts.filter(|texts| !texts.is_empty()) {
                Some(texts) => problem.help(format!("write `{name}: \"{}\"`", texts.join(","))),
                None => problem,
            });
            None
        }
        Yaml::Map(_) => {
            sink.push(wrong_type(node, name, "a string"));
            None
        }
    }
}

pub(crate) fn wrong_type(node: &Node<'_>, name: &str, expected: &str) -> Diagnostic {
    let found = match &node.value {
        Yaml::Scalar { text, plain: true } => format!("`{}`", short(text)),
        Yaml::Scalar { text, plain: false } => format!("the string `{}`", short(text)),
        _ => node.kind().to_owned(),
    };
    // A field goes by its name, everything else by a description.
    let message = if name.contains(' ') {
        format!("{name} is {expected}")
    } else {
        format!("`{name}` takes {expected}")
    };
    Diagnostic::new(Code::WrongType, node.span, message).at(format!("found {found}"))
}

/// Answers two fields of which only one can be set.
pub(crate) fn conflict(one: (&str, Span), other: (&str, Span), sink: &mut Sink) {
    let message = format!("`{}` and `{}` exclude each other", one.0, other.0);
    sink.push(
        Diagnostic::new(Code::ConflictingFields, one.1, message)
            .label(other.1, "the other")
            .help("decide for one of them"),
    );
}

/// The beginning of a text, where it is too long for a message.
fn short(text: &str) -> String {
    const SHOWN: usize = 40;
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { cut + "..." } else { cut }
}

/// The place of a part of a text, when the text stands in the source as it is.
pub(crate) fn part<'t>(whole: Spanned<&'t str>, part: &'t str) -> Spanned<&'t str> {
    let verbatim = whole.span.range().len() == whole.value.len();
    let at = (part.as_ptr() as usize).wrapping_sub(whole.value.as_ptr() as usize);
    if verbatim && at <= whole.value.len() {
        let start = whole.span.range().start + at;
        Spanned::new(part, Span::new(whole.span.file, start..start + part.len()))
    } else {
        Spanned::new(part, whole.span)
    }
}

/// The parts of a list in one string, separated by commas.
pub(crate) fn comma_list(text: Spanned<&str>) -> Vec<Spanned<&str>> {
    text.value.split(',').map(str::trim).filter(|p| !p.is_empty()).map(|p| part(text, p)).collect()
}

/// One of the words that a field takes.
pub(crate) fn choice<T: Copy>(
    text: Spanned<&str>,
    field: &str,
    known: &[(&str, T)],
    sink: &mut Sink,
) -> Option<T> {
    if let Some((_, value)) = known.iter().find(|(word, _)| *word == text.value) {
        return Some(*value);
    }
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    let diagnostic = Diagnostic::new(Code::BadValue, text.span, format!("`{field}` can't be `{text}`"));
    sink.push(match nearest(text.value, words.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("it takes {}", words.join(", "))),
    });
    None
}

/// The same text, kept beyond its document.
pub(crate) fn owned(text: Spanned<&str>) -> Spanned<String> {
    text.map(str::to_owned)
}

/// An address.
pub(crate) fn address(text: Spanned<&str>, what: &str, sink: &mut Sink) -> Option<Spanned<IpAddr>> {
    parse(text, &format!("{what} takes an IP address"), sink, |problem, text| {
        if text.contains('/') { problem.help("write the address without a prefix length") } else { problem }
    })
}

/// A prefix with its length as written, host bits and all.
pub(crate) fn interface_address(text: Spanned<&str>, what: &str, sink: &mut Sink) -> Option<Spanned<IpNet>> {
    parse(text, &format!("{what} takes an address with a prefix length, like 10.0.0.0/24"), sink, |p, _| p)
}

/// A network: host bits are cleared, with a warning.
pub(crate) fn network(text: Spanned<&str>, what: &str, sink: &mut Sink) -> Option<Spanned<IpNet>> {
    let net = interface_address(text, what, sink)?;
    Some(clear_host_bits(net, sink))
}

/// A network or a single address, which stands for itself alone.
pub(crate) fn network_or_address(text: Spanned<&str>, what: &str, sink: &mut Sink) -> Option<Spanned<IpNet>> {
    if let Ok(address) = IpAddr::from_str(text.value) {
        note_capitals(text, sink);
        return Some(Spanned::new(IpNet::from(address), text.span));
    }
    let wanted = format!("{what} takes an address or a prefix, like 10.0.0.0/24");
    let net = parse(text, &wanted, sink, |problem, _| problem)?;
    Some(clear_host_bits(net, sink))
}

/// `a` or `a..b`.
pub(crate) fn range(text: Spanned<&str>, what: &str, sink: &mut Sink) -> Option<Spanned<AddressRange>> {
    let (first, last) = match text.value.split_once("..") {
        Some((first, last)) => (first.trim(), Some(last.trim())),
        None => (text.value, None),
    };
    let first = address(part(text, first), what, sink)?.value;
    let last = match last {
        Some(last) => address(part(text, last), what, sink)?.value,
        None => first,
    };
    if first.is_ipv4() != last.is_ipv4() || first > last {
        let message = format!("`{text}` is not a range: it must go up, within one family");
        sink.push(
            Diagnostic::new(Code::BadAddress, text.span, message).help("write the lower address first"),
        );
        return None;
    }
    Some(Spanned::new(AddressRange { first, last }, text.span))
}

/// A MAC address that an interface can have.
pub(crate) fn mac(text: Spanned<&str>, sink: &mut Sink) -> Option<Spanned<Mac>> {
    match text.value.parse::<Mac>() {
        Ok(mac) if mac.is_unicast() => return Some(Spanned::new(mac, text.span)),
        Ok(_) => {
            let message = format!("no interface can have the MAC address `{text}`");
            sink.push(
                Diagnostic::new(Code::BadMac, text.span, message)
                    .help("choose one whose first byte is even, like 02:00:00:00:00:01"),
            );
        }
        Err(()) => {
            let message = format!("`{text}` is not a MAC address");
            sink.push(
                Diagnostic::new(Code::BadAddress, text.span, message)
                    .help("write six pairs of hexadecimal digits, like 02:00:00:00:00:01"),
            );
        }
    }
    None
}

fn clear_host_bits(net: Spanned<IpNet>, sink: &mut Sink) -> Spanned<IpNet> {
    let cleared = net.value.trunc();
    if cleared != net.value {
        let message = format!("`{}` has host bits set", net.value);
        let host = IpNet::from(net.value.addr());
        sink.push(
            Diagnostic::new(Code::HostBits, net.span, message)
                .at(format!("stands for {cleared}"))
                .help(format!("write {cleared}, or {host} for the one address")),
        );
    }
    net.map(|_| cleared)
}

fn parse<T: FromStr>(
    text: Spanned<&str>,
    wanted: &str,
    sink: &mut Sink,
    help: impl Fn(Diagnostic, &str) -> Diagnostic,
) -> Option<Spanned<T>> {
    match text.value.parse() {
        Ok(value) => {
            note_capitals(text, sink);
            Some(Spanned::new(value, text.span))
        }
        Err(_) => {
            let problem = Diagnostic::new(Code::BadAddress, text.span, wanted.to_owned())
                .at(format!("found `{}`", text.value));
            sink.push(help(problem, text.value));
            None
        }
    }
}

fn note_capitals(text: Spanned<&str>, sink: &mut Sink) {
    if text.value.chars().any(|c| c.is_ascii_uppercase()) {
        let message = format!("`{}` is written in capitals", text.value);
        sink.push(
            Diagnostic::new(Code::UpperCaseAddress, text.span, message)
                .help(format!("write `{}`; Kube-OVN refuses capitals", text.value.to_ascii_lowercase())),
        );
    }
}
