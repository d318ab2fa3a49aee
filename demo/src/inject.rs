//! Crashes, by a function of (seed, path, attempt): the same run crashes the same way.

use std::{os::unix::ffi::OsStrExt, path::Path};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How often at most a file is struck.
pub const MOST_STRIKES: u32 = 2;

/// What is to go wrong, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// The share of attempts that are struck, from 0 to 1.
    pub rate: f64,
    /// Another seed, another run.
    pub seed: u64,
}

/// What goes wrong with one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strike {
    /// The worker panics before it has read anything.
    PanicBefore,
    /// It panics in the middle of the file.
    PanicMiddle,
    /// It panics with the result in hand.
    PanicAfter,
    /// It returns an error.
    Error,
    /// It ignores its stop, and delivers its result when it counts no more.
    IgnoreStop,
}

impl Injection {
    /// Whether this attempt is struck, and how.
    pub fn strike(&self, path: &Path, attempt: u32) -> Option<Strike> {
        if attempt >= MOST_STRIKES || self.rate <= 0.0 {
            return None;
        }
        let hash = xxh3_64_with_seed(
            path.as_os_str().as_bytes(),
            self.seed ^ u64::from(attempt + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        );
        // The upper half decides whether, the lower half how.
        let (share, how) = ((hash >> 32) as f64 / (1_u64 << 32) as f64, hash & 0xFFFF_FFFF);
        (share < self.rate).then_some(match how % 201 {
            0 => Strike::IgnoreStop,
            1..=50 => Strike::PanicBefore,
            51..=100 => Strike::PanicMiddle,
            101..=150 => Strike::PanicAfter,
            _ => Strike::Error,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn strikes_come_at_their_rate_and_in_every_kind_and_never_a_third_time() {
        let injection = Injection { rate: 0.2, seed: 7 };
        let mut kinds = HashMap::new();
        let paths: Vec<_> = (0..20_000).map(|n| format!("src/file-{n}.rs")).collect();
        for path in &paths {
            for attempt in 0..MOST_STRIKES {
                if let Some(strike) = injection.strike(Path::new(path), attempt) {
                    *kinds.entry(strike).or_insert(0) += 1;
                }
            }
            assert_eq!(injection.strike(Path::new(path), MOST_STRIKES), None);
        }
        let all: i32 = kinds.values().sum();
        assert!((7_600..8_400).contains(&all), "{all} of 40,000");
        assert_eq!(kinds.len(), 5, "{kinds:?}");
    }

    #[test]
    fn a_strike_depends_on_seed_path_and_attempt() {
        let strikes = |seed| {
            let injection = Injection { rate: 0.5, seed };
            (0..64).map(|n| injection.strike(Path::new(&n.to_string()), 0).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
    }

    #[test]
    fn a_rate_of_zero_strikes_nobody() {
        let injection = Injection { rate: 0.0, seed: 1 };
        assert!((0..1000).all(|n| injection.strike(Path::new(&n.to_string()), 0).is_none()));
    }
}
