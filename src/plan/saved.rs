//! A saved plan read back: exactly the steps and guards that were reviewed, or a refusal.
//!
//! Refuses a file that was altered, of another shape, or with conflicts in it.

use serde_json::Value;
use uuid::Uuid;

use super::json::{FORMAT_VERSION, KIND, digest};
use super::step::{Action, Change, Edit, Pair, Step, Why};
use super::{Guard, Mode, Plan};
use crate::nb::actual::Lack;
use crate::nb::record::Record;
use crate::nb::{Atom, Column, Datum, Key, Kind, Ref, Row, Table};

/// Why a file is not a plan that may be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON of something else.
    #[error("not a saved plan")]
    NotAPlan,
    /// A later northc wrote it.
    #[error("a plan of format {0}, which this northc does not know")]
    Version(String),
    /// Its digest does not fit.
    #[error("the plan was altered after it was saved")]
    Altered,
    /// Something is missing or of another shape.
    #[error("the plan is damaged at {0}")]
    Damaged(String),
    /// It says itself that it cannot be applied.
    #[error("the plan has conflicts, so it cannot be applied")]
    Conflicts,
}

/// True when the text looks like a saved plan rather than a network's description.
pub fn is_plan(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains(KIND)
}

/// The plan in a text that [`super::json::document`] wrote.
pub fn read(text: &str) -> Result<Plan, Unusable> {
    let mut document: Value =
        serde_json::from_str(text).map_err(|error| Unusable::NotJson(error.to_string()))?;
    let object = document.as_object_mut().ok_or(Unusable::NotAPlan)?;
    if object.get("kind").and_then(Value::as_str) != Some(KIND) {
        return Err(Unusable::NotAPlan);
    }
    let version = object.get("format_version").and_then(Value::as_str).unwrap_or("(none)");
    if version.split('.').next() != FORMAT_VERSION.split('.').next() {
        return Err(Unusable::Version(version.to_owned()));
    }
    let written = object.remove("digest");
    if written.as_ref().and_then(Value::as_str) != Some(&digest(&document)) {
        return Err(Unusable::Altered);
    }
    let at = At { value: &document, path: "plan".to_owned() };
    if !at.get("conflicts")?.items()?.is_empty() {
        return Err(Unusable::Conflicts);
    }
    plan(&at)
}

fn plan(at: &At<'_>) -> Result<Plan, Unusable> {
    let uuids = at.get("uuids")?.items()?;
    let uuids = uuids.iter().map(|at| Ok((key(at)?, at.get("uuid")?.uuid()?)));
    Ok(Plan {
        owner: at.get("owner")?.text()?.to_owned(),
        mode: match at.get("mode")?.text()? {
            "all" => Mode::All,
            "keep" => Mode::Keep,
            "add-only" => Mode::AddOnly,
            _ => return at.get("mode")?.damaged(),
        },
        base: at.get("base")?.optional().map(|at| record(&at)).transpose()?,
        rows: at.get("rows")?.text()?.to_owned(),
        n_owned: at.get("owned")?.count()?,
        steps: at.get("steps")?.items()?.iter().map(step).collect::<Result<_, _>>()?,
        uuids: uuids.collect::<Result<_, _>>()?,
        lacks: at.get("lacks")?.items()?.iter().map(lack).collect::<Result<_, _>>()?,
        conflicts: Vec::new(),
        guard: at.get("guard")?.optional().map(|at| guard(&at)).transpose()?,
    })
}

fn record(at: &At<'_>) -> Result<Record, Unusable> {
    let field = |name| at.get(name)?.optional().map(|at| at.text().map(str::to_owned)).transpose();
    Ok(Record {
        txn: field("txn")?,
        rows: field("rows")?,
        pending: field("pending")?,
        confirm: field("confirm")?,
    })
}

fn lack(at: &At<'_>) -> Result<Lack, Unusable> {
    let [table, name] = at.pair()?;
    let table = table.table()?;
    let column = match name.optional() {
        Some(name) => Some(column(table, name.text()?).ok_or_else(|| name.damage())?.name),
        None => None,
    };
    Ok(Lack { table, column })
}

fn guard(at: &At<'_>) -> Result<Guard, Unusable> {
    let routers = at.get("routers")?.items()?;
    let routers = routers.iter().map(|at| Ok(Key::new(Table::LogicalRouter, at.text()?)));
    Ok(Guard {
        n_deleted: at.get("deleted")?.count()?,
        n_owned: at.get("owned")?.count()?,
        routers: routers.collect::<Result<_, _>>()?,
    })
}

fn key(at: &At<'_>) -> Result<Key, Unusable> {
    Ok(Key::new(at.get("table")?.table()?, at.get("key")?.text()?))
}

fn step(at: &At<'_>) -> Result<Step, Unusable> {
    let key = key(at)?;
    let action = match at.get("action")?.text()? {
        "insert" => Action::Insert(row(key.table, &at.get("row")?)?),
        "delete" => Action::Delete(row(key.table, &at.get("row")?)?),
        "update" => {
            let changes = at.get("changes")?.items()?;
            Action::Update(changes.iter().map(|at| change(key.table, at)).collect::<Result<_, _>>()?)
        }
        _ => return at.get("action")?.damaged(),
    };
    let holder = || at.get("holder")?.optional().map(|at| at.text().map(str::to_owned)).transpose();
    let why = match at.get("why")?.text()? {
        "input" => Why::Input,
        "drift" => Why::Drift,
        "both" => Why::Both,
        "duplicate" => Why::Duplicate,
        "adopted" => Why::Adopted(holder()?),
        "marks" => Why::Marks,
        _ => return at.get("why")?.damaged(),
    };
    let place = at.get("source")?.optional().map(|at| at.text().map(str::to_owned)).transpose()?;
    let group = at.get("group")?.pair()?;
    let group = Key::new(group[0].table()?, group[1].text()?);
    Ok(Step { key, uuid: at.get("uuid")?.uuid()?, why, place, group, action })
}

fn row(table: Table, at: &At<'_>) -> Result<Row, Unusable> {
    let object = at.value.as_object().ok_or_else(|| at.damage())?;
    if let Some(name) = object.keys().find(|name| column(table, name).is_none()) {
        return at.get(name)?.damaged();
    }
    let data = table.columns().iter().map(|column| match object.get(column.name) {
        None => Ok(column.kind.default()),
        Some(_) => datum(column.kind, &at.get(column.name)?),
    });
    Ok(Row::new(table, data.collect::<Result<_, _>>()?))
}

fn column(table: Table, name: &str) -> Option<&'static Column> {
    table.columns().iter().find(|column| column.name == name)
}

fn change(table: Table, at: &At<'_>) -> Result<Change, Unusable> {
    let name = at.get("column")?;
    let column = column(table, name.text()?).ok_or_else(|| name.damage())?;
    let atoms = |at: At<'_>| at.items()?.iter().map(atom).collect::<Result<Vec<_>, _>>();
    let edit = if at.value.get("pairs").is_some() {
        let pairs = at.get("pairs")?.items()?;
        Edit::Pairs(pairs.iter().map(pair).collect::<Result<_, _>>()?)
    } else if at.value.get("insert").is_some() {
        Edit::Members { insert: atoms(at.get("insert")?)?, delete: atoms(at.get("delete")?)? }
    } else {
        let side = |name| datum(column.kind, &at.get(name)?);
        Edit::Replace { before: side("before")?, after: side("after")? }
    };
    Ok(Change { column, edit })
}

fn pair(at: &At<'_>) -> Result<Pair, Unusable> {
    let side = |name| at.get(name)?.optional().map(|at| atom(&at)).transpose();
    Ok(Pair { key: atom(&at.get("key")?)?, before: side("before")?, after: side("after")? })
}

fn datum(kind: Kind, at: &At<'_>) -> Result<Datum, Unusable> {
    if kind.is_map() {
        let object = at.value.as_object().ok_or_else(|| at.damage())?;
        let pairs = object.keys().map(|key| Ok((Atom::Text(key.as_str().into()), atom(&at.get(key)?)?)));
        return Ok(Datum::map(pairs.collect::<Result<Vec<_>, Unusable>>()?));
    }
    if kind.is_scalar() {
        return Ok(Datum::set([atom(at)?]));
    }
    Ok(Datum::set(at.items()?.iter().map(atom).collect::<Result<Vec<_>, _>>()?))
}

fn atom(at: &At<'_>) -> Result<Atom, Unusable> {
    match at.value {
        Value::Bool(value) => Ok(Atom::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Atom::Int).ok_or_else(|| at.damage()),
        Value::String(text) => Ok(Atom::Text(text.as_str().into())),
        Value::Object(object) if object.contains_key("uuid") => {
            Ok(Atom::Ref(Ref::Foreign(at.get("uuid")?.uuid()?)))
        }
        Value::Object(_) => {
            let row = at.get("row")?.pair()?;
            Ok(Atom::Ref(Ref::Key(Key::new(row[0].table()?, row[1].text()?))))
        }
        Value::Null | Value::Array(_) => at.damaged(),
    }
}

/// A value of the document and the way to it.
struct At<'v> {
    value: &'v Value,
    path: String,
}

impl<'v> At<'v> {
    fn damage(&self) -> Unusable {
        Unusable::Damaged(self.path.clone())
    }

    fn damaged<T>(&self) -> Result<T, Unusable> {
        Err(self.damage())
    }

    fn get(&self, name: &str) -> Result<At<'v>, Unusable> {
        let path = format!("{}.{name}", self.path);
        match self.value.get(name) {
            Some(value) => Ok(At { value, path }),
            None => Err(Unusable::Damaged(path)),
        }
    }

    fn items(&self) -> Result<Vec<At<'v>>, Unusable> {
        let items = self.value.as_array().ok_or_else(|| self.damage())?;
        let item = |(at, value)| At { value, path: format!("{}[{at}]", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    fn pair(&self) -> Result<[At<'v>; 2], Unusable> {
        self.items()?.try_into().map_err(|_| self.damage())
    }

    fn optional(self) -> Option<At<'v>> {
        (!self.value.is_null()).then_some(self)
    }

    fn text(&self) -> Result<&'v str, Unusable> {
        self.value.as_str().ok_or_else(|| self.damage())
    }

    fn count(&self) -> Result<usize, Unusable> {
        self.value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| self.damage())
    }

    fn uuid(&self) -> Result<Uuid, Unusable> {
        Uuid::parse_str(self.text()?).map_err(|_| self.damage())
    }

    fn table(&self) -> Result<Table, Unusable> {
        Table::from_name(self.text()?).ok_or_else(|| self.damage())
    }
}
