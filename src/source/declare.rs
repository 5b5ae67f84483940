//! A kind is declared once: its type, its reader, its JSON Schema and its page all follow from that.
//!
//! [`declare!`] makes a type of named fields, each of a type that can be read ([`Take`]): `Option` and `Vec` may
//! be left out, what is neither must be there. A field that is wrong is reported and counts as absent, so that
//! one run finds every mistake. Refuses to know any kind.

use std::net::IpAddr;

use ipnet::IpNet;

use super::fields::{
    Fields, address, bool_of, choice, int_of, is_empty, items_of, mac, network, network_or_address, owned,
    range, text_of, wrong_type,
};
use super::yaml::{Node, Yaml};
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::{AddressRange, Mac, PortRange, Service, Setting};
use crate::span::{Span, Spanned};

/// What a field takes.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Anything at all.
    Anything,
    /// Any text.
    Text,
    /// Any number of these in one text, with commas between them.
    Commas(Box<Form>),
    /// An address.
    Address,
    /// A prefix.
    Network,
    /// A label and its value.
    Label,
    /// A prefix or an address.
    Block,
    /// A prefix, an address, or the name of a PrefixList.
    Cidr,
    /// An address, or the first and the last of several.
    Range,
    /// An Ethernet address.
    Mac,
    /// A port.
    Port,
    /// A port, or the first and the last of several.
    Ports,
    /// A protocol, or one with ports.
    Service,
    /// `true` or `false`.
    Boolean,
    /// A whole number between these.
    Integer(i64, i64),
    /// One of these words.
    Words(Vec<&'static str>),
    /// Any number of these.
    List(Box<Form>),
    /// Exactly two of these.
    Pair(Box<Form>),
    /// One of these, or a list of them.
    OneOrMore(Box<Form>),
    /// `true`, `false`, or this.
    Switch(Box<Form>),
    /// Names and single values.
    Settings,
    /// Named fields.
    Mapping(Vec<Field>),
}

/// A field of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: String,
    /// What it takes.
    pub form: Form,
    /// Whether it must be there.
    pub required: bool,
    /// What holds where it is left out, if that is worth saying.
    pub default: Option<&'static str>,
    /// What it is answered with, where no row follows from it.
    pub unused: Option<Unused>,
}

/// A field that the API has and that no row follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unused {
    /// What it says where it says nothing: the API's own default.
    pub nothing: &'static str,
    /// What it is answered with.
    pub code: Code,
    /// Why there is none, or what holds instead.
    pub why: &'static str,
}

/// What can be read from a node.
pub(crate) trait Take: Sized {
    /// What it takes.
    fn form() -> Form;

    /// Reads it; what is wrong is reported.
    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Self>;

    /// What it is where nobody says; `None` where somebody must.
    fn absent() -> Option<Self> {
        None
    }
}

/// A mapping of declared fields.
pub(crate) trait Mapping: Sized {
    /// How it is called in messages: `Subnet.spec`, `a route`.
    const WHAT: &'static str;

    /// What it is.
    fn about() -> String;

    /// Its fields, in the order in which people read them.
    fn fields() -> Vec<Field>;

    /// Whether one of them must be there; asked of every object, and [`Mapping::fields`] makes texts.
    fn needs_some() -> bool;

    /// Reads it; `None` where a field that must be there is not.
    fn read(fields: Fields<'_>, sink: &mut Sink) -> Option<Self>;
}

impl<'d> Fields<'d> {
    /// A field of a declared type. `None` only where it had to be there.
    pub(crate) fn take<T: Take>(&mut self, name: &'static str, sink: &mut Sink) -> Option<T> {
        if let Some(node) = self.node(name).filter(|node| !is_empty(node)) {
            return T::take(node, name, sink).or_else(T::absent);
        }
        let absent = T::absent();
        if absent.is_none() {
            self.report_missing(name, sink);
        }
        absent
    }

    /// A field that no row follows from: one that says something is answered.
    pub(crate) fn unused<T: Take>(&mut self, name: &'static str, unused: Unused, sink: &mut Sink) {
        if let Some(node) = self.node(name).filter(|node| !says_nothing(node, unused.nothing)) {
            T::take(node, name, sink);
        }
        self.answer(name, unused, sink);
    }

    /// Answers a field that no row follows from, if it says something.
    pub(crate) fn answer(&mut self, name: &'static str, unused: Unused, sink: &mut Sink) {
        let Some(node) = self.node(name).filter(|node| !says_nothing(node, unused.nothing)) else { return };
        // A list or mapping is underlined at its key.
        let is_scalar = matches!(node.value, Yaml::Scalar { .. });
        let key = self.key_span(name).filter(|_| !is_scalar);
        unused.answer(key.unwrap_or(node.span), name, sink);
    }
}

impl Unused {
    /// Says that a field has no effect.
    pub(crate) fn answer(self, span: Span, name: &str, sink: &mut Sink) {
        let message = match self.code {
            Code::NotYet => format!("`{name}` is not lowered by this version of northc"),
            _ => format!("`{name}` has no effect here"),
        };
        sink.push(Diagnostic::new(self.code, span, message).note(self.why));
    }
}

/// Whether a value is empty, the default, or something that is switched off.
fn says_nothing(node: &Node<'_>, nothing: &str) -> bool {
    match &node.value {
        Yaml::Null => true,
        Yaml::Scalar { text, .. } => text.trim().is_empty() || text.trim().eq_ignore_ascii_case(nothing),
        Yaml::Seq(items) => items.is_empty(),
        Yaml::Map(entries) => match entries.iter().find(|entry| entry.key == "enabled") {
            Some(switch) => says_nothing(&switch.value, "false"),
            None => entries.iter().all(|entry| says_nothing(&entry.value, "false")),
        },
    }
}

/// The lines of a doc comment as one text.
pub(crate) fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Declares a mapping: `struct Name "how messages call it" { "key" field: Type = "default", … }`; after that, in
/// `unused { "key" Type = "nothing": code, "why"; … }`, the fields that no row follows from. One of which others need
/// the value stands above, with `=> code, "why"`.
macro_rules! declare {
    (
        $(#[doc = $about:literal])*
        pub(crate) struct $name:ident $what:literal {
            $(
                $(#[doc = $doc:literal])*
                $key:literal $field:ident: $type:ty $(= $default:literal)? $(=> $answer:expr, $because:expr)?,
            )*
        }
        $( unused {
            $( $spare:literal $spare_type:ty $(= $nothing:literal)?: $code:expr, $why:expr; )*
        } )?
    ) => {
        $(#[doc = $about])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $field: $type, )*
        }

        impl $crate::source::declare::Mapping for $name {
            const WHAT: &'static str = $what;

            fn about() -> String {
                $crate::source::declare::joined(&[$($about),*])
            }

            fn fields() -> Vec<$crate::source::declare::Field> {
                vec![$( $crate::source::declare::Field {
                    name: $key,
                    about: $crate::source::declare::joined(&[$($doc),*]),
                    form: <$type as $crate::source::declare::Take>::form(),
                    required: <$type as $crate::source::declare::Take>::absent().is_none(),
                    default: None::<&'static str>$(.or(Some($default)))?,
                    unused: None::<$crate::source::declare::Unused>
                        $(.or(Some($crate::source::declare::unused!($answer, $because))))?,
                }, )* $( $( $crate::source::declare::Field::unused::<$spare_type>(
                    $spare,
                    $crate::source::declare::unused!($code, $why $(, $nothing)?),
                ), )* )?]
            }

            fn needs_some() -> bool {
                false $( || <$type as $crate::source::declare::Take>::absent().is_none() )*
            }

            fn read(
                mut fields: $crate::source::fields::Fields<'_>,
                sink: &mut $crate::diag::Sink,
            ) -> Option<$name> {
                $(
                    let $field = fields.take::<$type>($key, sink);
                    $( fields.answer($key, $crate::source::declare::unused!($answer, $because), sink); )?
                )*
                $( $( fields.unused::<$spare_type>(
                    $spare,
                    $crate::source::declare::unused!($code, $why $(, $nothing)?),
                    sink,
                ); )* )?
                fields.finish(sink);
                Some($name { $( $field: $field?, )* })
            }
        }
    };
}
pub(crate) use declare;

/// What a field without effect is answered with, as [`declare!`] has it.
macro_rules! unused {
    ($code:expr, $why:expr $(, $nothing:literal)?) => {
        $crate::source::declare::Unused {
            nothing: concat!("" $(, $nothing)?),
            code: $code,
            why: $why,
        }
    };
}
pub(crate) use unused;

impl Field {
    /// One that no row follows from.
    pub(crate) fn unused<T: Take>(name: &'static str, unused: Unused) -> Field {
        let (about, form) = (String::new(), T::form());
        Field { name, about, form, required: false, default: None, unused: Some(unused) }
    }
}

impl<M: Mapping> Take for Spanned<M> {
    fn form() -> Form {
        Form::Mapping(M::fields())
    }

    fn take<'d>(node: &'d Node<'d>, _: &'static str, sink: &mut Sink) -> Option<Spanned<M>> {
        Some(Spanned::new(M::read(Fields::of(M::WHAT, node, sink), sink)?, node.span))
    }
}

impl<T: Take> Take for Option<T> {
    fn form() -> Form {
        T::form()
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Option<T>> {
        Some(T::take(node, name, sink))
    }

    fn absent() -> Option<Option<T>> {
        Some(None)
    }
}

/// Where it is seldom there, and would make what holds it large.
impl<T: Take> Take for Box<T> {
    fn form() -> Form {
        T::form()
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Box<T>> {
        T::take(node, name, sink).map(Box::new)
    }

    fn absent() -> Option<Box<T>> {
        T::absent().map(Box::new)
    }
}

impl<T: Take> Take for Vec<T> {
    fn form() -> Form {
        Form::List(Box::new(T::form()))
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Vec<T>> {
        let is_alone = matches!(node.value, Yaml::Scalar { .. }) && !is_empty(node);
        if is_alone && matches!(T::form(), Form::Mapping(_)) {
            sink.push(wrong_type(node, name, "a list"));
            return None;
        }
        let items = items_of(node, name, sink).iter().filter(|item| !is_empty(item));
        let mut taken: Vec<T> = items.filter_map(|item| T::take(item, name, sink)).collect();
        // A list of one, as a port's groups mostly are, would keep room for four.
        taken.shrink_to_fit();
        Some(taken)
    }

    fn absent() -> Option<Vec<T>> {
        Some(Vec::new())
    }
}

/// Exactly two.
#[derive(Debug)]
pub(crate) struct Pair<T>(pub(crate) [T; 2]);

impl<T: Take> Take for Pair<T> {
    fn form() -> Form {
        Form::Pair(Box::new(T::form()))
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Pair<T>> {
        let n_errors = sink.n_errors();
        let items = Vec::<T>::take(node, name, sink)?;
        let n = items.len();
        let pair = items.try_into().ok().map(Pair);
        if pair.is_none() && sink.n_errors() == n_errors {
            sink.push(wrong_type(node, name, "a list of two").at(format!("found {n}")));
        }
        pair
    }
}

/// One or several, as is convenient; none where nothing is said.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMore<T>(pub(crate) Vec<T>);

impl<T: Take> Take for OneOrMore<T> {
    fn form() -> Form {
        Form::OneOrMore(Box::new(T::form()))
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<OneOrMore<T>> {
        Some(OneOrMore(match node.value {
            Yaml::Seq(_) => Vec::take(node, name, sink)?,
            Yaml::Null | Yaml::Scalar { .. } | Yaml::Map(_) => {
                T::take(node, name, sink).into_iter().collect()
            }
        }))
    }

    fn absent() -> Option<OneOrMore<T>> {
        Some(OneOrMore(Vec::new()))
    }
}

/// On, off, or on with settings.
#[derive(Debug)]
pub(crate) enum Switch<T> {
    /// `false`.
    Off,
    /// `true`, and where.
    On(Span),
    /// On, with these.
    With(Spanned<T>),
}

impl<T> Take for Switch<T>
where
    Spanned<T>: Take,
{
    fn form() -> Form {
        Form::Switch(Box::new(Spanned::<T>::form()))
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Switch<T>> {
        match &node.value {
            Yaml::Map(_) => Spanned::take(node, name, sink).map(Switch::With),
            Yaml::Seq(_) => {
                sink.push(wrong_type(node, name, "true, false or a mapping"));
                None
            }
            Yaml::Null | Yaml::Scalar { .. } => {
                let on = bool_of(node, name, "true, false or a mapping", sink)?;
                Some(if on.value { Switch::On(on.span) } else { Switch::Off })
            }
        }
    }
}

/// Settings by name, in the words of whoever acts upon them.
#[derive(Debug)]
pub(crate) struct Settings(pub(crate) Vec<Setting>);

impl Take for Spanned<Settings> {
    fn form() -> Form {
        Form::Settings
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Spanned<Settings>> {
        let Yaml::Map(entries) = &node.value else {
            sink.push(wrong_type(node, name, "a mapping"));
            return None;
        };
        let one = |entry: &'d super::yaml::Entry<'d>| {
            let value = text_of(&entry.value, name, sink)?;
            let name = Spanned::new(entry.key.to_string(), entry.key_span);
            Some(Setting { name, value: owned(value) })
        };
        Some(Spanned::new(Settings(entries.iter().filter_map(one).collect()), node.span))
    }
}

/// A prefix or an address, or the name of a PrefixList that holds some.
#[derive(Clone, Debug)]
pub(crate) enum Cidr {
    /// Itself.
    Net(Spanned<IpNet>),
    /// Those of the list.
    List(Spanned<String>),
}

impl Cidr {
    /// Where it stands.
    pub(crate) fn span(&self) -> Span {
        match self {
            Cidr::Net(net) => net.span,
            Cidr::List(name) => name.span,
        }
    }
}

impl Take for Cidr {
    fn form() -> Form {
        Form::Cidr
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Cidr> {
        let text = text_of(node, name, sink)?.map(str::trim);
        let is_name =
            text.value.contains(|c: char| c.is_ascii_alphabetic()) && !text.value.contains([':', '/']);
        if is_name {
            return Some(Cidr::List(owned(text)));
        }
        network_or_address(text, &format!("`{name}`"), sink).map(Cidr::Net)
    }
}

/// A whole number between the two. What lies outside is not refused here but where it is known why.
#[derive(Debug)]
pub(crate) struct Int<const MIN: i64, const MAX: i64>(pub(crate) Spanned<i64>);

impl<const MIN: i64, const MAX: i64> Take for Int<MIN, MAX> {
    fn form() -> Form {
        Form::Integer(MIN, MAX)
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Int<MIN, MAX>> {
        int_of(node, name, sink).map(Int)
    }
}

impl Take for Spanned<bool> {
    fn form() -> Form {
        Form::Boolean
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Spanned<bool>> {
        bool_of(node, name, "true or false", sink)
    }
}

/// A port, or `first-last`.
#[derive(Debug)]
pub(crate) struct Ports(pub(crate) Spanned<PortRange>);

impl Take for Ports {
    fn form() -> Form {
        Form::Ports
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Ports> {
        let text = text_of(node, name, sink)?.map(str::trim);
        let (first, last) = text.value.split_once('-').unwrap_or((text.value, text.value));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => {
                Some(Ports(Spanned::new(PortRange { first, last }, text.span)))
            }
            _ => {
                let message = format!("`{text}` is no port, and no range of ports");
                sink.push(
                    Diagnostic::new(Code::PortRange, text.span, message)
                        .help("ports are 1 to 65535, and a range is written as 8000-8080"),
                );
                None
            }
        }
    }
}

/// An enumeration and the words for it.
pub(crate) trait Words: Copy + 'static {
    /// Word and meaning.
    const WORDS: &'static [(&'static str, Self)];
}

/// What can be read from a text, which may be a part of a longer one.
pub(crate) trait TakeText: Take {
    /// Reads it; what is wrong is reported.
    fn take_text(text: Spanned<&str>, name: &'static str, sink: &mut Sink) -> Option<Self>;
}

/// Types that are written as a text.
macro_rules! take_texts {
    ($( $type:ty, $form:expr, $read:expr; )*) => { $(
        impl $crate::source::declare::TakeText for $type {
            fn take_text(text: Spanned<&str>, name: &'static str, sink: &mut Sink) -> Option<Self> {
                $read(text, name, sink)
            }
        }

        impl $crate::source::declare::Take for $type {
            fn form() -> Form {
                $form
            }

            fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Self> {
                let text = text_of(node, name, sink)?.map(str::trim);
                $crate::source::declare::TakeText::take_text(text, name, sink)
            }
        }
    )* };
}
pub(crate) use take_texts;

take_texts! {
    Spanned<String>, Form::Text, |text, _: &str, _: &mut Sink| Some(owned(text));
    Spanned<IpAddr>, Form::Address, |text, name: &str, sink| address(text, &format!("`{name}`"), sink);
    Spanned<IpNet>, Form::Network, |text, name: &str, sink| network(text, &format!("`{name}`"), sink);
    Spanned<AddressRange>, Form::Range, |text, name: &str, sink| range(text, &format!("`{name}`"), sink);
    Spanned<Mac>, Form::Mac, |text, _: &str, sink| mac(text, sink);
    Spanned<Service>, Form::Service, |text: Spanned<&str>, _: &str, sink: &mut Sink| match text.value.parse() {
        Ok(service) => Some(Spanned::new(service, text.span)),
        Err(why) => {
            sink.push(Diagnostic::new(Code::BadValue, text.span, why).help("write `tcp/443`, `udp/8000-8080` or `icmp`"));
            None
        }
    };
}

/// One of an enumeration's words.
#[derive(Debug)]
pub(crate) struct Word<E>(pub(crate) Spanned<E>);

impl<E: Words> Take for Word<E> {
    fn form() -> Form {
        Form::Words(E::WORDS.iter().map(|(word, _)| *word).collect())
    }

    fn take<'d>(node: &'d Node<'d>, name: &'static str, sink: &mut Sink) -> Option<Word<E>> {
        let text = text_of(node, name, sink)?.map(str::trim);
        choice(text, name, E::WORDS, sink).map(|word| Word(Spanned::new(word, text.span)))
    }
}
