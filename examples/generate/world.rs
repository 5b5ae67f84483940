//! Networks of any size from a seed, in the proportions of a public cloud, in either dialect.
//!
//! A few VPCs are large and most are small; each has groups for its tiers, every second one a peering, every
//! fourth a way out. The same size, seed and dialect give the same bytes. Refuses to be random in any
//! other way, and to know what northc makes of it.

use std::fmt::{self, Write};

/// Which kinds the objects are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `northc.io/v1alpha1`.
    Native,
    /// `kubeovn.io/v1` and virtual machines of KubeVirt.
    KubeOvn,
}

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// VPCs.
    pub(crate) n_vpcs: usize,
    /// Subnets, all VPCs together; at least one each.
    pub(crate) n_subnets: usize,
    /// Ports, all subnets together.
    pub(crate) n_ports: usize,
}

impl Size {
    /// So many ports, with a VPC for each 400 and a subnet for each 50 of them.
    pub(crate) fn of_ports(n_ports: usize) -> Size {
        Size { n_vpcs: n_ports.div_ceil(400), n_subnets: n_ports.div_ceil(50), n_ports }
    }
}

/// Tiers of a VPC: a security group each, with the port that it serves.
const TIERS: [(&str, u16); 4] = [("web", 443), ("app", 8080), ("data", 5432), ("cache", 6379)];
/// A VPC has one half of 10.0.0.0/8, so that it can be a peer of one with the other.
const SUBNETS_MAX: usize = 1 << 11;
/// Hosts of a /20.
const PORTS_PER_SUBNET_MAX: usize = 4000;

/// Writes a world. Panics when the size does not fit its blocks.
pub(crate) fn write(out: &mut impl Write, size: Size, seed: u64, dialect: Dialect) -> fmt::Result {
    let mut dice = Dice(seed);
    let subnets = dice.share(size.n_subnets, size.n_vpcs, SUBNETS_MAX);
    let ports = dice.share(size.n_ports, size.n_subnets, PORTS_PER_SUBNET_MAX);
    let mut ports = ports.into_iter();
    match dialect {
        Dialect::Native => native_outside(out)?,
        Dialect::KubeOvn => kubeovn_outside(out)?,
    }
    for (nth, n_subnets) in subnets.into_iter().enumerate() {
        let vpc = Vpc {
            nth,
            // The last of an odd number has nobody to talk to.
            peer: (nth % 4 < 2 && (nth ^ 1) < size.n_vpcs).then_some(nth ^ 1),
            has_exit: nth % 4 == 0,
            ports: ports.by_ref().take(n_subnets).collect(),
        };
        match dialect {
            Dialect::Native => native(out, &vpc, &mut dice)?,
            Dialect::KubeOvn => kubeovn(out, &vpc, &mut dice)?,
        }
    }
    Ok(())
}

struct Vpc {
    nth: usize,
    peer: Option<usize>,
    has_exit: bool,
    /// How many ports each subnet has.
    ports: Vec<usize>,
}

impl Vpc {
    /// The tiers that its subnets are of.
    fn tiers(&self) -> impl Iterator<Item = (&'static str, u16)> {
        TIERS.iter().copied().take(self.ports.len())
    }

    fn name(&self) -> String {
        format!("vpc-{}", self.nth)
    }

    fn subnet(&self, at: usize) -> String {
        format!("vpc-{}-net-{at}", self.nth)
    }

    fn block(&self, at: usize) -> String {
        format!("10.{}.{}.0/20", self.nth % 2 * 128 + at / 16, at % 16 * 16)
    }
}

/// The half of 10.0.0.0/8 that a VPC's subnets lie in.
fn half(nth: usize) -> String {
    format!("10.{}.0.0/9", nth % 2 * 128)
}

fn native_outside(out: &mut impl Write) -> fmt::Result {
    writeln!(
        out,
        "apiVersion: northc.io/v1alpha1\nkind: ExternalNetwork\nmetadata:\n  name: internet\nspec:\n  \
         physicalNetwork: physnet1\n  cidrs:\n  - 11.0.0.0/8"
    )
}

fn native(out: &mut impl Write, vpc: &Vpc, dice: &mut Dice) -> fmt::Result {
    let name = vpc.name();
    native_object(out, "Vpc", &name)?;
    writeln!(out, "  cidrs:\n  - {}", half(vpc.nth))?;
    if vpc.has_exit {
        writeln!(out, "  routes:\n  - destination: 0.0.0.0/0\n    natGateway: {name}-nat")?;
        native_object(out, "InternetGateway", &format!("{name}-door"))?;
        writeln!(out, "  vpc: {name}\n  externalNetwork: internet\n  chassis:")?;
        writeln!(out, "  - name: gw1\n  - name: gw2\n  - name: gw3")?;
        native_object(out, "ElasticIp", &format!("{name}-out"))?;
        writeln!(out, "  externalNetwork: internet")?;
        native_object(out, "NatGateway", &format!("{name}-nat"))?;
        writeln!(out, "  vpc: {name}\n  elasticIp: {name}-out")?;
        native_object(out, "RouteTable", &format!("{name}-public"))?;
        writeln!(out, "  vpc: {name}\n  routes:")?;
        writeln!(out, "  - destination: 0.0.0.0/0\n    internetGateway: {name}-door")?;
    }
    if let Some(peer) = vpc.peer.filter(|peer| *peer > vpc.nth) {
        native_object(out, "VpcPeering", &format!("{name}-peering"))?;
        writeln!(out, "  vpcs:\n  - {name}\n  - vpc-{peer}")?;
    }
    let mut before = None;
    for (tier, port) in vpc.tiers() {
        native_object(out, "SecurityGroup", &format!("{name}-{tier}"))?;
        writeln!(out, "  ingress:\n  - protocol: tcp\n    ports: {port}")?;
        if let Some(before) = before.replace(tier) {
            writeln!(out, "    securityGroups: {name}-{before}")?;
        }
        writeln!(out, "  - protocol: icmp\n    cidrs: {}\n  egress:\n  - protocol: any", half(vpc.nth))?;
    }
    for (at, n_ports) in vpc.ports.iter().enumerate() {
        let subnet = vpc.subnet(at);
        let (tier, _) = TIERS[at % TIERS.len()];
        native_object(out, "Subnet", &subnet)?;
        writeln!(out, "  vpc: {name}\n  cidrs:\n  - {}", vpc.block(at))?;
        let is_public = vpc.has_exit && tier == "web";
        if is_public {
            writeln!(out, "  routeTable: {name}-public")?;
        }
        for nth in 0..*n_ports {
            let port = format!("{subnet}-vm-{nth}");
            native_object(out, "NetworkInterface", &port)?;
            writeln!(out, "  subnet: {subnet}\n  securityGroups:\n  - {name}-{tier}")?;
            if dice.one_in(8) {
                writeln!(out, "  mac: {}", dice.mac())?;
            }
            if is_public && dice.one_in(16) {
                native_object(out, "ElasticIp", &format!("{port}-public"))?;
                writeln!(out, "  externalNetwork: internet\n  networkInterface: {port}")?;
            }
        }
    }
    Ok(())
}

fn native_object(out: &mut impl Write, kind: &str, name: &str) -> fmt::Result {
    writeln!(out, "---\napiVersion: northc.io/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:")
}

fn kubeovn_outside(out: &mut impl Write) -> fmt::Result {
    for gateway in ["gw1", "gw2", "gw3"] {
        writeln!(
            out,
            "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: {gateway}\n  labels:\n    \
             ovn.kubernetes.io/external-gw: \"true\"\n  annotations:\n    ovn.kubernetes.io/chassis: {gateway}"
        )?;
    }
    kubeovn_object(out, "Vlan", "uplink")?;
    writeln!(out, "  id: 0\n  provider: physnet1")?;
    kubeovn_object(out, "Subnet", "external")?;
    writeln!(out, "  protocol: IPv4\n  cidrBlock: 11.0.0.0/8\n  gateway: 11.0.0.1\n  vlan: uplink")
}

fn kubeovn(out: &mut impl Write, vpc: &Vpc, dice: &mut Dice) -> fmt::Result {
    let name = vpc.name();
    kubeovn_object(out, "Vpc", &name)?;
    writeln!(out, "  enableExternal: {}\n  namespaces:\n  - {name}", vpc.has_exit)?;
    if let Some(peer) = vpc.peer {
        let link = vpc.nth / 4 * 4;
        let address = |nth: usize| format!("169.254.{}.{}", link >> 8 & 255, link % 256 + nth % 2 + 1);
        writeln!(out, "  staticRoutes:\n  - cidr: {}\n    nextHopIP: {}", half(peer), address(peer))?;
        writeln!(out, "    policy: policyDst")?;
        writeln!(out, "  vpcPeerings:\n  - remoteVpc: vpc-{peer}")?;
        writeln!(out, "    localConnectIP: {}/30", address(vpc.nth))?;
    }
    for (tier, port) in vpc.tiers() {
        kubeovn_object(out, "SecurityGroup", &format!("{name}-{tier}"))?;
        writeln!(out, "  ingressRules:\n  - ipVersion: ipv4\n    protocol: tcp\n    priority: 1")?;
        writeln!(out, "    policy: allow\n    remoteType: address\n    remoteAddress: {}", half(vpc.nth))?;
        writeln!(out, "    portRangeMin: {port}\n    portRangeMax: {port}\n  egressRules:")?;
        writeln!(out, "  - ipVersion: ipv4\n    protocol: all\n    priority: 1\n    policy: allow")?;
        writeln!(out, "    remoteType: address\n    remoteAddress: 0.0.0.0/0")?;
    }
    for (at, n_ports) in vpc.ports.iter().enumerate() {
        let subnet = vpc.subnet(at);
        let (tier, _) = TIERS[at % TIERS.len()];
        let block = vpc.block(at);
        kubeovn_object(out, "Subnet", &subnet)?;
        writeln!(out, "  vpc: {name}\n  protocol: IPv4\n  cidrBlock: {block}\n  enableDHCP: true")?;
        writeln!(out, "  gatewayType: distributed\n  provider: {subnet}.{name}.ovn\n  private: false")?;
        for nth in 0..*n_ports {
            writeln!(out, "---\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata:")?;
            writeln!(out, "  name: {subnet}-vm-{nth}\n  namespace: {name}\nspec:\n  runStrategy: Always")?;
            writeln!(out, "  template:\n    metadata:\n      annotations:")?;
            let prefix = format!("{subnet}.{name}.ovn.kubernetes.io");
            writeln!(out, "        {prefix}/port_security: \"true\"")?;
            writeln!(out, "        {prefix}/security_groups: {name}-{tier}")?;
            writeln!(out, "    spec:\n      domain:\n        devices:\n          interfaces:")?;
            writeln!(out, "          - name: default\n            bridge: {{}}")?;
            if dice.one_in(8) {
                writeln!(out, "            macAddress: {}", dice.mac())?;
            }
            writeln!(out, "      networks:\n      - name: default\n        multus:")?;
            writeln!(out, "          networkName: {name}/{subnet}")?;
            if vpc.has_exit && tier == "web" && dice.one_in(16) {
                let eip = format!("{subnet}-vm-{nth}");
                kubeovn_object(out, "OvnEip", &eip)?;
                writeln!(out, "  externalSubnet: external\n  type: nat")?;
                kubeovn_object(out, "OvnFip", &eip)?;
                writeln!(out, "  ovnEip: {eip}\n  ipName: {eip}.{name}.{subnet}.{name}.ovn")?;
            }
        }
    }
    Ok(())
}

fn kubeovn_object(out: &mut impl Write, kind: &str, name: &str) -> fmt::Result {
    writeln!(out, "---\napiVersion: kubeovn.io/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:")
}

/// Pseudo-random numbers (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn mac(&mut self) -> String {
        let [a, b, c, d, e, ..] = self.next().to_be_bytes();
        format!("06:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
    }

    /// Shares `total` among `n`: at least one each while there are enough, at most `max`, a few large and most small.
    fn share(&mut self, total: usize, n: usize, max: usize) -> Vec<usize> {
        assert!(total <= n * max, "{total} do not fit into {n} of at most {max} each");
        // One over a uniform number: the largest of a thousand is about as large as all small ones together.
        let weights: Vec<f64> = (0..n).map(|_| 1.0 / (1 + self.next() % 64) as f64).collect();
        let spare = total.saturating_sub(n);
        let sum: f64 = weights.iter().sum();
        let mut shares: Vec<usize> = weights
            .iter()
            .enumerate()
            .map(|(nth, w)| {
                let part = (spare as f64 * w / sum) as usize;
                (usize::from(nth < total) + part).min(max)
            })
            .collect();
        let mut left = total - shares.iter().sum::<usize>();
        for nth in (0..n).cycle() {
            if left == 0 {
                return shares;
            }
            let more = (max - shares[nth]).min(left.div_ceil(n));
            shares[nth] += more;
            left -= more;
        }
        shares
    }
}
