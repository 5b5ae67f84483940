//! Pictures: what they show, that no name breaks them, that nothing in them covers anything else.
//!
//! `INSTA_UPDATE=always cargo test --test it graph` writes snapshots and the README's picture anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use northc::graph::layout::{Frame, Layout, Rect, layout};
use northc::graph::{
    Kind, Legend, Link, LinkEnd, Mark, Picture, Sign, Subnet, Tone, Vpc, Workload, WorkloadKind, dot,
    mermaid, svg,
};

use crate::cases::{Ran, northc, root};

const FORMATS: [&str; 3] = ["svg", "dot", "mermaid"];

fn graph(path: &str, format: &str) -> Ran {
    northc(["graph", path, "--format", format])
}

fn snapshots() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/it/snapshots/graph"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn pictures_of_fixtures() {
    let settings = snapshots();
    for case in ["harvester/vpc-1", "harvester/diagram", "addresses/private-dual-stack"] {
        for format in FORMATS {
            let ran = graph(&format!("fixtures/{case}"), format);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{case} as {format}");
            let name = format!("{}.{format}", case.replace('/', "-"));
            settings.bind(|| insta::assert_snapshot!(name, ran.out));
        }
    }
}

/// The three tiers before and after an edit of everything, in a folder of their own.
fn edited(dir: &Path) -> [String; 2] {
    let old = fs::read_to_string(root().join("fixtures/native/three-tier/shop.yaml")).expect("it is there");
    let new = old.replace("name: app-1", "name: app-2").replace("ports: 8080", "ports: [22, 8080]");
    let new = new
        .replace("10.0.3.0/24", "10.0.30.0/24")
        .replace("name: web}\nspec: {vpc", "name: front}\nspec: {vpc");
    let new = new
        .replace("subnet: web", "subnet: front")
        .replace("{vpc: shop, externalNetwork", "{vpc: mall, externalNetwork");
    let new = new.replace("{name: shop}", "{name: mall}").replace("vpc: shop", "vpc: mall");
    [("old", old), ("new", new)].map(|(name, text)| {
        fs::write(dir.join(format!("{name}.yaml")), text).expect("it can be written");
        format!("{name}.yaml")
    })
}

/// Runs northc in a folder, so that no path of this machine is in what it says.
fn within(dir: &Path, args: &[&str]) -> String {
    let ran =
        Command::new(env!("CARGO_BIN_EXE_northc")).args(args).current_dir(dir).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{args:?}: {said}");
    String::from_utf8(ran.stdout).expect("text")
}

#[test]
fn pictures_of_changes_and_of_who_reaches_whom() {
    let settings = snapshots();
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let [old, new] = edited(dir.path());
    let said = within(dir.path(), &["plan", "--from", &old, "--to", &new, "--out", "net.plan"]);
    assert!(!said.contains("outside northc"), "between two inputs there is no drift: {said}");
    let overlays = [
        ("reach", vec![old.as_str(), "--reach"]),
        ("reach-web-1", vec![&old, "--reach=web-1"]),
        ("reach-internet", vec![&old, "--reach=internet"]),
        ("diff", vec![&new, "--diff", &old]),
        ("diff-plan", vec![&new, "--diff", "net.plan"]),
    ];
    for (name, args) in &overlays {
        let format = if *name == "reach" { "dot" } else { "mermaid" };
        let drawn = within(dir.path(), &[&["graph", "--format", format], args.as_slice()].concat());
        settings.bind(|| insta::assert_snapshot!(format!("{name}.{format}"), drawn));
        let svg = within(dir.path(), &[&["graph"], args.as_slice()].concat());
        roxmltree::Document::parse(&svg).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let ran = northc(["graph", "fixtures/native/three-tier", "--reach=wbe-1"]);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    assert!(ran.err.contains("did you mean `web-1`?"), "{}", ran.err);
}

#[test]
fn the_readme_has_the_picture_that_northc_draws() {
    let drawn = graph("fixtures/harvester/vpc-1", "svg").out;
    let path = root().join("docs/vpc-1.svg");
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(&path, &drawn).expect("docs can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == drawn, "docs/vpc-1.svg: northc graph fixtures/harvester/vpc-1 -o docs/vpc-1.svg");
}

#[test]
fn input_with_errors_is_not_drawn() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let file = dir.path().join("bad.yaml");
    let subnet =
        "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: a}\nspec: {cidrBlock: 10.0.0.0/33}\n";
    fs::write(&file, subnet).expect("it can be written");
    let ran = graph(file.to_str().expect("text"), "svg");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("error[N"), "{}", ran.err);
}

#[test]
fn a_picture_goes_to_a_file() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let file = dir.path().join("net.svg");
    let ran = northc(["graph", "fixtures/harvester/vpc-1", "-o", file.to_str().expect("text")]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let written = fs::read_to_string(&file).expect("it is written");
    assert_eq!(written, graph("fixtures/harvester/vpc-1", "svg").out);
}

/// Names that mean something to one notation or another.
const HOSTILE: [&str; 16] = [
    "a\"b'c",
    "<script>alert(1)</script>",
    "a & b &amp; &#60; #quot;",
    "]]><!-- -->",
    "x\"] --> y[\"",
    "back\\slash\\",
    "`tick` **bold** [link](http://x)",
    "%%{init: {}}%%",
    "$HOME $(id) {a} |b| ;c",
    "日本語の名前",
    "שלום עולם",
    "a\u{202e}b\u{2066}c\u{200b}",
    "e\u{301}\u{301}\u{301}",
    "👩‍👩‍👧‍👦 🇩🇪",
    "end",
    "\u{fdfd}\u{fdfd}",
];

/// One VPC a name, in a row of peers, with everything that can be named named so.
fn world_named(names: &[&str]) -> String {
    let mut out = String::new();
    for (n, name) in names.iter().enumerate() {
        let text = |suffix: &str| serde_json::Value::from(format!("{name}{suffix}")).to_string();
        let mut peers = Vec::new();
        for (link, other, host) in [(n, n + 1, 1), (n.wrapping_sub(1), n.wrapping_sub(1), 2)] {
            if let Some(other) = names.get(other) {
                let other = serde_json::Value::from(format!("{other}-v")).to_string();
                peers.push(format!("{{remoteVpc: {other}, localConnectIP: 169.254.{link}.{host}/30}}"));
            }
        }
        let _ = write!(
            out,
            "---\napiVersion: kubeovn.io/v1\nkind: Vpc\nmetadata: {{name: {}}}\nspec: {{vpcPeerings: [{}]}}\n\
             ---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {{name: {}}}\n\
             spec: {{vpc: {}, cidrBlock: 10.{n}.0.0/24, provider: {}, private: true}}\n\
             ---\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {{name: {}}}\nspec:\n  \
             template: {{spec: {{networks: [{{name: n, multus: {{networkName: {}}}}}]}}}}\n",
            text("-v"),
            peers.join(", "),
            text("-s"),
            text("-v"),
            serde_json::Value::from(format!("default/net{n}")),
            text("-m"),
            serde_json::Value::from(format!("default/net{n}")),
        );
    }
    out
}

/// The same network with tame names of the same order.
fn tame() -> Vec<String> {
    let mut sorted: Vec<&str> = HOSTILE.to_vec();
    sorted.sort_unstable();
    HOSTILE.iter().map(|name| format!("n{:02}", sorted.iter().position(|s| s == name).unwrap_or(0))).collect()
}

#[test]
fn no_name_breaks_a_picture() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let draw = |names: &[&str], format: &str, more: &[&str]| {
        fs::write(dir.path().join("net.yaml"), world_named(names)).expect("it can be written");
        fs::write(dir.path().join("old.yaml"), world_named(&names[1..])).expect("it can be written");
        within(dir.path(), &[&["graph", "net.yaml", "--format", format], more].concat())
    };
    let tame = tame();
    let tame: Vec<&str> = tame.iter().map(String::as_str).collect();
    for format in ["dot", "mermaid"] {
        for more in [&[][..], &["--reach"], &["--diff", "old.yaml"]] {
            let (hostile, tame) = (draw(&HOSTILE, format, more), draw(&tame, format, more));
            assert_eq!(skeleton(&hostile, format), skeleton(&tame, format), "{format} {more:?}");
        }
    }
    let drawn = draw(&HOSTILE, "svg", &["--reach"]);
    let document = roxmltree::Document::parse(&drawn).unwrap_or_else(|e| panic!("{e}"));
    let known = ["svg", "title", "desc", "style", "rect", "g", "path", "circle", "text"];
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(known.contains(&node.tag_name().name()), "{}", node.tag_name().name());
    }
    let texts: String = document.descendants().filter_map(|node| node.text()).collect();
    for name in ["<script>alert(1)</script>-v", "]]><!-- -->-s", "a & b &amp; &#60; #quot;-m"] {
        assert!(texts.contains(name), "{name} is not in the picture");
    }
    assert!(!drawn.contains('\u{202e}'), "what turns the direction of text is not written");
}

#[test]
fn a_page_holds_what_is_behind_each_object() {
    let page = graph("fixtures/harvester/vpc-1", "html").out;
    assert!(page.contains("<template data-for=\"subnet-0-0\""), "{page}");
    for what in ["172.20.10.6", "Logical_Switch vswitch1-subnet", "<mark>   10    name: vswitch1-subnet"] {
        assert!(page.contains(what), "{what}");
    }
    for far in ["src=", "@import", "url("] {
        assert!(!page.contains(far), "a page needs nothing but itself, and has {far}");
    }
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let file = dir.path().join("net.yaml");
    fs::write(&file, world_named(&HOSTILE)).expect("it can be written");
    let page = graph(file.to_str().expect("text"), "html").out;
    assert_eq!(page.matches("<script").count(), 1, "the script is northc's own");
    assert_eq!(page.matches("<template").count(), page.matches("</template>").count());
}

#[test]
fn completions_and_manual_know_every_verb() {
    let help = northc(["--help"]).out;
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.contains(&"graph"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let ran = northc(["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(verbs.iter().all(|verb| ran.out.contains(verb)), "{shell}");
    }
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let ran = northc(["man", "--dir", dir.path().to_str().expect("text")]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let read =
        |name: String| fs::read_to_string(dir.path().join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(read("northc.1".to_owned()), northc(["man"]).out);
    for verb in verbs {
        let page = read(format!("northc-{verb}.1"));
        assert!(page.contains(&format!("\n.TH \"northc-{verb}\" \"1\"")), "{page}");
    }
}

/// A text without what stands between its quotes.
fn skeleton(text: &str, format: &str) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match (quoted, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') if format == "dot" => escaped = true,
            (_, '"') => {
                quoted = !quoted;
                out.push(c);
            }
            (true, '\n') => panic!("{format}: a line ends between quotes"),
            (true, _) => {}
            (false, c) => out.push(c),
        }
    }
    assert!(!quoted, "{format}: a quote is open at the end");
    out
}

#[test]
fn the_same_bytes_every_time() {
    for seed in 0..8 {
        let draw = || {
            let picture = world(seed);
            [svg::svg(&picture, &layout(&picture)), dot::dot(&picture), mermaid::mermaid(&picture)]
        };
        assert!(draw() == draw(), "world {seed}");
    }
}

#[test]
fn nothing_covers_anything() {
    for seed in 0..60 {
        let picture = world(seed);
        let drawn = layout(&picture);
        boxes(&drawn)
            .and_then(|()| wires(&drawn))
            .unwrap_or_else(|problem| panic!("world {seed}: {problem}"));
    }
}

/// Numbers that look random and are the same everywhere (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }

    fn word(&mut self) -> String {
        let parts =
            ["web", "database", "a", "Ünïcode", "日本", "very-long-name-of-something", "x1", "WWWWWW"];
        (0..=self.below(3)).map(|_| parts[self.below(parts.len())]).collect::<Vec<_>>().join("-")
    }
}

/// A picture of up to 25 VPCs: loners, hubs, rings; cards of every sort.
fn world(seed: u64) -> Picture {
    let mut dice = Dice(seed);
    let n_vpcs = 1 + dice.below(25);
    let vpcs = (0..n_vpcs).map(|n| vpc(&mut dice, n)).collect();
    let mut pairs = std::collections::BTreeSet::new();
    let style = dice.below(4);
    for n in 1..n_vpcs {
        match style {
            0 => {}
            1 => drop(pairs.insert((0, n))),
            2 => drop(pairs.insert((n - 1, n))),
            _ => drop(pairs.insert((dice.below(n), n))),
        }
    }
    for _ in 0..if style == 3 { n_vpcs / 2 } else { 0 } {
        let (a, b) = (dice.below(n_vpcs), dice.below(n_vpcs));
        if a != b {
            pairs.insert((a.min(b), a.max(b)));
        }
    }
    let end = |vpc: usize, host: usize| LinkEnd {
        vpc,
        subnet: None,
        address: format!("169.254.{vpc}.{host}/30"),
        place: None,
    };
    let link =
        |(a, b)| Link { ends: [end(a, 1), end(b, 2)], is_exit: dice.below(2) == 0, sign: sign(&mut dice) };
    let links = pairs.into_iter().map(link).collect();
    let n_lines = [0, 1, 3, 40][dice.below(4)];
    let line = |dice: &mut Dice| {
        let text = if dice.below(3) == 0 {
            String::new()
        } else {
            "→ D; B for tcp/80+443, icmp ".repeat(dice.below(9))
        };
        (Sign { text: "AB".to_owned(), tone: Tone::Group(3) }, dice.word(), text)
    };
    let lines = (0..n_lines).map(|_| line(&mut dice)).collect();
    let legend = Legend { title: "Who reaches whom".to_owned(), lines, arrows: Vec::new() };
    Picture { vpcs, links, legend: (n_lines > 0).then_some(legend) }
}

fn sign(dice: &mut Dice) -> Option<Sign> {
    let tones = [Tone::Added, Tone::Changed, Tone::Removed, Tone::Asked, Tone::Group(30)];
    let texts = ["+", "part", "AAB"];
    (dice.below(3) == 0).then(|| Sign { text: texts[dice.below(3)].to_owned(), tone: tones[dice.below(5)] })
}

fn vpc(dice: &mut Dice, n: usize) -> Vpc {
    let n_subnets = [0, 1, 1, 2, 3, 4, 7, 20][dice.below(8)];
    Vpc {
        name: dice.word(),
        description: if dice.below(4) == 0 {
            "what it is for, at some length ".repeat(3)
        } else {
            String::new()
        },
        kind: [Kind::Vpc, Kind::Vpc, Kind::Default, Kind::Physical][if n == 0 { 2 } else { dice.below(4) }],
        cidrs: (0..dice.below(3)).map(|c| format!("10.{c}.0.0/16")).collect(),
        routes: (0..dice.below(7))
            .map(|r| (format!("10.{r}.0.0/16"), "169.254.100.200".to_owned()))
            .collect(),
        n_policies: dice.below(3),
        exits: (0..dice.below(3)).map(|n| format!("exit-{n}: 203.0.113.{n}")).collect(),
        balancers: Vec::new(),
        subnets: (0..n_subnets).map(|_| subnet(dice)).collect(),
        place: None,
        sign: sign(dice),
    }
}

fn subnet(dice: &mut Dice) -> Subnet {
    let mut blocks = vec![("10.100.200.0/24".to_owned(), "10.100.200.1".to_owned())];
    if dice.below(3) == 0 {
        blocks.push(("fd00:1234:5678:9abc:def0::/112".to_owned(), "fd00:1234:5678:9abc:def0::1".to_owned()));
    }
    let marks = [
        Mark::Private,
        Mark::Allows("10.0.0.0/8".to_owned()),
        Mark::Underlay("physical-network-with-a-long-name VLAN 4094".to_owned()),
        Mark::Unrouted,
        Mark::Rules(12),
        Mark::Dhcp,
    ];
    let marks: Vec<Mark> = marks.into_iter().filter(|_| dice.below(3) == 0).collect();
    let kinds = [WorkloadKind::Machine, WorkloadKind::Container, WorkloadKind::VirtualAddress];
    let addresses = |dice: &mut Dice| {
        let both = ["10.100.200.101", "fd00:1234:5678:9abc:def0:1234:5678:9abc"];
        both[..dice.below(3)].iter().map(ToString::to_string).collect()
    };
    let workload = |dice: &mut Dice| Workload {
        name: dice.word(),
        kind: kinds[dice.below(3)],
        addresses: addresses(dice),
        port: String::new(),
        place: None,
        sign: sign(dice),
    };
    Subnet {
        name: dice.word(),
        description: if dice.below(5) == 0 { dice.word() } else { String::new() },
        blocks,
        network: format!("default/{}", dice.word()),
        routed: !marks.contains(&Mark::Unrouted),
        marks,
        workloads: (0..[0, 1, 3, 5, 40][dice.below(5)]).map(|_| workload(dice)).collect(),
        place: None,
        sign: sign(dice),
    }
}

/// Boxes are apart; cards are apart and in their boxes; texts are apart and in what they belong to.
fn boxes(drawn: &Layout) -> Result<(), String> {
    let paper = Rect { x: 0, y: 0, w: drawn.w, h: drawn.h };
    apart(&drawn.frames.iter().map(|frame| frame.at).collect::<Vec<_>>(), "boxes")?;
    inside(paper, &[drawn.footer.rect()], "the footer on the paper")?;
    let badges = drawn.legend.iter().filter_map(|(badge, _)| Some(badge.as_ref()?.at));
    let texts = drawn.legend.iter().flat_map(|(_, texts)| texts).map(|text| text.rect());
    let legend: Vec<Rect> = badges.chain(texts).collect();
    inside(paper, &legend, "the legend on the paper")?;
    apart(&[&legend[..], &[drawn.footer.rect()]].concat(), "what is below the boxes")?;
    if let Some(frame) = drawn.frames.iter().find(|frame| legend.iter().any(|it| it.overlaps(frame.at))) {
        return Err(format!("the legend is on a box: {:?}", frame.at));
    }
    for frame in &drawn.frames {
        inside(paper, &[frame.at], "a box on the paper")?;
        self::frame(frame)?;
        if frame.at.overlaps(drawn.footer.rect()) {
            return Err("the footer is on a box".to_owned());
        }
    }
    Ok(())
}

fn frame(frame: &Frame) -> Result<(), String> {
    let cards: Vec<Rect> = frame.cards.iter().map(|card| card.at).collect();
    inside(frame.at, &cards, "a card in its box")?;
    let badge = frame.badge.iter().map(|badge| badge.at);
    let header: Vec<Rect> = frame.texts.iter().map(|text| text.rect()).chain(badge).collect();
    inside(frame.at, &header, "a text in its box")?;
    let router: Vec<Rect> = frame.router.iter().map(|router| router.at).collect();
    let label: Vec<Rect> = frame.router.iter().map(|router| router.text.rect()).collect();
    inside(router.first().copied().unwrap_or_default(), &label, "the router's label")?;
    apart(&[&cards[..], &header, &router].concat(), "what a box holds")?;
    for rail in &frame.rails {
        let rail = thick(rail[0], rail[1]);
        if let Some(hit) = cards.iter().chain(&header).find(|rect| rect.overlaps(rail)) {
            return Err(format!("the rail {rail:?} runs over {hit:?}"));
        }
    }
    for card in &frame.cards {
        let chips: Vec<Rect> = card.chips.iter().map(|chip| chip.at).collect();
        let texts: Vec<Rect> = card.texts.iter().map(|text| text.rect()).collect();
        let badge = card.badge.iter().map(|badge| badge.at);
        let items: Vec<Rect> = card.items.iter().flat_map(|item| item.rects()).chain(badge).collect();
        for badge in card.items.iter().filter_map(|item| item.badge.as_ref()) {
            inside(badge.at, &[badge.text.rect()], "a sign's letters")?;
        }
        let all = [chips, texts, items].concat();
        inside(card.at, &all, "what a card holds, in it")?;
        apart(&all, "what a card holds")?;
        for chip in &card.chips {
            inside(chip.at, &[chip.text.rect()], "a mark's words")?;
        }
    }
    Ok(())
}

/// Lines are level or upright, on paper, off every box, and have no more than crossings in common.
fn wires(drawn: &Layout) -> Result<(), String> {
    let mut parts: Vec<(usize, Rect)> = Vec::new();
    for wire in &drawn.wires {
        for pair in wire.points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            if from.0 != to.0 && from.1 != to.1 {
                return Err(format!("a line runs askew from {from:?} to {to:?}"));
            }
            let part = thick(from, to);
            inside(Rect { x: 0, y: 0, w: drawn.w, h: drawn.h }, &[part], "a line on paper")?;
            if let Some(frame) = drawn.frames.iter().find(|frame| frame.at.overlaps(part)) {
                return Err(format!("the line {from:?} {to:?} runs over the box {:?}", frame.at));
            }
            parts.push((wire.link, part));
        }
    }
    for (at, (link, part)) in parts.iter().enumerate() {
        let others = parts[at + 1..].iter().filter(|(other, _)| other != link);
        let is_level = |rect: &Rect| rect.h == 0;
        for (_, other) in others.filter(|(_, other)| is_level(other) == is_level(part)) {
            let grown = Rect { x: part.x - 1, y: part.y - 1, w: part.w + 2, h: part.h + 2 };
            if grown.overlaps(*other) {
                return Err(format!("the lines {part:?} and {other:?} lie on each other"));
            }
        }
    }
    Ok(())
}

/// The rectangle of a line that is level or upright; one that touches a border is not in it.
fn thick(a: (i32, i32), b: (i32, i32)) -> Rect {
    Rect { x: a.0.min(b.0), y: a.1.min(b.1), w: (a.0 - b.0).abs(), h: (a.1 - b.1).abs() }
}

fn apart(rects: &[Rect], what: &str) -> Result<(), String> {
    for (at, rect) in rects.iter().enumerate() {
        if let Some(other) = rects[at + 1..].iter().find(|other| other.overlaps(*rect)) {
            return Err(format!("{what}: {rect:?} and {other:?} overlap"));
        }
    }
    Ok(())
}

fn inside(outer: Rect, inner: &[Rect], what: &str) -> Result<(), String> {
    match inner.iter().find(|rect| !outer.contains(**rect)) {
        Some(rect) => Err(format!("{what}: {rect:?} is not in {outer:?}")),
        None => Ok(()),
    }
}
