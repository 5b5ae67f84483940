//! Watched next hops → BFD: a session a gateway's port and next hop, whoever asks for it.
//!
//! Sessions hang on nothing: routes and policies refer to them. Times that differ are refused by `check`.
//! Fixtures: `routes/bfd`.

use std::net::IpAddr;

use super::gateway;
use crate::check::Checked;
use crate::model::{self, VpcId};
use crate::nb::{Bfd, Key, Ref, Rows, Table};

/// The session with a next hop.
pub(super) fn session(
    checked: &Checked<'_>,
    vpc: VpcId,
    hop: IpAddr,
    said: &model::Bfd,
    rows: &mut Rows,
) -> Ref {
    let model = checked.model();
    let gateway =
        model.gateway_towards(vpc, hop).expect("checks keep watched next hops on external networks");
    let port = gateway::port_key(model, gateway).name;
    let key = Key::new(Table::Bfd, format!("{port}/{hop}"));
    if rows.get(&key).is_none() {
        let row = Bfd {
            logical_port: port.to_string(),
            dst_ip: hop.to_string(),
            min_tx: Some(said.min_tx),
            min_rx: Some(said.min_rx),
            detect_mult: Some(said.multiplier),
            ..Bfd::default()
        };
        rows.insert(key.clone(), row, Some(said.span));
    }
    Ref::Key(key)
}
