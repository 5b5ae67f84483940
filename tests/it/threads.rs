//! However many threads work, the same comes out: rows, and what is told in its order.
//!
//! With a number that is said, even a document or two are worth a thread. Refuses to measure.

use std::fs;

use northc::parallel::with_threads;

use crate::cases::{Ran, all, compile, each};
use crate::worlds::text;
use crate::worlds::world::{Dialect, Size};

/// By one thread, and by so many.
const MORE: [usize; 2] = [2, 7];

fn same(paths: &[String]) -> Result<Ran, String> {
    let of = |form: &str, n: usize| with_threads(n, || compile(form, paths));
    for form in ["nbctl", "ovsdb", "rows"] {
        let one = of(form, 1);
        for n in MORE {
            let more = of(form, n);
            if (more.code, &more.out, &more.err) != (one.code, &one.out, &one.err) {
                return Err(format!("{n} threads, {form}:\n{}\nbut one:\n{}", more.err, one.err));
            }
        }
    }
    Ok(of("rows", 1))
}

fn of_text(text: &str) -> Ran {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("world.yaml");
    fs::write(&path, text).expect("written");
    same(&[path.display().to_string()]).unwrap_or_else(|differs| panic!("{differs}"))
}

#[test]
fn every_case_is_the_same() {
    each(&all(), |case| same(&case.sources()).map(drop));
}

#[test]
fn worlds_are_the_same() {
    for dialect in [Dialect::Native, Dialect::KubeOvn] {
        let ran = of_text(&text(Size::of_ports(3_000), 1, dialect));
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
}

#[test]
fn what_is_wrong_in_a_part_is_told_as_ever() {
    let good = text(Size::of_ports(200), 1, Dialect::Native);
    let broken = [
        "a: [1,\n",
        "a: {b\n",
        "a: 'b\n",
        "a: *nowhere\n",
        "%YAML 1.2\n",
        "a: |\n  --- b\n---\n",
        "a: 1\na: 2\nkind: Vpc\n",
        "apiVersion: northc.io/v1alpha1\nkind: Vcp\nmetadata: {name: v}\n",
        "apiVersion: northc.io/v1alpha1\nkind: Vpc\nmetadata: {name: vpc-0}\nspec: {cidrs: 10.0.0.0/33, mist: 1}\n",
        "kind: Unheard\napiVersion: of/v1\nmetadata: {name: u}\n",
        "\u{feff}",
        "...\n",
        "",
        "--- a\n--- b\n",
        "a: 1\r\n---\r\nb: 2\r\n",
        "---a: 1\n",
    ];
    let documents: Vec<&str> = good.split("---\n").collect();
    let (front, back) = documents.split_at(documents.len() / 2);
    for one in broken {
        of_text(&format!("{}---\n{one}---\n{}", front.join("---\n"), back.join("---\n")));
        of_text(&format!("{one}---\n{}", documents[..9].join("---\n")));
        of_text(&format!("{}---\n{one}", documents[..9].join("---\n")));
    }
    let all: String = broken.iter().map(|one| format!("---\n{one}")).collect();
    assert_ne!(of_text(&all).code, 0);
}
