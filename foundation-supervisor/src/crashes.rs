//! The crashes that there were, in groups.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    sync::Arc,
};

use foundation_registry::Exit;
use foundation_sync::{Mutex, Nanos};

use crate::{
    CrashReport,
    text::{MAX_LEN, Moment, SHORT, render},
};

/// How many groups of crashes are kept.
pub(crate) const MOST_GROUPS: usize = 64;

/// The crashes of a universe that its courier has reported, by kind and place.
///
/// At most 64 groups are kept: a new one takes the place of that which was seen longest ago.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Crashes {
    /// When this was asked, by the universe's clock.
    pub at: Nanos,
    /// The groups, the one that was seen last first.
    pub groups: Vec<CrashGroup>,
    /// How many crashes there were.
    pub total: u64,
    /// How many of them were in groups that had to make room.
    pub forgotten: u64,
}

/// Crashes of one kind at one place.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CrashGroup {
    /// What kind of end it was: `panicked`, `failed`, `abandoned` ([`Exit::kind`]).
    pub kind: &'static str,
    /// Where: for a panic its location; for an error the words with which it begins, up to the first digit or quotation
    /// mark; for a worker that was abandoned where it was last seen, or waits. Where none is known, the worker.
    pub place: Arc<str>,
    /// How many.
    pub count: u64,
    /// When there was the first of them, by the universe's clock.
    pub first: Nanos,
    /// When there was the last.
    pub latest: Nanos,
    /// The last one's report.
    pub last: Arc<CrashReport>,
}

impl Display for Crashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} crash{}", self.total, if self.total == 1 { "" } else { "es" })?;
        if self.forgotten > 0 {
            write!(f, ", {} of them forgotten", self.forgotten)?;
        }
        self.groups.iter().try_for_each(|group| {
            f.write_str("\n")?;
            group.write(f, Some(self.at))
        })
    }
}

/// With times of the universe's clock: a group by itself does not know how late it is.
impl Display for CrashGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

impl CrashGroup {
    fn write(&self, f: &mut fmt::Formatter<'_>, now: Option<Nanos>) -> fmt::Result {
        let Self { kind, place, count, first, latest, last } = self;
        write!(f, "{count} {kind} at {place}, ")?;
        if first < latest {
            write!(f, "from {} to ", Moment(*first, now))?;
        } else if now.is_none() {
            f.write_str("at ")?;
        }
        write!(f, "{}; last: {}", Moment(*latest, now), render(&last.as_of(now), MAX_LEN))
    }
}

/// The words with which an error begins: what follows is another thing each time.
fn words(text: &str) -> &str {
    let varies = |sign: char| sign.is_ascii_digit() || matches!(sign, '`' | '"' | '\'' | '\n');
    let text = &text[..text.find(varies).unwrap_or(text.len())];
    text.trim_end_matches(|sign: char| !sign.is_alphanumeric())
}

fn place(report: &CrashReport) -> Arc<str> {
    let place = match &report.exit {
        Exit::Panicked(panic) => panic.location.clone(),
        Exit::Failed(error) => Some(render(&words(error), SHORT).into()),
        _ => report.waits_at.or(report.checkpoint).map(|place| place.to_string().into()),
    };
    place.filter(|place| !place.is_empty()).unwrap_or_else(|| Arc::clone(&report.worker))
}

/// Filled by the courier. Nothing in it has a user's `Drop`.
#[derive(Default)]
pub(crate) struct Ring(Mutex<Book>);

#[derive(Default)]
struct Book {
    groups: Vec<CrashGroup>,
    kinds: BTreeMap<&'static str, u64>,
    forgotten: u64,
}

impl Ring {
    pub(crate) fn note(&self, report: CrashReport) {
        let (kind, place, at) = (report.exit.kind(), place(&report), report.at);
        let last = Arc::new(report);
        let mut book = self.0.lock();
        *book.kinds.entry(kind).or_default() += 1;
        if let Some(group) = book.groups.iter_mut().find(|group| group.kind == kind && group.place == place) {
            group.count += 1;
            // Reports of two threads may come in another order than they were written.
            group.first = at.min(group.first);
            if at >= group.latest {
                (group.latest, group.last) = (at, last);
            }
            return;
        }
        if book.groups.len() >= MOST_GROUPS {
            let oldest = (0..MOST_GROUPS).min_by_key(|&n| book.groups[n].latest).expect("there are some");
            book.forgotten += book.groups.swap_remove(oldest).count;
        }
        book.groups.push(CrashGroup { kind, place, count: 1, first: at, latest: at, last });
    }

    pub(crate) fn crashes(&self, at: Nanos) -> Crashes {
        let (mut groups, total, forgotten) = {
            let book = self.0.lock();
            (book.groups.clone(), book.kinds.values().sum(), book.forgotten)
        };
        groups.sort_by_key(|group| std::cmp::Reverse(group.latest));
        Crashes { at, groups, total, forgotten }
    }

    /// How many there were, by kind.
    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().kinds.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use foundation_context::Incarnation;
    use foundation_registry::Panic;

    use super::*;

    fn crash(worker: &str, at: Nanos, exit: Exit) -> CrashReport {
        CrashReport::new(worker.into(), Incarnation { id: 1, generation: 1 }, at, exit)
    }

    fn failed(text: &str) -> Exit {
        Exit::Failed(text.into())
    }

    #[test]
    fn crashes_are_one_group_if_kind_and_place_are_the_same() {
        let panic = |message: &str, line: u8| {
            let location = Some(format!("src/lib.rs:{line}:5").into());
            Exit::Panicked(Panic { message: message.into(), location, backtrace: None })
        };
        let abandoned = Exit::Abandoned { waited: std::time::Duration::from_secs(1) };
        let ring = Ring::default();
        let crashes = [
            panic("order 17", 3),
            panic("order 18", 3),
            panic("order 18", 4),
            failed("order 17 is `late`"),
            failed("order 18 is late"),
            failed("17"),
            failed("no route to host (os error 113)"),
            abandoned.clone(),
        ];
        crashes.into_iter().zip(1..).for_each(|(exit, at)| ring.note(crash("t/w", at, exit)));
        let here = Location::caller();
        ring.note(CrashReport { checkpoint: Some(here), ..crash("t/w", 9, abandoned) });
        let crashes = ring.crashes(200);
        let groups: Vec<_> = crashes
            .groups
            .iter()
            .map(|group| (group.kind, &*group.place, group.count, group.first, group.latest))
            .collect();
        let here = here.to_string();
        let expected = [
            ("abandoned", &*here, 1, 9, 9),
            ("abandoned", "t/w", 1, 8, 8),
            ("failed", "no route to host (os error", 1, 7, 7),
            ("failed", "t/w", 1, 6, 6),
            ("failed", "order", 2, 4, 5),
            ("panicked", "src/lib.rs:4:5", 1, 3, 3),
            ("panicked", "src/lib.rs:3:5", 2, 1, 2),
        ];
        assert_eq!(groups, expected);
        assert_eq!(&*crashes.groups[4].last, &crash("t/w", 5, failed("order 18 is late")), "the last one's report");
        assert_eq!((crashes.total, crashes.forgotten), (9, 0));
        assert_eq!(ring.kinds(), BTreeMap::from([("abandoned", 2), ("failed", 4), ("panicked", 3)]));
    }

    #[test]
    fn a_report_that_comes_after_a_later_one_moves_the_beginning_and_is_not_the_last() {
        let ring = Ring::default();
        [5, 9, 2].into_iter().for_each(|at| ring.note(crash("t/w", at, failed("no"))));
        let group = ring.crashes(200).groups.remove(0);
        assert_eq!((group.count, group.first, group.latest, group.last.at), (3, 2, 9, 9));
    }

    #[test]
    fn the_group_that_was_seen_longest_ago_makes_room_and_is_counted() {
        let ring = Ring::default();
        let words = |n: usize| "x".repeat(n + 1);
        for n in 0..MOST_GROUPS {
            ring.note(crash("w", n as Nanos, failed(&words(n))));
        }
        // The first one is seen again, so the second is the oldest.
        ring.note(crash("w", 100, failed("x")));
        ring.note(crash("w", 101, failed("new")));
        ring.note(crash("w", 102, failed("newer")));
        let crashes = ring.crashes(200);
        assert_eq!((crashes.groups.len(), crashes.total, crashes.forgotten), (MOST_GROUPS, MOST_GROUPS as u64 + 3, 2));
        let places: Vec<_> = crashes.groups.iter().map(|group| &*group.place).take(4).collect();
        assert_eq!(places[..3], ["newer", "new", "x"]);
        assert!(crashes.groups.iter().all(|group| !["xx", "xxx"].contains(&&*group.place)));
        let says = "67 crashes, 2 of them forgotten\n1 failed at newer, 98ns ago; last: ";
        assert!(crashes.to_string().starts_with(says), "{crashes}");
        let x = crashes.groups.iter().find(|group| &*group.place == "x").expect("it was seen again");
        assert!(x.to_string().starts_with("2 failed at x, from 0ns to 100ns; last: "), "{x}");
        assert!(crashes.to_string().contains("\n2 failed at x, from 200ns ago to 100ns ago; last: "), "{crashes}");
    }

    #[test]
    fn one_crash_is_one() {
        let ring = Ring::default();
        ring.note(crash("t/w", 7, failed("no")));
        let says = "1 crash\n1 failed at no, 193ns ago; last: t/w (1#1) failed: no, 193ns ago, 0 of 0 restarts used";
        assert_eq!(ring.crashes(200).to_string(), says);
        let group = "1 failed at no, at 7ns; last: t/w (1#1) failed: no, at 7ns, 0 of 0 restarts used";
        assert_eq!(ring.crashes(200).groups[0].to_string(), group);
    }
}
