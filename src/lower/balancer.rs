//! Balancer → Load_Balancer on the switches whose guests can use it, and on the router for the outside.
//!
//! | meant | stored |
//! |---|---|
//! | listeners of one transport, address inside | `Load_Balancer` on every served switch |
//! | …, address outside | another one, on the router too |
//! | no backend, or none that is alive | `reject`: a TCP reset or "port unreachable" |
//! | address inside a subnet | `arp_proxy` of the subnet's port to the router |
//! | affinity | `affinity_timeout` |
//! | health check | `Load_Balancer_Health_Check` an address and port, `ip_port_mappings` a backend |
//! | UDP | `ct_flush`: a client without connections would stay with a backend that is gone |
//!
//! A switch translates on its guest's own chassis, so replies come back through what was translated. A router
//! without a gateway would do it on the chassis of the guest and not undo it on that of the backend, which is
//! why addresses inside are no router's, and why peers that use a balancer have it on their own switches. A
//! switch hands on what it has translated to the Ethernet address that the guest sent to: that must be the
//! router's, and `arp_proxy` (ovn-nb(5)) makes it so for an address that the guest takes for a neighbour's.
//! Fixtures: `balancers/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::assign::Assignment;
use crate::check::Checked;
use crate::model::{Balancer, HealthCheck, Model, PortId, Subnet, SubnetId, Transport, VpcId};
use crate::nb::{Key, LoadBalancer, LoadBalancerHealthCheck, Ref, Rows, Table};

/// Which balancers are where.
#[derive(Default)]
pub(super) struct Balancers {
    on_switches: BTreeMap<SubnetId, BTreeSet<Ref>>,
    on_routers: BTreeMap<VpcId, BTreeSet<Ref>>,
    proxied: BTreeMap<SubnetId, BTreeSet<IpAddr>>,
}

impl Balancers {
    pub(super) fn on_switch(&self, id: SubnetId) -> BTreeSet<Ref> {
        self.on_switches.get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn on_router(&self, id: VpcId) -> BTreeSet<Ref> {
        self.on_routers.get(&id).cloned().unwrap_or_default()
    }

    /// What a subnet's router answers for in place of a neighbour, as an option takes it; `None` if nothing.
    pub(super) fn arp_proxy(&self, id: SubnetId, subnet: &Subnet) -> Option<String> {
        let balanced = self.proxied.get(&id).into_iter().flatten().map(|address| IpNet::from(*address));
        let nets: BTreeSet<IpNet> = subnet.arp_proxy.iter().map(|net| net.value).chain(balanced).collect();
        let texts: Vec<String> = nets.into_iter().map(super::port::host_or_net).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    }
}

pub(super) fn lower(checked: &Checked<'_>, rows: &mut Rows) -> Balancers {
    let model = checked.model();
    let mut balancers = Balancers { proxied: model.balanced_addresses(), ..Balancers::default() };
    let ports = checked.assignment().ports_by_address(model);
    for balancer in &model.balancers {
        let backends = Backends::new(model, checked.assignment(), &ports, balancer);
        let inside: Vec<IpAddr> = balancer.addresses.iter().map(|address| address.value).collect();
        let public = balancer.public.as_ref().map(|public| checked.assignment().public(public.value));
        let transports: BTreeSet<Transport> = balancer.listeners.iter().map(|l| l.protocol).collect();
        for transport in transports {
            let of_transport = OfTransport { model, balancer, backends: &backends, transport };
            if !inside.is_empty() {
                let row = of_transport.row("inside", &inside, rows);
                balancers.serve(model, balancer, row);
            }
            if let Some(public) = public {
                let row = of_transport.row("outside", public, rows);
                balancers.on_routers.entry(balancer.vpc).or_default().insert(row.clone());
                balancers.serve(model, balancer, row);
            }
        }
    }
    balancers
}

impl Balancers {
    fn serve(&mut self, model: &Model, balancer: &Balancer, row: Ref) {
        for (id, _) in model.served_subnets(balancer) {
            self.on_switches.entry(id).or_default().insert(row.clone());
        }
    }
}

/// The addresses of backends, and for those that are watched the port and the address to ask from.
struct Backends {
    addresses: BTreeSet<IpAddr>,
    probes: BTreeMap<IpAddr, (String, IpAddr)>,
}

impl Backends {
    fn new(
        model: &Model,
        assignment: &Assignment,
        ports: &BTreeMap<(VpcId, IpAddr), PortId>,
        balancer: &Balancer,
    ) -> Backends {
        let addresses: BTreeSet<IpAddr> =
            balancer.backends.iter().flat_map(|backend| assignment.backend(backend.value)).collect();
        let mut probes = BTreeMap::new();
        if balancer.health.is_some() {
            let probe = |address: &IpAddr, id: PortId| {
                let port = model.port(id);
                let from = assignment.probe(port.subnet).iter();
                let from = from.copied().find(|from| from.is_ipv4() == address.is_ipv4())?;
                Some((*address, (port.name.clone(), from)))
            };
            let watched =
                addresses.iter().filter_map(|address| probe(address, *ports.get(&(balancer.vpc, *address))?));
            probes = watched.collect();
        }
        Backends { addresses, probes }
    }

    fn of_family(&self, of: IpAddr) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(move |address| address.is_ipv4() == of.is_ipv4())
    }
}

/// The listeners of one transport.
struct OfTransport<'c> {
    model: &'c Model,
    balancer: &'c Balancer,
    backends: &'c Backends,
    transport: Transport,
}

impl OfTransport<'_> {
    fn row(&self, side: &str, addresses: &[IpAddr], rows: &mut Rows) -> Ref {
        let balancer = self.balancer;
        let vpc = &self.model.vpc(balancer.vpc).name;
        let key = format!("{vpc}/balancer/{}/{}/{side}", balancer.name, self.transport);
        let watch = balancer.health.as_ref().filter(|_| can_be_watched(self.transport));
        let (mut vips, mut checks, mut watched) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for address in addresses {
            let probes: BTreeMap<String, String> =
                self.backends.of_family(*address).filter_map(|to| self.mapping(to)).collect();
            for listener in balancer.listeners.iter().filter(|l| l.protocol == self.transport) {
                let vip = SocketAddr::new(*address, listener.port.value).to_string();
                let to = self.backends.of_family(*address);
                let to = to.map(|to| SocketAddr::new(to, listener.target_port.value).to_string());
                if let Some(check) = watch.filter(|_| !probes.is_empty()) {
                    checks.insert(Ref::Key(health_check(&key, &vip, check, rows)));
                }
                vips.insert(vip, to.collect::<Vec<_>>().join(","));
            }
            if watch.is_some() {
                watched.extend(probes);
            }
        }
        let row = LoadBalancer {
            name: balancer.name.clone(),
            vips,
            protocol: Some(self.transport.to_string()),
            health_check: checks,
            ip_port_mappings: watched,
            options: self.options(),
            ..LoadBalancer::default()
        };
        let key = Key::new(Table::LoadBalancer, key);
        rows.insert(key.clone(), row, Some(balancer.span));
        Ref::Key(key)
    }

    /// A backend and what asks it, as ovn-nb(5) writes them.
    fn mapping(&self, to: IpAddr) -> Option<(String, String)> {
        let (port, from) = self.backends.probes.get(&to)?;
        Some((bracketed(to), format!("{port}:{}", bracketed(*from))))
    }

    fn options(&self) -> BTreeMap<String, String> {
        let mut options = BTreeMap::from([("reject".to_owned(), "true".to_owned())]);
        if let Some(seconds) = &self.balancer.affinity {
            options.insert("affinity_timeout".to_owned(), seconds.to_string());
        }
        if self.transport == Transport::Udp {
            options.insert("ct_flush".to_owned(), "true".to_owned());
        }
        options
    }
}

/// Whether OVN can ask a backend if it is alive.
fn can_be_watched(transport: Transport) -> bool {
    match transport {
        Transport::Tcp | Transport::Udp => true,
        Transport::Sctp => false,
    }
}

fn health_check(of: &str, vip: &str, check: &HealthCheck, rows: &mut Rows) -> Key {
    let key = Key::new(Table::LoadBalancerHealthCheck, format!("{of}/{vip}"));
    let options = [
        ("failure_count", check.failures),
        ("interval", check.interval),
        ("success_count", check.successes),
        ("timeout", check.timeout),
    ];
    let row = LoadBalancerHealthCheck {
        vip: vip.to_owned(),
        options: options.map(|(name, value)| (name.to_owned(), value.to_string())).into(),
        ..LoadBalancerHealthCheck::default()
    };
    rows.insert(key.clone(), row, Some(check.span));
    key
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
