//! Worlds for measurements (`examples/generate`) are networks: of the size that was asked for, without a
//! warning, and the same every time.

use northc::assign::Remembered;
use northc::compile::{Options, compile};
use northc::diag::{Diagnostic, Severity, Sink};
use northc::nb::{LogicalSwitchPort, Rows, Table};
use northc::span::SourceMap;
use northc::target::Target;

#[path = "../../examples/generate/world.rs"]
pub(crate) mod world;

use world::{Dialect, Size};

#[test]
fn worlds_of_every_shape_compile_without_a_warning() {
    let one_vpc = Size { n_vpcs: 1, n_subnets: 30, n_ports: 1_000 };
    let sparse = Size { n_vpcs: 5, n_subnets: 5, n_ports: 3 };
    for dialect in [Dialect::Native, Dialect::KubeOvn] {
        for size in [Size::of_ports(1), Size::of_ports(2_000), one_vpc, sparse] {
            let rows = compiled(&text(size, 1, dialect));
            let is_workload = |row| LogicalSwitchPort::try_from(row).is_ok_and(|port| port.kind.is_empty());
            let n_ports = rows.table(Table::LogicalSwitchPort).filter(|(_, row)| is_workload(*row)).count();
            assert_eq!(n_ports, size.n_ports, "{dialect:?}, {size:?}");
            assert!(rows.table(Table::LogicalSwitch).count() > size.n_subnets, "the external network too");
        }
    }
}

#[test]
fn a_seed_makes_one_world_and_another_seed_another() {
    let of_seed = |seed| text(Size::of_ports(1_000), seed, Dialect::Native);
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1), of_seed(2));
}

pub(crate) fn text(size: Size, seed: u64, dialect: Dialect) -> String {
    let mut text = String::new();
    world::write(&mut text, size, seed, dialect).expect("a string takes everything");
    text
}

pub(crate) fn compiled(text: &str) -> Rows {
    let mut sources = SourceMap::new();
    sources.add("world.yaml", text.to_owned()).expect("it is not that long");
    let (remembered, gateway_chassis) = (Remembered::new(), Vec::new());
    let options = Options { owner: "test".to_owned(), target: Target::OLDEST, remembered, gateway_chassis };
    let mut sink = Sink::new();
    let compiled = compile(&sources, &options, &mut sink);
    let bad = |d: &Diagnostic| d.severity > Severity::Note;
    let bad: Vec<Diagnostic> = sink.into_sorted(&sources).into_iter().filter(bad).collect();
    assert!(bad.is_empty(), "{bad:?}");
    compiled.expect("without errors there are rows").rows
}
