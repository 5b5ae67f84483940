//! Typed reading of a mapping: each field is asked for by name, and what nobody asked for is reported.
//!
//! A wrong type is a diagnostic and the field counts as absent, so that one run finds every mistake.
//! An empty string is absent, as the Kube-OVN API has it. Refuses to know any kind.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::yaml::{Entry, Node, Yaml};
use crate::diag::{Code, Diagnostic, Sink};
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
        Fields { what, span: node.span, entries, asked: Vec::new(), broken }
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
            None => Diagnostic::new(Code::MissingField, self.span, format!("{} has no `{name}`", self.what))
                .help(format!("add `{name}`")),
        }
    }

    /// A boolean.
    pub(crate) fn bool(&mut self, name: &'static str, sink: &mut Sink) -> Option<Spanned<bool>> {
        let node = self.node(name)?;
        if let Yaml::Scalar { text, plain: true } = &node.value {
            match &*text.to_ascii_lowercase() {
                "true" | "yes" | "on" => return Some(Spanned::new(true, node.span)),
                "false" | "no" | "off" => return Some(Spanned::new(false, node.span)),
                _ => {}
            }
        }
        let mut problem = wrong_type(node, name, "true or false");
        if matches!(&node.value, Yaml::Scalar { plain: false, .. }) {
            problem = problem.help("remove the quotes");
        }
        sink.push(problem);
        None
    }

    /// Where a boolean field is written as `true`.
    pub(crate) fn flag(&mut self, name: &'static str, sink: &mut Sink) -> Option<Span> {
        self.bool(name, sink).filter(|b| b.value).map(|b| b.span)
    }

    /// A whole number, with or without quotes.
    pub(crate) fn int(&mut self, name: &'static str, sink: &mut Sink) -> Option<Spanned<i64>> {
        let node = self.node(name).filter(|node| !is_empty(node))?;
        let number = match &node.value {
            Yaml::Scalar { text, .. } => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            sink.push(wrong_type(node, name, "a whole number"));
        }
        Some(Spanned::new(number?, node.span))
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

    /// The strings of a list, with surrounding blanks removed and empty ones left out.
    pub(crate) fn texts(&mut self, name: &'static str, sink: &mut Sink) -> Vec<Spanned<&'d str>> {
        let alone = self.node(name).filter(|node| !is_empty(node));
        if let Some(node @ Node { value: Yaml::Scalar { text, .. }, .. }) = alone {
            sink.push(wrong_type(node, name, "a list").help(format!("write `{name}: [{}]`", short(text))));
            return Vec::new();
        }
        let nodes = self.list(name, sink);
        let texts = nodes.iter().filter_map(|node| text_of(node, name, sink));
        texts.map(|t| t.map(str::trim)).filter(|t| !t.value.is_empty()).collect()
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

fn is_empty(node: &Node<'_>) -> bool {
    match &node.value {
        Yaml::Null => true,
        Yaml::Scalar { text, .. } => text.trim().is_empty(),
        Yaml::Seq(_) | Yaml::Map(_) => false,
    }
}

fn text_of<'d>(node: &'d Node<'d>, name: &str, sink: &mut Sink) -> Option<Spanned<&'d str>> {
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
