//! What a flag is, and where it stands in the table.

use std::fmt;

use xxhash_rust::const_xxh3::xxh3_64;

/// A flag: a name, and what it says where nobody has decided. Make it a constant, and declare it to
/// [`Flags`](crate::Flags).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flag {
    name: &'static str,
    hash: u64,
    seed: u64,
    on: bool,
}

impl Flag {
    /// A flag that is off unless somebody turns it on.
    pub const fn off(name: &'static str) -> Self {
        Self { name, hash: hash(name), seed: xxh3_64(name.as_bytes()), on: false }
    }

    /// A flag that is on unless somebody turns it off.
    pub const fn on(name: &'static str) -> Self {
        Self { name, hash: hash(name), seed: xxh3_64(name.as_bytes()), on: true }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the buckets of its ids are made with.
    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// What it says where it is not declared, and until somebody decides.
    pub const fn default(&self) -> bool {
        self.on
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flag({})", self.name)
    }
}

/// FNV-1a, 64 bits: it can be computed when compiled, and finds a place in the table; nothing else rests on it.
const fn hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Which flags are declared, each with its number. Finding one takes a probe or two and looks at no text.
#[derive(Debug, Default)]
pub(crate) struct Table {
    flags: Vec<Flag>,
    /// Numbers and one, by hash, open addressing; at most half full.
    places: Box<[u32]>,
}

impl Table {
    /// A table of these flags.
    ///
    /// # Errors
    /// Two different flags that can't be told apart: of one name, or of one hash.
    pub(crate) fn new(flags: Vec<Flag>) -> Result<Self, (Flag, Flag)> {
        let places = vec![0; (flags.len() * 2).next_power_of_two()].into_boxed_slice();
        let mut table = Self { flags: Vec::with_capacity(flags.len()), places };
        for flag in flags {
            match table.probe(flag.hash) {
                Ok(there) => return Err((table.flags[there], flag)),
                Err(free) => {
                    table.flags.push(flag);
                    table.places[free] = table.flags.len() as u32;
                }
            }
        }
        Ok(table)
    }

    pub(crate) fn find(&self, flag: &Flag) -> Option<usize> {
        self.probe(flag.hash).ok()
    }

    /// By name, one after another: not for reads.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.flags.iter().position(|flag| flag.name == name)
    }

    pub(crate) fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// The number of the flag of this hash, or the place where it would be.
    fn probe(&self, hash: u64) -> Result<usize, usize> {
        let mask = self.places.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            match self.places[place] as usize {
                0 => return Err(place),
                number if self.flags[number - 1].hash == hash => return Ok(number - 1),
                _ => place = (place + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_by_its_own_number_and_no_other_is() {
        const NAMES: [&str; 6] = ["a", "b", "c", "use_shared_registry", "use_event_dedup", ""];
        let table = Table::new(NAMES.map(Flag::off).to_vec()).expect("all are different");
        for (number, name) in NAMES.into_iter().enumerate() {
            assert_eq!(table.find(&Flag::on(name)), Some(number));
        }
        assert_eq!(table.find(&Flag::off("d")), None);
        assert_eq!(Table::new(Vec::new()).expect("it is empty").find(&Flag::off("a")), None);
        let twice = Table::new(vec![Flag::off("a"), Flag::on("a")]).expect_err("they can't be told apart");
        assert_eq!(twice, (Flag::off("a"), Flag::on("a")));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!((hash(""), hash("a"), hash("foobar")), (0xcbf29ce484222325, 0xaf63dc4c8601ec8c, 0x85944171f73967e8));
    }
}
