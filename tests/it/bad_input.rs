//! Bad input: what northc says of it, whole, beside the input.
//!
//! A folder of `fixtures/check` is a case: `input.yaml`, or any other sources, and `check.snap`. A file `args`
//! holds further arguments. Refuses to look at rows.

/// What a command line gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs northc in this process.
pub(crate) fn northc<'a>(args: impl IntoIterator<Item = &'a str>) -> Ran {
    let args = std::iter::once("northc").chain(args);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = northc::cli::run(args, &mut out, &mut err, false);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("northc writes UTF-8");
    Ran { code, out: text(out), err: text(err) }
}
