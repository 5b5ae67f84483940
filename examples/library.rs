//! northc as a library: compile YAML, plan a change, ask what can reach what. `cargo run --example library`

use northc::compile::{Compiled, Options, compile};
use northc::diag::{Sink, render};
use northc::plan::{Request, as_if_applied, plan, render as words};
use northc::reach::guest::ByHand;
use northc::reach::judge::{Judge, Proto, Verdict, service};
use northc::reach::network::Network;
use northc::reach::parties::parties;
use northc::reach::set::Sets;
use northc::reach::show::verdict;
use northc::span::SourceMap;
use northc::target::Target;

const OWNER: &str = "example";

const OFFICE: &str = "
{apiVersion: northc.io/v1alpha1, kind: Vpc, metadata: {name: office}}
---
{apiVersion: northc.io/v1alpha1, kind: Subnet, metadata: {name: desks}, spec: {vpc: office, cidrs: 10.1.1.0/24}}
---
{apiVersion: northc.io/v1alpha1, kind: NetworkInterface, metadata: {name: ann}, spec: {subnet: desks}}
";

const BOB: &str = "
---
{apiVersion: northc.io/v1alpha1, kind: NetworkInterface, metadata: {name: bob}, spec: {subnet: desks}}
";

/// The rows of a text, or what is wrong with it.
fn rows(text: &str) -> Result<(Compiled, SourceMap), String> {
    let mut sources = SourceMap::new();
    sources.add("office.yaml", text.to_owned()).ok_or("longer than 4 GiB")?;
    let options = Options::new(OWNER);
    let mut sink = Sink::new();
    match compile(&sources, &options, &mut sink) {
        Some(compiled) => Ok((compiled, sources)),
        None => Err(render::render(&sink.into_sorted(&sources), &sources, false)),
    }
}

fn main() -> Result<(), String> {
    let (before, _) = rows(OFFICE)?;
    let (after, sources) = rows(&format!("{OFFICE}{BOB}"))?;

    // A plan needs no database where both sides are known; `ovsdb::session` reads one.
    let made = plan(&after.rows, &as_if_applied(&before.rows, OWNER), &Request::new(OWNER, &sources));
    assert_eq!(made.summary().n_add, 1, "{}", words::text(&made, words::Paint::Plain));

    let network = Network::of_rows(&after.rows, Target::OLDEST);
    let sets = Sets::default();
    let mut judge = Judge::new(&network, &sets, ByHand::default());
    let (ann, bob) = (parties(&judge, "ann")?, parties(&judge, "bob")?);
    let https = service(&sets, Some(Proto::Tcp), Some((443, 443)));
    let findings = judge.explain(&ann[0], &bob[0], https);
    assert_eq!(verdict(&findings), Some(Verdict::Reachable));

    let wrong = rows("{apiVersion: northc.io/v1alpha1, kind: Vcp, metadata: {name: office}}");
    assert!(wrong.is_err_and(|told| told.contains("did you mean `Vpc`?")));
    Ok(())
}

#[test]
fn it_runs() {
    assert_eq!(main(), Ok(()));
}
