//! Declared flags as a person reads them.

use std::fmt;

use crate::{Date, Flag};

/// Flags by name, with what was declared of each: shown as a table, and asked which of them are to be gone by now.
///
/// A program that has its flags in a list checks them in a test or a step of its own:
///
/// ```
/// use foundation_flags::{Date, Flag, Inventory};
///
/// const FLAGS: [Flag; 2] = [Flag::off("new_prices").owner("payments").expires("2027-01-31"), Flag::on("beta")];
///
/// let today = Date::parse("2027-02-01").expect("there is such a day");
/// let inventory = Inventory::new(FLAGS, today);
/// println!("{inventory}");
/// assert_eq!(inventory.expired(), [FLAGS[0]]);
/// let stale = inventory.check().expect_err("one of them is to be gone");
/// assert_eq!(stale.to_string(), "`new_prices` expired on 2027-01-31 (payments): remove it, or give it another day");
/// ```
#[derive(Clone, Debug)]
pub struct Inventory {
    flags: Vec<Flag>,
    today: Date,
}

impl Inventory {
    /// Of these flags, as of this day.
    pub fn new(flags: impl IntoIterator<Item = Flag>, today: Date) -> Self {
        let mut flags: Vec<_> = flags.into_iter().collect();
        flags.sort_by_key(Flag::name);
        Self { flags, today }
    }

    /// All of them, by name.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Those that are to be gone by now.
    pub fn expired(&self) -> Vec<Flag> {
        self.flags.iter().copied().filter(|flag| flag.has_expired(self.today)).collect()
    }

    /// Whether all of them may be there: none has expired, and none expires on what is no date.
    ///
    /// # Errors
    /// Those that may not, by name.
    pub fn check(&self) -> Result<(), StaleFlags> {
        let stale: Vec<_> =
            self.flags.iter().copied().filter(|flag| flag.has_expired(self.today) || is_undated(flag)).collect();
        if stale.is_empty() { Ok(()) } else { Err(StaleFlags { flags: stale }) }
    }
}

/// Flags that are to be gone by now, or with which flags would not [start](crate::Builder::start), as their expiry is no
/// date.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleFlags {
    /// Which.
    pub flags: Vec<Flag>,
}

impl fmt::Display for StaleFlags {
    /// A line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, flag) in self.flags.iter().enumerate() {
            let (name, expiry) = (flag.name(), flag.expiry().map_or_else(String::new, |expiry| expiry.to_string()));
            let owner = flag.owned_by().map_or_else(String::new, |owner| format!(" ({owner})"));
            if at > 0 {
                writeln!(f)?;
            }
            if is_undated(flag) {
                write!(f, "`{name}` expires on `{expiry}`{owner}, which is no date: write a day as 2027-01-31")?;
            } else {
                write!(f, "`{name}` expired on {expiry}{owner}: remove it, or give it another day")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for StaleFlags {}

pub(crate) fn is_undated(flag: &Flag) -> bool {
    flag.expiry().is_some_and(|expiry| expiry.date().is_none())
}

impl fmt::Display for Inventory {
    /// A line for each, and a head: name, default, owner, day of expiry, where it is declared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expires = |flag: &Flag| {
            let expiry = flag.expiry().map_or_else(|| "-".to_owned(), |expiry| expiry.to_string());
            let more = match () {
                () if flag.has_expired(self.today) => " EXPIRED",
                () if is_undated(flag) => " NO DATE",
                () => "",
            };
            expiry + more
        };
        let row = |flag: &Flag| {
            let default = if flag.default() { "on" } else { "off" };
            let (owner, place) = (flag.owned_by().unwrap_or("-"), flag.declared_at());
            let place = format!("{}:{}", place.file(), place.line());
            [flag.name().to_owned(), default.to_owned(), owner.to_owned(), expires(flag), place]
        };
        let head = ["name", "default", "owner", "expires", "declared at"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.flags.iter().map(row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3].map(width);
        for (at, [name, default, owner, expires, place]) in rows.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            let [a, b, c, d] = widths;
            write!(f, "{name:a$}  {default:b$}  {owner:c$}  {expires:d$}  {place}")?;
        }
        Ok(())
    }
}
