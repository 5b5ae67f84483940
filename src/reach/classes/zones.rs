//! Parts of a network with addresses of their own: routers that are joined, and the switches that hang on one of them.
//!
//! A switch between routers, and one that leads to a physical network, is a part by itself.
//!
//! Refuses to know who is where.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::reach::header::Field;
use crate::reach::network::{Link, Network, RouterId, SwitchId};
use crate::reach::set::Set;

/// The parts of a network, by number.
#[derive(Clone, Debug)]
pub(in crate::reach) struct Zones {
    of_switch: Vec<usize>,
    of_router: Vec<usize>,
}

impl Zones {
    /// The parts of `network`.
    pub(in crate::reach) fn of(network: &Network) -> Zones {
        let n_switches = network.switches.len();
        let mut above: Vec<usize> = (0..n_switches + network.routers.len()).collect();
        for port in &network.router_ports {
            let own = n_switches + port.router.0;
            match port.link {
                Link::Router(peer) => join(&mut above, own, n_switches + network.router_port(peer).router.0),
                Link::Switch(at) => {
                    let switch = network.port(at).switch;
                    if network.routers_on(switch).count() == 1 && !network.is_wired(switch) {
                        join(&mut above, own, switch.0);
                    }
                }
                Link::Nothing | Link::Contested => {}
            }
        }
        let zones: Vec<usize> = (0..above.len()).map(|at| top(&above, at)).collect();
        Zones { of_switch: zones[..n_switches].to_vec(), of_router: zones[n_switches..].to_vec() }
    }

    /// The part that a switch is in.
    pub(in crate::reach) fn of_switch(&self, switch: SwitchId) -> usize {
        self.of_switch[switch.0]
    }

    /// The part that a router is in.
    pub(in crate::reach) fn of_router(&self, router: RouterId) -> usize {
        self.of_router[router.0]
    }
}

fn top(above: &[usize], mut at: usize) -> usize {
    while above[at] != at {
        at = above[at];
    }
    at
}

fn join(above: &mut [usize], a: usize, b: usize) {
    let (a, b) = (top(above, a), top(above, b));
    above[a.max(b)] = a.min(b);
}

/// What is asked about packets, and in which part of the network.
#[derive(Debug)]
pub(in crate::reach) struct Asked {
    zones: Zones,
    here: Cell<usize>,
    /// Whether it is wanted of which packets something is asked.
    is_of_each: bool,
    questions: RefCell<Questions>,
}

/// Questions about packets, each with the part of the network in which it was asked.
#[derive(Debug, Default)]
pub struct Questions {
    /// Whether packets, as they were sent, are among these; and of which packets it was asked, where that is wanted.
    pub sent: BTreeSet<(usize, Set, Set)>,
    /// Whether packets with an address that was written on the way are among these, as they are then.
    pub written: BTreeSet<(usize, Written, Set)>,
}

/// An address that was written on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// Where packets have it.
    pub field: Field,
    /// The address, as a number.
    pub value: u128,
    /// The part of the network in which it was written, where somebody remembers.
    pub by: Option<usize>,
}

impl Asked {
    /// Nothing yet.
    pub(in crate::reach) fn new(zones: Zones) -> Asked {
        Asked { zones, here: Cell::new(0), is_of_each: false, questions: RefCell::default() }
    }

    /// The same, where it is noted of which packets it is asked.
    pub(in crate::reach) fn of_each(zones: Zones) -> Asked {
        Asked { is_of_each: true, ..Asked::new(zones) }
    }

    /// The parts of the network.
    pub(in crate::reach) fn zones(&self) -> &Zones {
        &self.zones
    }

    /// Packets come to a switch; where they were.
    pub(in crate::reach) fn on_switch(&self, switch: SwitchId) -> usize {
        self.here.replace(self.zones.of_switch(switch))
    }

    /// Packets come to a router; where they were.
    pub(in crate::reach) fn on_router(&self, router: RouterId) -> usize {
        self.here.replace(self.zones.of_router(router))
    }

    /// It goes on elsewhere.
    pub(in crate::reach) fn back(&self, zone: usize) {
        self.here.set(zone);
    }

    /// Whether packets of some, as they were sent, are among these is asked here.
    pub(in crate::reach) fn note(&self, among: Set, set: Set) {
        let among = if self.is_of_each { among } else { Set::ALL };
        self.questions.borrow_mut().sent.insert((self.here.get(), set, among));
    }

    /// Whether packets with an address that was written, as they have become, are among these is asked here.
    pub(in crate::reach) fn note_written(&self, written: Written, set: Set) {
        self.questions.borrow_mut().written.insert((self.here.get(), written, set));
    }

    /// What has been asked, and where.
    pub(in crate::reach) fn take(&self) -> Questions {
        self.questions.take()
    }
}
