//! Label selectors as Kubernetes writes them: `app=web`, `app!=web`, `app in (web, api)`, `app notin (web)`, `!app`,
//! several with commas between them, all of which must hold.
//!
//! Refuses to know whose labels they are.

use std::collections::BTreeMap;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// What labels must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    /// Any of these; whatever it is where there are none.
    values: Vec<String>,
    /// Whether it must be so, or must not.
    holds: bool,
}

impl Selector {
    /// Whether a text can be nothing but a selector: names have none of these.
    pub fn is_meant(text: &str) -> bool {
        text.contains(['=', '!', '(', ','])
    }

    /// Reads one; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Selector, String> {
        let parts = split(text).into_iter().map(requirement).collect::<Result<Vec<_>, String>>();
        parts
            .map(Selector)
            .map_err(|part| format!("`{part}` is no selector, such as `app=web` or `app in (web, api)`"))
    }

    /// Whether labels are like that.
    pub fn selects(&self, labels: &Labels) -> bool {
        let is_met = |it: &Requirement| {
            let value = labels.get(&it.key);
            let is_so = value.is_some_and(|value| it.values.is_empty() || it.values.contains(value));
            is_so == it.holds
        };
        self.0.iter().all(is_met)
    }

    /// `key=value` of what must be so, for suggestions.
    pub fn wanted(&self) -> impl Iterator<Item = String> {
        let wanted = self.0.iter().filter(|it| it.holds);
        wanted.flat_map(|it| it.values.iter().map(|value| format!("{}={value}", it.key)))
    }
}

/// Parts between commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let is_comma = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    text.split(is_comma).map(str::trim).collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    fn one<'t>(key: &'t str, value: &str, holds: bool) -> (&'t str, Vec<String>, bool) {
        (key, vec![value.trim().to_owned()], holds)
    }
    let (key, values, holds) = if let Some((key, value)) = text.split_once("!=") {
        one(key, value, false)
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        one(key, value, true)
    } else if let Some((key, list)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        match key.trim().rsplit_once(char::is_whitespace) {
            Some((key, "in")) => (key, values, true),
            Some((key, "notin")) => (key, values, false),
            _ => return Err(text.to_owned()),
        }
    } else {
        match text.strip_prefix('!') {
            Some(key) => (key, Vec::new(), false),
            None => (text, Vec::new(), true),
        }
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let key = key.trim();
    let is_good = |value: &String| value.chars().all(is_word);
    if key.is_empty() || !key.chars().all(is_word) || !values.iter().all(is_good) {
        return Err(text.to_owned());
    }
    Ok(Requirement { key: key.to_owned(), values, holds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select() {
        let labels: Labels =
            [("app", "web"), ("tier", "front")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let table = [
            ("app=web", Some(true)),
            ("app==web", Some(true)),
            ("app = web , tier = front", Some(true)),
            ("app=db", Some(false)),
            ("app!=db", Some(true)),
            ("other!=db", Some(true)),
            ("app in (db, web)", Some(true)),
            ("app notin (db, web),tier=front", Some(false)),
            ("!app", Some(false)),
            ("!other,tier", Some(true)),
            ("app of (web)", None),
            ("=web", None),
            ("app=we b", None),
            ("app=web,", None),
        ];
        for (text, expected) in table {
            let selected = Selector::parse(text).ok().map(|selector| selector.selects(&labels));
            assert_eq!(selected, expected, "{text}");
        }
    }
}
