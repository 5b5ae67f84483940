//! What the README shows is what happens.
//!
//! In its `console` blocks a line after `$ ` is a command, and what follows is what it says, standard error
//! first. `…` at a line's end stands for the rest of the line, alone on a line for any number of lines.

use std::fs;

use crate::cases::{northc, root};

#[test]
fn what_the_readme_shows_is_what_happens() {
    let text = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let mut n_commands = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for shown in block.split("$ ").skip(1) {
            let (command, shown) = shown.split_once('\n').expect("a command's output follows it");
            let args =
                command.strip_prefix("cargo run --release -- ").or_else(|| command.strip_prefix("northc "));
            let args = args.unwrap_or_else(|| panic!("no way to run `{command}` here"));
            let ran = northc(args.split_whitespace());
            let said = ran.err + &ran.out;
            let said: Vec<&str> = said.trim_end().lines().collect();
            let shown: Vec<&str> = shown.trim_end().lines().collect();
            assert!(
                matches(&shown, &said),
                "`{command}` says otherwise than the README:\n{}",
                said.join("\n")
            );
            n_commands += 1;
        }
    }
    assert!(n_commands >= 2, "the README shows commands");
}

#[test]
fn the_commands_of_the_readme_are_there() {
    let text = fs::read_to_string(root().join("README.md")).expect("there is a README");
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for program in block.lines().filter_map(|line| line.split(' ').next()) {
            assert!(root().join(program).is_file(), "{program} is not there");
        }
    }
    for verb in text.lines().filter_map(|line| line.strip_prefix("| `")?.split([' ', '`']).next()) {
        let ran = northc([verb, "--help"]);
        // Without the feature `live` some verbs say that they are not built in.
        assert!(ran.code == 0 || cfg!(not(feature = "live")), "`{verb}` is no verb: {}", ran.err);
    }
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root().join(link).exists(), "{link} is not there");
    }
}

/// Whether lines are those that are shown.
fn matches(shown: &[&str], said: &[&str]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((&"…", rest)) => (0..=said.len()).any(|skipped| matches(rest, &said[skipped..])),
        Some((line, rest)) => {
            let fits = |real: &&str| match line.strip_suffix(" …") {
                Some(start) => real.starts_with(start),
                None => real == line,
            };
            said.split_first().is_some_and(|(first, more)| fits(first) && matches(rest, more))
        }
    }
}
