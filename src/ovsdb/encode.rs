//! Operations as JSON (RFC 7047 §5), written straight to bytes: a transaction of tens of megabytes
//! never becomes a tree of JSON values on the way.
//!
//! Refuses to resolve references; [`super::op::values`] does.

use uuid::Uuid;

use super::op::{Compare, Mutator, Name, Op, Until, Which};
use crate::nb::datum::{write_atom, write_list, write_map, write_set, write_text, write_uuid};
use crate::nb::{Datum, Key};

/// The parameters of `transact` (RFC 7047 §4.1.3).
#[cfg(feature = "live")]
pub(crate) fn transact_params(database: &str, ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + ops.len() * 256);
    out.push(b'[');
    write_text(&mut out, database);
    for op in ops {
        out.push(b',');
        op.write(&mut out);
    }
    out.push(b']');
    out
}

impl Op {
    /// Writes the operation as a JSON object.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"op\":");
        write_text(out, self.name());
        if let Some(table) = self.table() {
            out.extend_from_slice(b",\"table\":");
            write_text(out, table);
        }
        match self {
            Op::Insert { uuid, row, .. } => {
                out.extend_from_slice(b",\"uuid\":\"");
                write_uuid(out, *uuid);
                out.extend_from_slice(b"\",\"row\":");
                write_row(out, row);
            }
            Op::Select { rows, columns, .. } => {
                rows.write(out);
                out.extend_from_slice(b",\"columns\":");
                write_list(out, columns, |out, column| write_text(out, column));
            }
            Op::Update { rows, row, .. } => {
                rows.write(out);
                out.extend_from_slice(b",\"row\":");
                write_row(out, row);
            }
            Op::Mutate { rows, mutations, .. } => {
                rows.write(out);
                out.extend_from_slice(b",\"mutations\":");
                write_list(out, mutations, |out, (column, mutator, datum)| {
                    write_triple(out, column, mutator.text(), datum);
                });
            }
            Op::Delete { rows, .. } => rows.write(out),
            Op::Wait { rows, until, row, timeout_ms, .. } => {
                rows.write(out);
                out.extend_from_slice(b",\"columns\":");
                write_list(out, row, |out, (column, _)| write_text(out, column));
                out.extend_from_slice(b",\"until\":");
                write_text(out, if *until == Until::Equal { "==" } else { "!=" });
                out.extend_from_slice(b",\"rows\":[");
                write_row(out, row);
                out.extend_from_slice(format!("],\"timeout\":{timeout_ms}").as_bytes());
            }
            Op::WaitValues { rows, column, values, .. } => {
                rows.write(out);
                out.extend_from_slice(b",\"columns\":[");
                write_text(out, column);
                out.extend_from_slice(b"],\"until\":\"==\",\"rows\":");
                write_list(out, values, |out, value| {
                    out.push(b'{');
                    write_text(out, column);
                    out.push(b':');
                    write_datum(out, value);
                    out.push(b'}');
                });
                out.extend_from_slice(b",\"timeout\":0");
            }
            Op::CommitDurable => out.extend_from_slice(b",\"durable\":true"),
            Op::Comment(text) => {
                out.extend_from_slice(b",\"comment\":");
                write_text(out, text);
            }
            Op::Assert(lock) => {
                out.extend_from_slice(b",\"lock\":");
                write_text(out, lock);
            }
        }
        out.push(b'}');
    }
}

impl Which {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"where\":[");
        match self {
            Which::All => {}
            Which::Row(uuid) => {
                out.extend_from_slice(b"[\"_uuid\",\"==\",[\"uuid\",\"");
                write_uuid(out, *uuid);
                out.extend_from_slice(b"\"]]");
            }
            Which::RowIf(uuid, clauses) => {
                out.extend_from_slice(b"[\"_uuid\",\"==\",[\"uuid\",\"");
                write_uuid(out, *uuid);
                out.extend_from_slice(b"\"]]");
                for (column, compare, datum) in clauses {
                    out.push(b',');
                    write_triple(out, column, compare.text(), datum);
                }
            }
            Which::Where(column, compare, datum) => write_triple(out, column, compare.text(), datum),
        }
        out.push(b']');
    }
}

impl Compare {
    fn text(self) -> &'static str {
        match self {
            Compare::Equal => "==",
            Compare::Differs => "!=",
            Compare::AtLeast => ">=",
            Compare::Includes => "includes",
            Compare::Excludes => "excludes",
        }
    }
}

impl Mutator {
    fn text(self) -> &'static str {
        match self {
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
            Mutator::Add => "+=",
        }
    }
}

fn write_triple(out: &mut Vec<u8>, column: &str, word: &str, datum: &Datum) {
    out.push(b'[');
    write_text(out, column);
    out.push(b',');
    write_text(out, word);
    out.push(b',');
    write_datum(out, datum);
    out.push(b']');
}

fn write_row(out: &mut Vec<u8>, row: &[(Name, Datum)]) {
    out.push(b'{');
    for (at, (column, datum)) in row.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(out, column);
        out.push(b':');
        write_datum(out, datum);
    }
    out.push(b'}');
}

/// RFC 7047 §5.1 `<value>`: a set of one may be written as its atom, which is what a scalar needs.
fn write_datum(out: &mut Vec<u8>, datum: &Datum) {
    match datum {
        Datum::Set(atoms) => match atoms.as_slice() {
            [atom] => write_atom(out, atom, &resolved),
            atoms => write_set(out, atoms, &resolved),
        },
        Datum::Map(pairs) => write_map(out, pairs, &resolved),
    }
}

fn resolved(key: &Key) -> Uuid {
    unreachable!("`values` resolved the reference to {key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nb::Atom;

    fn json(op: &Op) -> String {
        let mut out = Vec::new();
        op.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn operations_have_the_json_of_the_rfc() {
        let uuid = Uuid::from_u128(7);
        let text = |text: &str| Datum::set([Atom::Text(text.into())]);
        let table = || Name::from("T");
        let row = vec![("a".into(), text("x\"")), ("b".into(), Datum::set([]))];
        let op = Op::Insert { table: table(), uuid, row: row.clone() };
        let expected = r#"{"op":"insert","table":"T","uuid":"00000000-0000-0000-0000-000000000007","row":{"a":"x\"","b":["set",[]]}}"#;
        assert_eq!(json(&op), expected);
        let op = Op::Wait { table: table(), rows: Which::Row(uuid), until: Until::Equal, row, timeout_ms: 0 };
        let expected = r#"{"op":"wait","table":"T","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000007"]]],"columns":["a","b"],"until":"==","rows":[{"a":"x\"","b":["set",[]]}],"timeout":0}"#;
        assert_eq!(json(&op), expected);
        let pair = (Atom::Text("k".into()), Atom::Text("v".into()));
        let mutations = vec![("m".into(), Mutator::Insert, Datum::map([pair]))];
        let op = Op::Mutate { table: table(), rows: Which::All, mutations };
        assert_eq!(
            json(&op),
            r#"{"op":"mutate","table":"T","where":[],"mutations":[["m","insert",["map",[["k","v"]]]]]}"#
        );
    }
}
