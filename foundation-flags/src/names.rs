//! Flags by name, where names come from outside: which flag was meant, and readers that say so.

use std::{fmt, sync::Arc};

use strsim::osa_distance;

use crate::{Flag, Flags, Target};

/// A name that no declared flag has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFlag {
    /// The name.
    pub name: Arc<str>,
    /// The declared name that is nearest, if one is [near](nearest).
    pub nearest: Option<&'static str>,
}

impl UnknownFlag {
    pub(crate) fn new(name: &str, declared: &[Flag]) -> Self {
        Self { name: name.into(), nearest: nearest(name, declared.iter().map(Flag::name)) }
    }
}

impl fmt::Display for UnknownFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.nearest {
            Some(nearest) => write!(f, "unknown flag `{name}`, did you mean `{nearest}`?"),
            None => write!(f, "unknown flag `{name}`, and none has a name like it: declare it when the flags are made"),
        }
    }
}

impl std::error::Error for UnknownFlag {}

/// Of the known names the one that was most likely meant; of several the first. `None` if none is near.
///
/// A name is near if it is had from the other by few mistakes: a letter more, less or other, or two neighbours that are
/// exchanged. There may be one for each three letters of the known name, and no less than one if it has two letters. Upper
/// and lower case are no mistake, nor are `-`, `.`, blank and `_` for one another.
///
/// ```
/// use foundation_flags::nearest;
///
/// let known = ["use_shared_registry", "use_event_dedup"];
/// assert_eq!(nearest("use_shard_registry", known), Some("use_shared_registry"));
/// assert_eq!(nearest("USE-EVENT-DEDUP", known), Some("use_event_dedup"));
/// assert_eq!(nearest("new_checkout", known), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().count();
    let spelled = spelled(name);
    let distance = |known: &'a str| {
        let count = known.chars().count();
        let most = if count < 2 { 0 } else { (count / 3).max(1) };
        // Each letter that one has more is a mistake: a name that is too long by far costs nothing.
        let distance =
            if letters.abs_diff(count) > most { None } else { Some(osa_distance(&spelled, &self::spelled(known))) };
        distance.filter(|distance| *distance <= most).map(|distance| (distance, known))
    };
    known.into_iter().filter_map(distance).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// Without what is no mistake.
fn spelled(name: &str) -> String {
    name.chars()
        .map(|letter| if matches!(letter, '-' | '.' | ' ') { '_' } else { letter.to_ascii_lowercase() })
        .collect()
}

/// Reads that do not take a flag that is not declared for one that is: see [`Flags::strict`].
#[derive(Clone, Copy, Debug)]
pub struct Strict<'a>(&'a Flags);

impl Strict<'_> {
    /// Whether the flag is on for whom nothing is known.
    ///
    /// # Errors
    /// The flag is not declared.
    pub fn enabled(&self, flag: &Flag) -> Result<bool, UnknownFlag> {
        self.declared(flag).map(|()| self.0.enabled(flag))
    }

    /// Whether the flag is on for who has this id.
    ///
    /// # Errors
    /// The flag is not declared.
    pub fn enabled_for(&self, flag: &Flag, id: &str) -> Result<bool, UnknownFlag> {
        self.enabled_for_target(flag, &Target::id(id))
    }

    /// Whether the flag is on for a target.
    ///
    /// # Errors
    /// The flag is not declared.
    pub fn enabled_for_target(&self, flag: &Flag, target: &Target<'_>) -> Result<bool, UnknownFlag> {
        self.declared(flag).map(|()| self.0.enabled_for_target(flag, target))
    }

    /// Whether the flag of this name is on for whom nothing is known.
    ///
    /// # Errors
    /// No declared flag has this name.
    pub fn enabled_named(&self, name: &str) -> Result<bool, UnknownFlag> {
        self.0.find(name).map(|flag| self.0.enabled(&flag))
    }

    fn declared(&self, flag: &Flag) -> Result<(), UnknownFlag> {
        match self.0.0.shape.table.find(flag) {
            Some(_) => Ok(()),
            None => Err(UnknownFlag::new(flag.name(), self.0.declared())),
        }
    }
}

impl Flags {
    /// The declared flags, in the order of their declaration.
    pub fn declared(&self) -> &[Flag] {
        self.0.shape.table.flags()
    }

    /// The declared flag of this name.
    ///
    /// # Errors
    /// There is none; the error names the nearest one.
    pub fn find(&self, name: &str) -> Result<Flag, UnknownFlag> {
        let declared = self.declared();
        let number = self.0.shape.table.named(name).ok_or_else(|| UnknownFlag::new(name, declared))?;
        Ok(declared[number])
    }

    /// Whether the flag of this name is on for whom nothing is known. A name that no declared flag has is off, and the
    /// read is counted in the [`Status`](crate::Status::undeclared_reads). It allocates nothing.
    pub fn enabled_named(&self, name: &str) -> bool {
        match self.0.shape.table.named(name) {
            Some(number) => self.0.switches[number][0].is_on(),
            None => {
                self.0.undeclared.add();
                false
            }
        }
    }

    /// The same flags for who would rather hear of a flag that is not declared than go on without it: reads of one are
    /// errors that name the nearest one, and are not counted. A read of a flag that is declared allocates nothing.
    ///
    /// ```
    /// use foundation_flags::{Flag, Flags};
    ///
    /// let flags = Flags::builder().flag(&Flag::on("use_shared_registry")).start()?;
    /// let strict = flags.strict();
    /// assert_eq!(strict.enabled_named("use_shared_registry"), Ok(true));
    /// let unknown = strict.enabled_named("use_shard_registry").expect_err("it is misspelled");
    /// assert_eq!(unknown.to_string(), "unknown flag `use_shard_registry`, did you mean `use_shared_registry`?");
    /// # Ok::<(), foundation_flags::StartError>(())
    /// ```
    pub fn strict(&self) -> Strict<'_> {
        Strict(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_had_by_few_mistakes() {
        const KNOWN: [&str; 8] =
            ["use_shared_registry", "use_event_dedup", "new_checkout", "new_checkout_2", "ab", "a", "größe", ""];
        let table = [
            ("use_shard_registry", Some("use_shared_registry")),
            ("use_shared_registry", Some("use_shared_registry")),
            ("use_sahred_regsitry", Some("use_shared_registry")),
            ("Use-Shared.Registry", Some("use_shared_registry")),
            ("use shared registry", Some("use_shared_registry")),
            ("use_shared_regi", Some("use_shared_registry")),
            ("use_sh", None),
            ("new_chekout", Some("new_checkout")),
            ("new_checkout_", Some("new_checkout")),
            ("new_checkout_3", Some("new_checkout_2")),
            ("new_basket", None),
            ("ac", Some("ab")),
            ("ba", Some("ab")),
            ("cd", None),
            ("b", Some("ab")),
            ("A", Some("a")),
            ("grösse", None),
            ("größen", Some("größe")),
            ("completely different", None),
        ];
        for (name, expected) in table {
            assert_eq!(nearest(name, KNOWN), expected, "{name}");
        }
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("", ["a", "ab"]), None);
    }

    #[test]
    fn a_name_of_a_megabyte_is_compared_with_nothing() {
        let long = "x".repeat(1 << 20);
        let known: Vec<_> = (0..900).map(|number| format!("flag_{number}")).collect();
        assert_eq!(nearest(&long, known.iter().map(String::as_str)), None);
    }
}
