//! Rows that say the same in other words mean the same, and a rule that never decides changes nothing.

use std::collections::BTreeSet;

use ipnet::IpNet;
use northc::nb::{
    Acl, AddressSet, Key, LogicalRouter, LogicalRouterPolicy, LogicalSwitch, PortGroup, Ref, Row, Rows, Table,
};
use northc::reach::network::Network;
use northc::target::Target;

use super::against_itself::verdicts;
use super::random::World;
use super::translations::alter;
use crate::expressions::Dice;

/// Holds random networks against what `change` makes of them.
fn means_the_same(what: &str, change: impl Fn(&Rows) -> Rows) {
    for seed in 0..8 {
        let rows = World::new(&mut Dice::new(seed)).rows;
        let of = |rows: &Rows| verdicts(&Network::of_rows(rows, Target::OLDEST));
        assert_eq!(of(&rows), of(&change(&rows)), "seed {seed}: {what}");
    }
}

#[test]
fn rows_in_another_order_mean_the_same() {
    const NAMELESS: [Table; 5] = [
        Table::Acl,
        Table::Nat,
        Table::LogicalRouterStaticRoute,
        Table::LogicalRouterPolicy,
        Table::LoadBalancer,
    ];
    let renamed = |key: &Key| match key.name.to_string().parse::<usize>() {
        Ok(number) if NAMELESS.contains(&key.table) => Key::new(key.table, (9_999 - number).to_string()),
        _ => key.clone(),
    };
    let refs = |refs: &mut BTreeSet<Ref>| {
        let all = std::mem::take(refs).into_iter();
        *refs = all.map(|to| if let Ref::Key(key) = &to { Ref::Key(renamed(key)) } else { to }).collect();
    };
    means_the_same("in another order", |rows| {
        let mut other = Rows::default();
        rows.iter().for_each(|(key, row)| {
            other.insert(renamed(key), row.clone(), None);
        });
        alter(&mut other, Table::LogicalSwitch, |switch: &mut LogicalSwitch| {
            refs(&mut switch.acls);
            refs(&mut switch.load_balancer);
        });
        alter(&mut other, Table::PortGroup, |group: &mut PortGroup| refs(&mut group.acls));
        alter(&mut other, Table::LogicalRouter, |router: &mut LogicalRouter| {
            refs(&mut router.nat);
            refs(&mut router.static_routes);
            refs(&mut router.policies);
            refs(&mut router.load_balancer);
        });
        other
    });
}

#[test]
fn networks_in_halves_mean_the_same() {
    let halves = |net: &str| {
        let net: IpNet = net.parse().expect("a network");
        let halves = net.trunc().subnets(net.prefix_len() + 1).expect("a longer prefix");
        halves.map(|half| half.to_string()).collect::<Vec<_>>().join(", ")
    };
    let split = |text: &str| {
        ["10.0.1.0/24", "10.0.0.0/16"].into_iter().fold(text.to_owned(), |text, net| {
            let listed = text.replace(&format!("{{{net}"), &format!("{{{}", halves(net)));
            listed.replace(&format!("= {net}"), &format!("= {{{}}}", halves(net)))
        })
    };
    means_the_same("networks in halves", |rows| {
        let mut other = rows.clone();
        alter(&mut other, Table::Acl, |acl: &mut Acl| acl.matching = split(&acl.matching));
        alter(&mut other, Table::LogicalRouterPolicy, |policy: &mut LogicalRouterPolicy| {
            policy.matching = split(&policy.matching);
        });
        alter(&mut other, Table::AddressSet, |set: &mut AddressSet| {
            let members = std::mem::take(&mut set.addresses).into_iter();
            let members = members.flat_map(|text| match text.contains('/') {
                true => halves(&text).split(", ").map(str::to_owned).collect(),
                false => vec![text],
            });
            set.addresses = members.collect();
        });
        other
    });
}

#[test]
fn a_rule_behind_one_that_decides_the_same_packets_changes_nothing() {
    means_the_same("a shadowed rule", |rows| {
        let mut other = Rows::default();
        let shadow = |other: &mut Rows, acls: &mut BTreeSet<Ref>| {
            for to in acls.clone() {
                let Ref::Key(key) = &to else { continue };
                let Some(acl) = rows.get(key).and_then(|row| Acl::try_from(row).ok()) else { continue };
                // A rule that rejects may be one that OVN passes over, and its shadow then none.
                if acl.priority == 0 || acl.action == "reject" && acl.matching.contains("||") {
                    continue;
                }
                let action = if acl.action == "drop" { "allow" } else { "drop" }.to_owned();
                let row: Row = Acl { priority: acl.priority - 1, action, ..acl }.into();
                let shadow = Key::new(Table::Acl, format!("{} again", key.name));
                other.insert(shadow.clone(), row, None);
                acls.insert(Ref::Key(shadow));
            }
        };
        for (key, row) in rows.iter() {
            let mut row = row.clone();
            if key.table == Table::LogicalSwitch
                && let Ok(mut switch) = LogicalSwitch::try_from(&row)
            {
                shadow(&mut other, &mut switch.acls);
                row = switch.into();
            } else if key.table == Table::PortGroup
                && let Ok(mut group) = PortGroup::try_from(&row)
            {
                shadow(&mut other, &mut group.acls);
                row = group.into();
            }
            other.insert(key.clone(), row, None);
        }
        other
    });
}
