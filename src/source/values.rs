//! What fields of Kube-OVN's API hold, beyond what [`super::declare`] can say by itself.
//!
//! Refuses to know which field it is.

use ipnet::IpNet;

use super::declare::{Form, Take, TakeText, take_texts};
use super::fields::{bool_of, comma_list, network_or_address, owned, part, text_of};
use super::yaml::{Entry, Node, Yaml};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::Setting;
use crate::span::{Span, Spanned};

/// Anything: what is in there is nobody's business here.
#[derive(Debug)]
pub(crate) struct Anything;

impl Take for Anything {
    fn form() -> Form {
        Form::Anything
    }

    fn take<'d>(_: &'d Node<'d>, _: &'static str, _: &mut Sink) -> Option<Anything> {
        Some(Anything)
    }
}

/// Where it is written that something is on, if it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag(pub(crate) Option<Span>);

impl Take for Flag {
    fn form() -> Form {
        Form::Boolean
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Flag> {
        let on = bool_of(node, name, "true or false", sink)?;
        Some(Flag(on.value.then_some(on.span)))
    }

    fn absent() -> Option<Flag> {
        Some(Flag(None))
    }
}

/// Several in one text, with commas between them; none where nothing is said.
#[derive(Debug)]
pub(crate) struct Commas<T>(pub(crate) Vec<T>);

impl<T: TakeText> Take for Spanned<Commas<T>> {
    fn form() -> Form {
        Form::Commas(Box::new(T::form()))
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Spanned<Commas<T>>> {
        let text = text_of(node, name, sink)?;
        let parts = comma_list(text).into_iter();
        let all = parts.filter_map(|part| T::take_text(part, name, sink)).collect();
        Some(Spanned::new(Commas(all), text.span))
    }
}

impl<T: TakeText> Take for Commas<T> {
    fn form() -> Form {
        <Spanned<Commas<T>> as Take>::form()
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Commas<T>> {
        Spanned::<Commas<T>>::take(node, name, sink).map(|all| all.value)
    }

    fn absent() -> Option<Commas<T>> {
        Some(Commas(Vec::new()))
    }
}

/// A value, and whether nothing was wrong in it: what is not there is not to be missed where something was lost.
#[derive(Debug)]
pub(crate) struct Whole<T> {
    /// What could be read.
    pub(crate) value: T,
    /// Whether that is all.
    pub(crate) whole: bool,
}

impl<T: Take> Take for Whole<T> {
    fn form() -> Form {
        T::form()
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Whole<T>> {
        let n_errors = sink.n_errors();
        let value = T::take(node, name, sink).or_else(T::absent)?;
        Some(Whole { value, whole: sink.n_errors() == n_errors })
    }

    fn absent() -> Option<Whole<T>> {
        Some(Whole { value: T::absent()?, whole: true })
    }
}

/// A prefix, or an address, which stands for itself alone.
#[derive(Debug)]
pub(crate) struct Block(pub(crate) Spanned<IpNet>);

/// A port, with or without quotes.
#[derive(Debug)]
pub(crate) struct Port(pub(crate) Spanned<u16>);

/// A label and its value: `key:value`, or a mapping of the one to the other, which is what YAML makes of `key: value`.
#[derive(Debug)]
pub(crate) struct Label(pub(crate) Spanned<(String, String)>);

/// `name=value`, as the API writes options.
#[derive(Debug)]
pub(crate) struct Pair(pub(crate) Setting);

take_texts! {
    Block, Form::Block, |text, name: &str, sink| network_or_address(text, &format!("`{name}`"), sink).map(Block);
    Port, Form::Port, |text, _: &str, sink| port(text, sink);
    Pair, Form::Text, |text, _: &str, sink| pair(text, sink);
}

fn port(text: Spanned<&str>, sink: &mut Sink) -> Option<Port> {
    let number = text.value.parse().ok().filter(|number| *number > 0);
    if number.is_none() {
        let message = format!("`{text}` is not a port: they are 1 – 65535");
        sink.push(Diagnostic::new(Code::BadValue, text.span, message));
    }
    Some(Port(Spanned::new(number?, text.span)))
}

impl Take for Label {
    fn form() -> Form {
        Form::Label
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Label> {
        let trimmed = |key: &str, value: &str| (key.trim().to_owned(), value.trim().to_owned());
        if let Yaml::Map(entries) = &node.value
            && let [Entry { key, value: Node { value: Yaml::Scalar { text, .. }, .. }, .. }] =
                entries.as_slice()
        {
            return Some(Label(Spanned::new(trimmed(key, text), node.span)));
        }
        let text = text_of(node, name, sink)?;
        match text.value.split_once(':') {
            Some((key, value)) => Some(Label(text.map(|_| trimmed(key, value)))),
            None => {
                let message = format!("`{text}` is no label and its value");
                sink.push(Diagnostic::new(Code::BadValue, text.span, message).help("write it as `app:web`"));
                None
            }
        }
    }
}

pub(crate) fn pair(text: Spanned<&str>, sink: &mut Sink) -> Option<Pair> {
    match text.value.split_once('=') {
        Some((name, value)) => {
            let (name, value) = (part(text, name.trim()), part(text, value.trim()));
            Some(Pair(Setting { name: owned(name), value: owned(value) }))
        }
        None => {
            let message = format!("`{text}` is not `name=value`");
            sink.push(Diagnostic::new(Code::BadValue, text.span, message));
            None
        }
    }
}
