//! The table of codes: number, slug, default severity, summary. A published number keeps its meaning.
//!
//! N01 source · N02 names · N03 addressing · N04 routing and peering · N05 policy · N06 target ·
//! N07 plan and ownership · N08 apply and OVSDB · N09 verification. Every code has a page in `explain/`, whose
//! examples are tests. Refuses to hold messages: those stand where they are detected.

use std::fmt;
use std::str::FromStr;

use super::Severity;

macro_rules! codes {
    ($($number:literal $code:ident $slug:literal $severity:ident $summary:literal;)*) => {
        /// What a diagnostic is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $( #[doc = $summary] $code, )* }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Code] = &[ $(Code::$code),* ];

            /// `N` and four digits.
            pub fn number(self) -> &'static str {
                match self { $(Code::$code => $number),* }
            }

            /// The name in words, for people: `cidr-overlap`.
            pub fn slug(self) -> &'static str {
                match self { $(Code::$code => $slug),* }
            }

            /// How bad it is unless the user says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(Code::$code => Severity::$severity),* }
            }

            /// One line for lists.
            pub fn summary(self) -> &'static str {
                match self { $(Code::$code => $summary),* }
            }

            /// Its page: what is wrong, what to do, an example that shows it and one that does not.
            pub fn page(self) -> &'static str {
                match self { $(Code::$code => include_str!(concat!("explain/", $number, ".md"))),* }
            }
        }
    };
}

codes! {
    "N0101" Unreadable "unreadable" Error "a file or folder can't be read as text";
    "N0102" YamlSyntax "yaml-syntax" Error "the text is not YAML";
    "N0103" DuplicateKey "duplicate-key" Error "a mapping has the same key twice";
    "N0104" UnknownKind "unknown-kind" Note "objects of kinds that northc does not read were skipped";
    "N0105" UnknownField "unknown-field" Warning "a field that the kind does not have";
    "N0106" WrongType "wrong-type" Error "a value of another type than the field takes";
    "N0107" MissingField "missing-field" Error "a required field is absent or empty";
    "N0108" BadAddress "bad-address" Error "not an address, prefix or MAC address";
    "N0109" BadValue "bad-value" Error "a value outside those that the field takes";
    "N0110" NothingToCompile "nothing-to-compile" Warning "the input holds no object that northc compiles";
    "N0111" TooDeep "too-deep" Error "nesting or aliases beyond every honest use";
    "N0112" HostBits "host-bits" Warning "a prefix with host bits set";
    "N0113" BadName "bad-name" Error "a name that can't be used";
    "N0114" NameNotDns "name-not-dns" Warning "a name that Kubernetes would refuse";
    "N0115" BeingDeleted "being-deleted" Warning "an object with a deletion timestamp is left out";
    "N0116" UnknownVersion "unknown-version" Warning "an apiVersion that northc does not know for the kind";
    "N0117" BadEmbeddedJson "bad-embedded-json" Error "a field that holds JSON holds something else";
    "N0118" AnnotationNearMiss "annotation-near-miss" Warning "an annotation that looks like one that northc reads";
    "N0119" NamespaceIgnored "namespace-ignored" Note "a cluster-scoped object with a namespace";
    "N0120" FieldWithoutEffect "field-without-effect" Note "a field that has no effect in OVN";
    "N0121" NotYet "not-yet" Warning "a feature that this version of northc does not lower";
    "N0122" UpperCaseAddress "upper-case-address" Warning "an IPv6 address in capitals, which Kube-OVN refuses";
    "N0123" ConflictingFields "conflicting-fields" Error "two fields that exclude each other";
    "N0124" KindNearMiss "kind-near-miss" Error "a kind that is misspelt";
    "N0160" DnsName "dns-name" Error "a name that nobody can ask for, or that OVN can't look up";
    "N0161" VpcDnsServer "vpc-dns-server" Warning "a VpcDns whose server nobody can reach";

    "N0201" UnknownVpc "unknown-vpc" Error "a VPC that is not in the input";
    "N0202" DuplicateObject "duplicate-object" Error "two objects of one kind and name";
    "N0203" ReservedName "reserved-name" Error "a name that belongs to the default VPC's own objects";
    "N0204" UnknownProvider "unknown-provider" Error "a provider that no overlay network offers";
    "N0205" ProviderInUse "provider-in-use" Error "two subnets on one overlay network";
    "N0206" NameCollision "name-collision" Error "two objects that would mint the same OVN name";
    "N0207" UnknownSubnet "unknown-subnet" Error "a subnet that is not in the input";
    "N0208" ProviderWithoutSubnet "provider-without-subnet" Error "an interface on a network that has no subnet";
    "N0209" UnknownVlan "unknown-vlan" Error "a Vlan or ProviderNetwork that is not in the input";
    "N0210" ProviderMismatch "provider-mismatch" Error "a NAD whose provider is not its own name";
    "N0211" SubnetNamedAsVpc "subnet-named-as-vpc" Error "a subnet with its VPC's name";
    "N0212" NotAnOverlay "not-an-overlay" Error "a provider whose network is not of type kube-ovn";
    "N0213" WrongSubnet "wrong-subnet" Error "an interface told to use a subnet of another network";
    "N0214" BuiltInLeftOut "built-in-left-out" Note "an object of Kube-OVN's own workings is left out";
    "N0215" UnknownVip "unknown-vip" Warning "a workload may hold a virtual address that does not exist";
    "N0216" VipUnheld "vip-unheld" Warning "a virtual address that is not held by whom it should be";
    "N0217" UnknownElasticIp "unknown-elastic-ip" Error "a public address that is not in the input";
    "N0218" UnknownInside "unknown-inside" Error "a translation for an interface or Vip that is not in the input";
    "N0219" UnknownNatGateway "unknown-nat-gateway" Error "a NAT gateway that is not in the input";
    "N0220" UnknownGroup "unknown-group" Error "a security group that is not in the input";
    "N0221" UnknownObject "unknown-object" Error "an object that another one names is not in the input";

    "N0301" CidrOverlap "cidr-overlap" Error "two subnets of a VPC overlap";
    "N0302" GatewayOutside "gateway-outside" Error "a gateway outside its subnet";
    "N0303" GatewayReserved "gateway-reserved" Error "a gateway on the network or broadcast address";
    "N0304" CidrSpecial "cidr-special" Error "a block that is not for unicast hosts";
    "N0305" CidrTooSmall "cidr-too-small" Error "a block without room for a gateway and a host";
    "N0306" ProtocolMismatch "protocol-mismatch" Warning "a protocol that is not the block's";
    "N0307" ExcludeOutside "exclude-outside" Warning "an excluded address outside the subnet";
    "N0308" AddressOutside "address-outside" Error "an address outside its subnet";
    "N0309" AddressTaken "address-taken" Error "one address for two interfaces";
    "N0310" AddressReserved "address-reserved" Error "an interface on the gateway, network or broadcast address";
    "N0311" SubnetFull "subnet-full" Error "no free address is left";
    "N0312" MacTaken "mac-taken" Error "one MAC address for two interfaces of a switch";
    "N0313" BadMac "bad-mac" Error "a MAC address that no interface can have";
    "N0314" CidrOutsideVpc "cidr-outside-vpc" Error "a subnet outside its VPC's blocks";
    "N0315" CidrReserved "cidr-reserved" Warning "a block over a range that Kube-OVN uses itself";
    "N0316" CidrPublic "cidr-public" Note "public address space used as private";
    "N0317" MtuTooSmall "mtu-too-small" Error "an MTU below the protocol's minimum";
    "N0318" CidrFamilies "cidr-families" Error "more than one block of a family, or a family without its pair";
    "N0319" GuestAddressDiffers "guest-address-differs" Warning "cloud-init gives the guest another address";
    "N0320" GuestWithoutRoute "guest-without-route" Warning "guests of a subnet learn no default route";
    "N0360" PoolElsewhere "pool-elsewhere" Error "an interface that wants an address of another subnet's pool";
    "N0361" PoolsOverlap "pools-overlap" Error "two pools with an address in common";

    "N0401" PeerUnknown "peer-unknown" Error "peering with a VPC that is not in the input";
    "N0402" PeerOneSided "peer-one-sided" Error "a peering that only one side declares";
    "N0403" PeerDefaultVpc "peer-default-vpc" Error "peering with the default VPC";
    "N0404" PeerSelf "peer-self" Error "a VPC that peers with itself";
    "N0405" PeerAddressBare "peer-address-bare" Error "a link address without its prefix length";
    "N0406" PeerAddressReserved "peer-address-reserved" Error "a link address that is the network or broadcast address";
    "N0407" PeerAddressSame "peer-address-same" Error "both ends of a link have one address";
    "N0408" PeerNetworkDiffers "peer-network-differs" Error "the ends of a link are in different networks";
    "N0409" PeerNetworkReused "peer-network-reused" Error "two links of a VPC in one network";
    "N0410" PeerNetworkOverlap "peer-network-overlap" Error "a link over a subnet";
    "N0411" PeerNetworkWide "peer-network-wide" Warning "a link wider than two addresses";
    "N0412" PeerNetworkPrivate "peer-network-private" Warning "a link in RFC 1918 space";
    "N0413" PeerNetworkMetadata "peer-network-metadata" Warning "a link over the metadata address";
    "N0414" PeerCidrOverlap "peer-cidr-overlap" Error "peered VPCs with overlapping subnets";
    "N0415" PeerSubnetUnrouted "peer-subnet-unrouted" Warning "a peer's subnet that no route covers";
    "N0416" PeerLinkLocal "peer-link-local" Warning "an IPv6 link-local address on a peering link";
    "N0417" PeerTransitive "peer-transitive" Note "a VPC that forwards between its peers";
    "N0418" PeerTwice "peer-twice" Error "two peerings with one VPC";
    "N0419" RouteOutsidePeer "route-outside-peer" Warning "a route to a peer beyond the peer's blocks";
    "N0420" NextHopUnreachable "next-hop-unreachable" Error "a next hop on no attached network";
    "N0421" NextHopOwn "next-hop-own" Error "a next hop that is the router itself";
    "N0422" FamilyMix "family-mix" Error "IPv4 and IPv6 where one family is needed";
    "N0423" RouteTwice "route-twice" Error "the same route twice";
    "N0424" SeveralNextHops "several-next-hops" Note "next hops that share a prefix's traffic";
    "N0425" SourceRouteWins "source-route-wins" Warning "a source route that beats a peering route";
    "N0426" RouteNeverUsed "route-never-used" Warning "a route that a connected network always beats";
    "N0427" RouteTableUnknown "route-table-unknown" Warning "a route table without routes, or routes that no subnet uses";
    "N0428" BfdUnsupported "bfd-unsupported" Note "a BFD session by its UUID can't be referred to";
    "N0429" PriorityRange "priority-range" Error "a priority that OVN does not take";
    "N0430" PolicyTie "policy-tie" Warning "policies of one priority, so that OVN may take either";
    "N0431" RerouteWithoutHop "reroute-without-hop" Error "a reroute without a next hop";
    "N0432" HopWithoutReroute "hop-without-reroute" Warning "next hops on a policy that does not reroute";
    "N0433" SharedPhysical "shared-physical" Warning "VPCs that meet on one physical network";
    "N0434" RerouteWithoutRoute "reroute-without-route" Warning "a reroute of packets that no route takes";
    "N0435" PeersOverlap "peers-overlap" Warning "two peers of one VPC with overlapping subnets";
    "N0436" ExternalNotBridged "external-not-bridged" Error "an external network without a physical one";
    "N0437" GatewayWithoutChassis "gateway-without-chassis" Error "a gateway that no chassis may carry";
    "N0438" GatewayTwoChassis "gateway-two-chassis" Warning "exactly two chassis that may carry gateways";
    "N0439" ChassisGuessed "chassis-guessed" Warning "a gateway node whose chassis is not known";
    "N0440" NatWithoutGateway "nat-without-gateway" Error "a translation in a VPC without a gateway there";
    "N0441" NatOutgoingNowhere "nat-outgoing-nowhere" Warning "natOutgoing in a VPC without a gateway";
    "N0442" DefaultRouteAdded "default-route-added" Note "a VPC with a gateway gets a default route";
    "N0443" NatWithoutRoute "nat-without-route" Warning "translated sources that no route leads outside";
    "N0444" ElasticIpShared "elastic-ip-shared" Error "one public address for uses that exclude each other";
    "N0445" NatTie "nat-tie" Error "two translations of one source";
    "N0446" ForwardTwice "forward-twice" Error "one public port that leads to two places";
    "N0447" ElasticIpType "elastic-ip-type" Error "a translation to the address of a port";
    "N0448" FloatingCentralized "floating-centralized" Warning "a distributed floating IP that can't be distributed";
    "N0449" NatGatewayInOvn "nat-gateway-in-ovn" Note "a NAT gateway without a pod: OVN itself translates";
    "N0450" DiscardShared "discard-shared" Error "a prefix that is both dropped and routed";
    "N0451" NextHopGuarded "next-hop-guarded" Warning "a next hop that port security keeps from forwarding";
    "N0452" BalancerAddress "balancer-address" Error "a balancer's address that is somebody else's, or that nobody answers for";
    "N0453" BalancerTwice "balancer-twice" Error "two balancers with one address and port";
    "N0454" BalancerStrays "balancer-strays" Error "a balancer's backend or client in a VPC that it can't serve";
    "N0455" BalancerEmpty "balancer-empty" Warning "a balancer without a backend";
    "N0456" BalancerUnwatched "balancer-unwatched" Warning "a backend that no health check can ask";
    "N0457" BalancerBypassed "balancer-bypassed" Warning "stateless rules, whose packets no balancer sees";
    "N0460" DnsTwice "dns-twice" Error "two zones of a subnet with one name";
    "N0461" QosTwice "qos-twice" Error "two QoS policies for the same packets, or one that is not shared for two";
    "N0470" TransitOverlap "transit-overlap" Error "VPCs with addresses in common behind one transit gateway";
    "N0471" TransitOneWay "transit-one-way" Warning "a transit gateway that leads one way only";
    "N0472" BfdNowhere "bfd-nowhere" Error "a next hop that OVN can't watch";
    "N0473" BfdDiffers "bfd-differs" Error "a next hop that is watched in two ways";
    "N0474" RelayIdle "relay-idle" Warning "multicast that is relayed between subnets that do not learn it";
    "N0475" ProxyTaken "proxy-taken" Error "an address that the router is to answer for, and that is somebody's";
    "N0476" NatRuleIdle "nat-rule-idle" Warning "a rule of natOutgoing that no packet comes to";
    "N0480" ChassisTie "chassis-tie" Error "two chassis of one gateway with one priority";
    "N0481" ChassisUnknown "chassis-unknown" Warning "a chassis that is none of the input's nodes";

    "N0501" MatchInvalid "match-invalid" Error "a match expression that OVN can't parse";
    "N0502" MatchHostBits "match-host-bits" Warning "a constant in a match that covers more than it says";
    "N0503" MatchUnknownSet "match-unknown-set" Error "an address set or port group that does not exist";
    "N0504" MatchUnknownPort "match-unknown-port" Warning "a port in a match that does not exist";
    "N0505" MatchNeverTrue "match-never-true" Error "a match on a field that is not set there";
    "N0506" AclTie "acl-tie" Warning "rules of one priority with different verdicts";
    "N0507" AllowWithoutPrivate "allow-without-private" Note "allowSubnets without private";
    "N0508" PrivateMissesSibling "private-misses-sibling" Note "a private subnet that shuts out its siblings";
    "N0509" PrivateUnderlay "private-underlay" Warning "private on an underlay subnet";
    "N0510" AclHitsDhcp "acl-hits-dhcp" Warning "a rule that drops DHCP or ARP";
    "N0511" EastWestWithoutAcls "east-west-without-acls" Note "allowEWTraffic without acls";
    "N0512" AclTwice "acl-twice" Warning "the same rule twice";
    "N0513" AclsMixed "acls-mixed" Warning "acls that override what private means";
    "N0514" AllowOwnBlock "allow-own-block" Note "an allowed block that is the subnet's own";
    "N0515" AclHitsGateway "acl-hits-gateway" Warning "a rule that drops what the gateway says";
    "N0516" PrivateMissesPeer "private-misses-peer" Note "a private subnet that shuts out a peer's subnets";
    "N0517" PrivateBlocksExit "private-blocks-exit" Warning "private stops the traffic that is to leave";
    "N0518" PortRange "port-range" Error "a range of ports that does not exist, or of a protocol without ports";
    "N0519" GroupRuleShadowed "group-rule-shadowed" Warning "a rule of a security group or network ACL that others make idle";
    "N0520" GroupEmpty "group-empty" Note "a security group that nobody joins";
    "N0521" FiltersMixed "filters-mixed" Warning "security groups beside private or acls, where one overrides the other";
    "N0522" GroupForgeable "group-forgeable" Note "a rule that trusts addresses which others can forge";
    "N0523" NetworkAclMixed "network-acl-mixed" Warning "acls beside a network ACL, where one overrides the other";
    "N0524" NetworkAclNumber "network-acl-number" Error "two rules of a network ACL with one number";
    "N0525" NetworkAclNowhere "network-acl-nowhere" Error "a network ACL on a subnet whose border is not a router";
    "N0526" NetworkAclOneWay "network-acl-one-way" Warning "a network ACL that lets something pass and no answer to it";
    "N0527" NetworkAclUnused "network-acl-unused" Note "a network ACL that no subnet names";
    "N0528" MeterRate "meter-rate" Error "a rate or burst that a meter of OVN can't have";
    "N0529" BalancerBeforeRules "balancer-before-rules" Warning "egress rules that see a balancer's address, and not what is behind it";
    "N0530" PairOutsideGroup "pair-outside-group" Note "an address that a member may send from and its group does not hold";
    "N0560" DnsOpensFilters "dns-opens-filters" Warning "filters that packets from port 53 pass, because OVN answers for names";
    "N0561" QosShadowed "qos-shadowed" Warning "an interface with a QoS policy on a subnet with one";

    "N0601" TargetLacks "target-lacks" Error "something that the target version of OVN does not have";
    "N0602" VlanRange "vlan-range" Error "a VLAN tag that does not exist";
    "N0603" DhcpOption "dhcp-option" Error "a DHCP option that OVN does not have or would not parse";
    "N0604" RaOption "ra-option" Error "a router advertisement setting that OVN does not take";
    "N0605" TooManyPorts "too-many-ports" Error "more ports than a datapath can number";
    "N0606" LockInvalid "lock-invalid" Error "a lock file that can't be read";

    "N0701" RowInTheWay "row-in-the-way" Error "a row of somebody else has a wanted name";
    "N0702" UuidInTheWay "uuid-in-the-way" Error "a row of somebody else has the UUID of a wanted row";
    "N0703" PortNameShared "port-name-shared" Error "a router port and a switch port of one name, one of them not ours";
    "N0704" HoldsForeign "holds-foreign" Error "a row that is to go holds a row of somebody else";
    "N0705" ReferredByForeign "referred-by-foreign" Error "a row of somebody else refers to a row that is to go";
    "N0706" HeldByForeign "held-by-foreign" Error "a row of ours is also in a row of somebody else";
    "N0707" ServerLacks "server-lacks" Error "the database's schema has no place for what is wanted";
    "N0708" MuchDeleted "much-deleted" Error "a plan that deletes much, without a yes to that";

    "N0801" StalePlan "stale-plan" Error "the database is not what the plan was made for";
    "N0802" DatabaseFault "database-fault" Error "the database can't be reached or refuses";
    "N0803" NotInEffect "not-in-effect" Error "committed, and not confirmed by OVN in time";
    "N0804" OutcomeUnknown "outcome-unknown" Error "whether it was committed could not be found out";
    "N0805" TakenBack "taken-back" Error "a provisional apply was not confirmed and is undone";
    "N0806" NotTakenBack "not-taken-back" Error "a provisional apply was not confirmed and could not be undone";
    "N0807" ReadBackDiffers "read-back-differs" Error "what was written was changed by somebody at once";

    "N0900" OverPermissive "over-permissive" Error "rows that let through what the model does not";
    "N0901" OverRestrictive "over-restrictive" Error "rows that stop what the model lets through";
    "N0902" Otherwise "otherwise" Error "rows that send packets elsewhere than the model says";
    "N0903" NotVerified "not-verified" Note "packets that are not judged, in the model or in the rows";
    "N0904" NotAllVerified "not-all-verified" Note "a network too large to be verified in the time given";
    "N0910" RuleIdle "rule-idle" Warning "a rule to which those before it together leave no packet";
    "N0911" RouteIdle "route-idle" Note "a route that no packet of anybody takes";
    "N0912" PolicyIdle "policy-idle" Note "a policy that no packet of anybody comes to";
    "N0913" TranslationIdle "translation-idle" Warning "a translation that no packet of anybody comes to";
    "N0914" Detour "detour" Note "answers that come back by other routers than what they answer went by";
    "N0930" ExpectationViolated "expectation-violated" Error "something is reachable that must not be, or is not and must be";
    "N0931" ExpectationOpen "expectation-open" Warning "whether an expectation holds can't be said";
    "N0932" ExpectationOfNobody "expectation-of-nobody" Error "an expectation names nobody";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// The number of `N0301`, in either case and with or without `N` and zeros; `None` where it is none.
fn code_digits(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(['n', 'N']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

impl FromStr for Code {
    type Err = String;

    /// A number, with or without its letters, or a slug, in any case; the error suggests what may be meant.
    fn from_str(text: &str) -> Result<Code, String> {
        let wanted = text.to_ascii_lowercase();
        let digits = code_digits(&wanted);
        let is = |code: &&Code| {
            digits.is_some_and(|n| code_digits(code.number()) == Some(n)) || code.slug() == wanted
        };
        Code::ALL.iter().find(is).copied().ok_or_else(|| {
            let names = Code::ALL.iter().flat_map(|code| [code.number(), code.slug()]);
            let within = || Code::ALL.iter().filter(|code| wanted.len() > 2 && code.slug().contains(&wanted));
            match (crate::nearest::nearest(text, names), within().next()) {
                (Some(near), _) => format!("no code `{text}`; did you mean `{near}`?"),
                (None, Some(_)) => {
                    let slugs: Vec<String> = within().map(|code| format!("`{}`", code.slug())).collect();
                    format!("no code `{text}`; there are {}", slugs.join(", "))
                }
                (None, None) => format!("no code `{text}`; `northc explain --list` lists them"),
            }
        })
    }
}
