//! The forms that values have in the file: each is read strictly, so that nothing that stands there is passed over.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use toml_edit::{Item, TableLike};

use super::text::Problem;
use crate::names::nearest;

/// Numbers are counted on from what stands in the file, and other languages read them as floats.
pub(super) const MOST: u64 = 1 << 53;

pub(super) type Read<T> = Result<T, Problem>;

/// A text, and where it stands.
type Word<'a> = (&'a str, Option<Range<usize>>);

/// A table of the file, and what it is called in what is said of it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) table: &'a dyn TableLike,
    pub(super) name: &'a str,
}

impl<'a> Reader<'a> {
    /// The item as a table, in whichever way it is written.
    pub(super) fn of(item: &'a Item, name: &'a str) -> Read<Self> {
        let table = item.as_table_like().ok_or_else(|| wrong(item, name, "a table"))?;
        Ok(Self { table, name })
    }

    /// The table has no keys but these.
    pub(super) fn only(self, known: &[&'static str]) -> Read<()> {
        let unknown = self.table.iter().find(|(key, _)| !known.contains(key));
        unknown
            .map_or(Ok(()), |(key, _)| Err(Problem::new(self.place(key), self::unknown(key, known, "key", self.name))))
    }

    /// Where the key stands.
    pub(super) fn place(self, key: &str) -> Option<Range<usize>> {
        self.table.key(key).and_then(toml_edit::Key::span)
    }

    pub(super) fn number(self, key: &str) -> Read<Option<u64>> {
        self.get(key, "a whole number from 0 to 9007199254740992", |item| {
            item.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|number| *number <= MOST)
        })
    }

    pub(super) fn word(self, key: &str) -> Read<Option<&'a str>> {
        self.get(key, "a text", Item::as_str)
    }

    /// A text, or TOML's own date.
    pub(super) fn date(self, key: &str) -> Read<Option<SystemTime>> {
        self.get(key, "a date and time such as \"2026-11-28T16:00:00Z\"", |item| {
            let own = item.as_datetime().map(ToString::to_string);
            humantime::parse_rfc3339(own.as_deref().or(item.as_str())?).ok()
        })
    }

    /// A list of texts, each with its item's place.
    pub(super) fn words(self, key: &str) -> Read<Vec<Word<'a>>> {
        let all = |item: &'a Item| {
            let words = item.as_array()?.iter().map(|value| Some((value.as_str()?, value.span())));
            words.collect::<Option<Vec<_>>>()
        };
        Ok(self.get(key, "a list of texts", all)?.unwrap_or_default())
    }

    /// What has to be there.
    pub(super) fn needed<T>(self, key: &str, found: Option<T>) -> Read<T> {
        found.ok_or_else(|| Problem::new(self.span(), format!("`{key}` is missing in `{}`", self.name)))
    }

    pub(super) fn get<T>(self, key: &str, expected: &str, of: impl FnOnce(&'a Item) -> Option<T>) -> Read<Option<T>> {
        let Some(item) = self.table.get(key) else { return Ok(None) };
        of(item).map(Some).ok_or_else(|| wrong(item, key, expected))
    }

    /// Where the table begins: at its first key. An empty one has no place.
    fn span(self) -> Option<Range<usize>> {
        self.table.iter().find_map(|(key, _)| self.place(key))
    }
}

/// What is said of a name that nobody knows.
pub(super) fn unknown(name: &str, known: &[&str], what: &str, place: &str) -> String {
    let near = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    format!("unknown {what} `{name}` in `{place}`, {near}")
}

/// A calendar that stands before 1970 or after 9999 is taken to stand there: no text says more.
pub(super) fn date(at: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339(at.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST)).to_string()
}

/// A value of another form than the expected one.
pub(super) fn wrong(item: &Item, key: &str, expected: &str) -> Problem {
    let found = match item.type_name() {
        "string" => format!("the text {}", shown(item)),
        "integer" | "float" | "boolean" | "datetime" => shown(item),
        "array" => "a list".to_owned(),
        _ => "a table".to_owned(),
    };
    Problem::new(item.span(), format!("`{key}` is {found}, and ought to be {expected}"))
}

/// The value without what stands around it, cut where it is long.
fn shown(item: &Item) -> String {
    const MOST_SHOWN: usize = 40;
    let text = match item.as_value() {
        Some(value) => value.clone().decorated("", "").to_string(),
        None => String::new(),
    };
    match text.char_indices().nth(MOST_SHOWN) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text,
    }
}
