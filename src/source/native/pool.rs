//! `northc.io/v1alpha1` IpPool: addresses of a subnet for the interfaces that name it.
//!
//! Refuses to judge addresses.

use super::Declared;
use crate::diag::{Code, Diagnostic, Sink};
use crate::model::AddressRange;
use crate::source::declare::{OneOrMore, declare};
use crate::source::pools;
use crate::span::Spanned;

declare! {
    /// Addresses of a Subnet that only interfaces get which name it. Rules of SecurityGroups and others can name it as they name a PrefixList.
    pub(crate) struct IpPool "IpPool.spec" {
        /// The Subnet.
        "subnet" subnet: Spanned<String>,
        /// The addresses, of either family: `10.0.1.16` or `10.0.1.16..10.0.1.31`.
        "addresses" addresses: OneOrMore<Spanned<AddressRange>>,
        /// Whether rules by hand can name them: `$pool`, with dots in place of `-`; `$pool.ip4` and `$pool.ip6` where it has both families.
        "addressSet" set: Option<Spanned<bool>> = "false",
    }
}

/// The pool; its subnet is still a name.
pub(super) fn pool(said: Declared<IpPool>, sink: &mut Sink) -> pools::Declared {
    if said.spec.addresses.0.is_empty() && said.whole {
        let message = format!("IpPool `{}` has no addresses", said.name);
        sink.push(Diagnostic::new(Code::MissingField, said.name.span, message).help("add `addresses`"));
    }
    pools::Declared {
        name: said.name,
        subnet: said.spec.subnet,
        namespaces: Vec::new(),
        ranges: said.spec.addresses.0,
        set: said.spec.set.filter(|on| on.value).map(|on| on.span),
    }
}
