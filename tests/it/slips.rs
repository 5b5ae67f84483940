//! What fingers and memory get wrong on a command line, and what northc says to it.

use crate::cases::northc;

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    let net = "fixtures/native/three-tier";
    let slips: [(&[&str], u8, &str); 14] = [
        (&["chekc"], 64, "'check'"),
        (&["check", "--wach"], 64, "a similar argument exists: '--watch'"),
        (&["check", net, "--format", "sarfi"], 64, "a similar value exists: 'sarif'"),
        (&["check", "nowhere.yaml"], 1, "can't read `nowhere.yaml`"),
        (&["check", net, "--deny", "N031"], 64, "did you mean `N0301`?"),
        (&["explain", "cidr-overlp"], 64, "did you mean `cidr-overlap`?"),
        (&["explain", "overlap"], 64, "`cidr-overlap`"),
        (&["explain", "something-else"], 64, "`northc explain --list` lists them"),
        (&["diff", net], 64, "northc diff OLD NEW"),
        (&["diff", net, net, net], 64, "northc diff OLD NEW"),
        (&["compile", net, "-o", "/nowhere/net.sh"], 64, "can't write `/nowhere/net.sh`"),
        (&["graph", net, "--reach=nobody-there"], 64, "nobody-there"),
        (
            &["plan", net, "--db", "unix:/nowhere", "--retry-for", "1ms"],
            4,
            "--db or OVN_NB_DB says where it is",
        ),
        (&["plan", net, "--db", "tpc:10.0.0.1:6641"], 64, "tpc"),
    ];
    for (args, code, part) in slips {
        let ran = northc(args.iter().copied());
        assert!(ran.code == code && ran.err.contains(part), "{args:?} ends with {}: {}", ran.code, ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
}

#[test]
fn a_code_is_found_by_what_people_remember_of_it() {
    let page = northc(["explain", "N0301"]).out;
    for said in ["n0301", "301", "0301", "cidr-overlap", "CIDR-Overlap"] {
        assert_eq!(northc(["explain", said]).out, page, "{said}");
    }
    assert_eq!(northc(["explain"]).out, northc(["explain", "--list"]).out);
}

#[test]
fn nothing_is_compiled_of_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let empty = dir.path().to_str().expect("a plain name");
    for args in [&["compile", empty][..], &["compile", empty, "--to", "rows"], &["diff", empty, empty]] {
        let ran = northc(args.iter().copied());
        assert!(
            ran.code == 1 && ran.out.is_empty() && ran.err.contains("error[N0110]"),
            "{args:?}: {}",
            ran.err
        );
        let ran = northc(args.iter().copied().chain(["--allow", "N0110"]));
        assert!(ran.code == 0 && ran.err.is_empty(), "{args:?}: {}", ran.err);
    }
    // What has to be looked at is not in the way.
    for args in [["check", empty], ["verify", empty]] {
        let ran = northc(args);
        assert!(ran.code == 0 && ran.err.contains("warning[N0110]"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn an_empty_picture_is_not_drawn_in_silence() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = northc(["graph", dir.path().to_str().expect("a plain name")]);
    assert!(ran.code == 0 && ran.err.contains("N0110"), "{}", ran.err);
}
