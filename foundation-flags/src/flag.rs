//! What a flag is, and where it stands in the table.

use std::{
    fmt,
    hash::{Hash, Hasher},
    panic::Location,
};

use xxhash_rust::{const_xxh3, xxh3};

use crate::{Date, bucket::bucket};

/// A flag: a name, and what it says where nobody has decided. Make it a constant, and declare it to
/// [`Flags`](crate::Flags).
///
/// ```
/// use foundation_flags::Flag;
///
/// const NEW_PRICES: Flag = Flag::off("new_prices").owner("payments").expires("2027-01-31");
/// assert_eq!((NEW_PRICES.default(), NEW_PRICES.owned_by()), (false, Some("payments")));
/// assert_eq!(NEW_PRICES.expiry().expect("it was given one").to_string(), "2027-01-31");
/// ```
///
/// Two flags are equal if all that was said of them is, wherever that was.
#[derive(Clone, Copy)]
pub struct Flag {
    name: &'static str,
    /// Of the name, for the table.
    hash: u64,
    on: bool,
    owner: Option<&'static str>,
    expiry: Option<Expiry>,
    salt: &'static str,
    /// Of the salt, for buckets.
    seed: u64,
    place: &'static Location<'static>,
}

impl Flag {
    /// A flag that is off unless somebody turns it on.
    #[track_caller]
    pub const fn off(name: &'static str) -> Self {
        Self::new(name, false)
    }

    /// A flag that is on unless somebody turns it off.
    #[track_caller]
    pub const fn on(name: &'static str) -> Self {
        Self::new(name, true)
    }

    #[track_caller]
    const fn new(name: &'static str, on: bool) -> Self {
        let hash = const_xxh3::xxh3_64(name.as_bytes());
        Self { name, hash, on, owner: None, expiry: None, salt: name, seed: hash, place: Location::caller() }
    }

    /// Says who answers for it: whom to ask whether it may go.
    #[must_use = "a flag is a value: this is another one"]
    pub const fn owner(mut self, owner: &'static str) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Says from which day on, in UTC, it is to be gone from the source, as `2027-01-31`. An expired flag works as before,
    /// but is told of: at the start, in the [status](crate::Status::expired), in an [`Inventory`](crate::Inventory).
    ///
    /// What is no date is kept as it is, and refused when flags are [started](crate::Builder::start).
    #[must_use = "a flag is a value: this is another one"]
    pub const fn expires(mut self, on: &'static str) -> Self {
        self.expiry = Some(Expiry { text: on, date: Date::parse(on) });
        self
    }

    /// Says with which text ids are spread over its [buckets](Self::bucket); by default its name. A flag that is given
    /// another name in the source keeps its ids where they are if its old name becomes its salt; flags of one salt are on
    /// for the same ids.
    #[must_use = "a flag is a value: this is another one"]
    pub const fn salt(mut self, salt: &'static str) -> Self {
        self.salt = salt;
        self.seed = const_xxh3::xxh3_64(salt.as_bytes());
        self
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it says where it is not declared, and until somebody decides.
    pub const fn default(&self) -> bool {
        self.on
    }

    /// Who answers for it, if that was [said](Self::owner).
    pub const fn owned_by(&self) -> Option<&'static str> {
        self.owner
    }

    /// From when on it is to be gone, if that was [said](Self::expires).
    pub const fn expiry(&self) -> Option<Expiry> {
        self.expiry
    }

    /// With which text its ids are spread: its name, if no other was [said](Self::salt).
    pub const fn salted_with(&self) -> &'static str {
        self.salt
    }

    /// Where it was made: file and line.
    pub const fn declared_at(&self) -> &'static Location<'static> {
        self.place
    }

    /// Whether it has expired on this day. What is no date never does.
    pub fn has_expired(&self, today: Date) -> bool {
        self.expiry.is_some_and(|expiry| expiry.is_over(today))
    }

    /// In which of its 10,000 buckets, from 0 on, this id is: at a percentage the flag is on for an id whose bucket is
    /// below the percentage's hundredths. `docs/bucketing.md` says how another language computes it.
    ///
    /// ```
    /// use foundation_flags::Flag;
    ///
    /// assert_eq!(Flag::off("new_checkout").bucket("user-42"), 671);
    /// ```
    pub fn bucket(&self, id: &str) -> u16 {
        bucket(self.seed, id)
    }

    /// What the buckets of its ids are made with: the hash of its salt.
    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// In which respects the declarations differ, if they do.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let respects = [
            ("names", self.name != other.name),
            ("defaults", self.on != other.on),
            ("owners", self.owner != other.owner),
            ("expiry dates", self.expiry != other.expiry),
            ("salts", self.salt != other.salt),
        ];
        respects.into_iter().filter(|(_, differ)| *differ).map(|(respect, _)| respect).collect()
    }
}

impl PartialEq for Flag {
    fn eq(&self, other: &Self) -> bool {
        let all = |flag: &Self| (flag.name, flag.on, flag.owner, flag.expiry, flag.salt);
        all(self) == all(other)
    }
}

impl Eq for Flag {}

impl Hash for Flag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flag({})", self.name)
    }
}

/// From when on a flag is to be gone: the text of its declaration, which may be no [`Date`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expiry {
    text: &'static str,
    date: Option<Date>,
}

impl Expiry {
    /// The day; `None` if the text is none.
    pub const fn date(&self) -> Option<Date> {
        self.date
    }

    /// Whether that day has come. What is no date is never over.
    pub fn is_over(&self, today: Date) -> bool {
        self.date.is_some_and(|date| date <= today)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text)
    }
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expiry({}{})", self.text, if self.date.is_some() { "" } else { ", which is no date" })
    }
}

/// Which flags are declared, each with its number. Finding one takes a probe or two and looks at no text.
#[derive(Debug, Default)]
pub(crate) struct Table {
    flags: Vec<Flag>,
    /// By hash, open addressing; at most half full.
    places: Box<[Place]>,
}

/// A hash, and a flag's number and one; 0: nobody's. Beside each other, so that a probe goes to one line of memory.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    number: u32,
}

impl Table {
    /// A table of these flags.
    ///
    /// # Errors
    /// Two different flags that can't be told apart: of one name, or of one hash.
    pub(crate) fn new(flags: Vec<Flag>) -> Result<Self, Box<[Flag; 2]>> {
        let places = vec![Place::default(); (flags.len() * 2).next_power_of_two()].into_boxed_slice();
        let mut table = Self { flags: Vec::with_capacity(flags.len()), places };
        for flag in flags {
            match table.probe(flag.hash) {
                Ok(there) => return Err(Box::new([table.flags[there], flag])),
                Err(free) => {
                    table.flags.push(flag);
                    table.places[free] = Place { hash: flag.hash, number: table.flags.len() as u32 };
                }
            }
        }
        Ok(table)
    }

    #[inline]
    pub(crate) fn find(&self, flag: &Flag) -> Option<usize> {
        self.probe(flag.hash).ok()
    }

    /// By name: a name that is not declared may have the hash of one that is.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.probe(xxh3::xxh3_64(name.as_bytes())).ok().filter(|number| self.flags[*number].name == name)
    }

    pub(crate) fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// The number of the flag of this hash, or the place where it would be.
    #[inline]
    fn probe(&self, hash: u64) -> Result<usize, usize> {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.places[at] {
                Place { number: 0, .. } => return Err(at),
                place if place.hash == hash => return Ok(place.number as usize - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["a", "b", "c", "use_shared_registry", "use_event_dedup", ""];

    #[test]
    fn a_flag_is_found_by_its_own_number_and_no_other_is() {
        let table = Table::new(NAMES.map(Flag::off).to_vec()).expect("all are different");
        for (number, name) in NAMES.into_iter().enumerate() {
            assert_eq!((table.find(&Flag::on(name)), table.named(name)), (Some(number), Some(number)));
        }
        assert_eq!((table.find(&Flag::off("d")), table.named("d")), (None, None));
        assert_eq!(Table::new(Vec::new()).expect("it is empty").find(&Flag::off("a")), None);
        let twice = Table::new(vec![Flag::off("a"), Flag::on("a")]).expect_err("they can't be told apart");
        assert_eq!(*twice, [Flag::off("a"), Flag::on("a")]);
    }

    #[test]
    fn a_name_that_has_the_hash_of_another_is_not_taken_for_it() {
        let mut table = Table::new(NAMES.map(Flag::off).to_vec()).expect("all are different");
        table.flags[2].name = "has the hash of c";
        assert_eq!(table.named("c"), None);
    }

    #[test]
    fn a_table_of_many_flags_finds_each() {
        let names: Vec<&'static str> = (0..900).map(|number| &*format!("flag_{number}").leak()).collect();
        let table = Table::new(names.iter().map(|name| Flag::off(name)).collect()).expect("all are different");
        for (number, name) in names.iter().enumerate() {
            assert_eq!((table.find(&Flag::off(name)), table.named(name)), (Some(number), Some(number)));
        }
        assert_eq!(table.named("flag_900"), None);
    }

    #[test]
    fn what_is_computed_when_compiled_is_what_is_computed_when_run() {
        let long: &'static str = "0123456789".repeat(60).leak();
        for length in 0..=long.len() {
            let salt = &long[..length];
            assert_eq!(const_xxh3::xxh3_64(salt.as_bytes()), xxh3::xxh3_64(salt.as_bytes()), "{length} bytes");
        }
    }

    #[test]
    fn flags_are_alike_if_all_that_was_said_of_them_is() {
        const PLAIN: Flag = Flag::off("a");
        const FULL: Flag = Flag::off("a").owner("payments").expires("2027-01-31").salt("b");
        assert_eq!(FULL, Flag::off("a").salt("b").expires("2027-01-31").owner("payments"));
        assert_eq!(PLAIN, Flag::off("a").salt("a"), "the name is the salt that it has anyway");
        let table = [
            (Flag::off("b"), "names, salts"),
            (Flag::on("a"), "defaults"),
            (Flag::off("a").owner("payments"), "owners"),
            (Flag::off("a").expires("2027-01-31"), "expiry dates"),
            (Flag::off("a").salt("b"), "salts"),
        ];
        for (other, differences) in table {
            assert_ne!(PLAIN, other);
            assert_eq!(PLAIN.differences(&other).join(", "), differences);
        }
        assert_eq!(FULL.differences(&PLAIN), ["owners", "expiry dates", "salts"]);
        assert!(PLAIN.differences(&PLAIN).is_empty());
    }

    #[test]
    fn a_flag_says_what_was_declared_of_it_and_where() {
        const FULL: Flag = Flag::on("a").owner("payments").expires("2027-01-31").salt("b");
        assert_eq!(
            (FULL.name(), FULL.default(), FULL.owned_by(), FULL.salted_with()),
            ("a", true, Some("payments"), "b")
        );
        assert_eq!((FULL.seed, FULL.bucket("x")), (xxh3::xxh3_64(b"b"), Flag::off("b").bucket("x")));
        assert!(FULL.declared_at().file().ends_with("flag.rs"), "{}", FULL.declared_at());
        let plain = Flag::off("a");
        assert_eq!((plain.declared_at().line(), plain.owned_by(), plain.salted_with()), (line!() - 1, None, "a"));
        assert!(plain.expiry().is_none() && !plain.has_expired(Date::of(std::time::SystemTime::UNIX_EPOCH)));
    }

    #[test]
    fn a_flag_expires_when_its_day_begins_and_what_is_no_date_never_does() {
        let day = |text| Date::parse(text).expect("there is such a day");
        let flag = Flag::off("a").expires("2027-01-31");
        let table = [("2027-01-30", false), ("2027-01-31", true), ("2027-02-01", true), ("9999-12-31", true)];
        for (today, expired) in table {
            assert_eq!(flag.has_expired(day(today)), expired, "{today}");
        }
        let none = Flag::off("a").expires("2027-02-30");
        let expiry = none.expiry().expect("it is kept");
        assert_eq!((expiry.to_string().as_str(), expiry.date()), ("2027-02-30", None));
        assert_eq!(format!("{expiry:?}"), "Expiry(2027-02-30, which is no date)");
        assert!(!none.has_expired(day("9999-12-31")));
    }
}
