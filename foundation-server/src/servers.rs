//! The table of a universe's servers.
//!
//! # Protocol
//! A desk enters itself when its first life begins, and takes itself out when it is dropped, so the table holds no more than
//! there are desks. It holds them weakly: whoever looks holds each for as long as it is asked, under no lock, for that may
//! be the last hold of it, with users' messages in it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use foundation_supervisor::System;
use foundation_sync::Mutex;

use crate::{Doing, Status};

/// The servers of a universe, as they were when it was looked. As text it is a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Servers {
    /// In the order in which their first lives began.
    pub servers: Vec<Status>,
}

/// How every server is that has lived in this universe, and that somebody still knows: its tree, or whoever has the way to
/// it. Nobody is asked, and nothing waited for.
///
/// ```
/// use foundation_server::{Server, server, servers};
/// use foundation_supervisor::{Foundation, Strategy, Supervisor};
/// use foundation_sync::SECONDS_5;
///
/// struct Clerk;
/// impl Server for Clerk {}
///
/// let system = Foundation::builder().start();
/// let (spec, _clerk) = server("clerk", || Clerk);
/// Supervisor::new("office", Strategy::OneForOne).child(spec).start(&system, system.within(SECONDS_5))?;
/// let table = servers(&system);
/// assert_eq!(&*table.servers[0].server, "clerk");
/// assert!(table.to_string().starts_with("server"), "{table}");
/// assert!(system.stop(SECONDS_5).is_clean());
/// # Ok::<(), foundation_supervisor::StartError>(())
/// ```
#[must_use]
pub fn servers(system: &System) -> Servers {
    let seen: Vec<_> = system.part::<Table>().rows.lock().seen.values().cloned().collect();
    Servers { servers: seen.iter().filter_map(Weak::upgrade).map(|desk| desk.status()).collect() }
}

/// What can be asked how it is.
pub(crate) trait Seen: Send + Sync {
    fn status(&self) -> Status;
}

/// The desks of a universe.
#[derive(Default)]
struct Table {
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    last: u64,
    seen: BTreeMap<u64, Weak<dyn Seen>>,
}

/// A desk's place in the table, until it is dropped.
pub(crate) struct Listing {
    table: Arc<Table>,
    number: u64,
}

impl Listing {
    pub(crate) fn new(system: &System, desk: Weak<dyn Seen>) -> Self {
        let table = system.part::<Table>();
        let number = {
            let mut rows = table.rows.lock();
            rows.last += 1;
            let number = rows.last;
            rows.seen.insert(number, desk);
            number
        };
        Self { table, number }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let desk = self.table.rows.lock().seen.remove(&self.number);
        drop(desk);
    }
}

const HEAD: [&str; 9] = ["server", "doing", "waiting", "most", "capacity", "handled", "refused", "letters", "since"];

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.servers.iter().map(row));
        let widths: [usize; 9] =
            std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let mut line = String::new();
            for (cell, (text, width)) in row.iter().zip(widths).enumerate() {
                // Words to the left, numbers to the right.
                line += &match cell {
                    0 | 1 | 8 => format!("{text:<width$}  "),
                    _ => format!("{text:>width$}  "),
                };
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

fn row(status: &Status) -> [String; 9] {
    let (doing, since) = match &status.doing {
        Doing::NotStarted => ("not started".to_owned(), String::new()),
        Doing::Idle(_) => ("idle".to_owned(), String::new()),
        Doing::Busy { message, since, .. } => (format!("busy: {message}"), format!("{since:?}")),
        Doing::Vacant { exit, .. } => (format!("restarting: {}", exit.kind()), String::new()),
        Doing::Ended { exit, .. } => (format!("ended: {}", exit.kind()), String::new()),
    };
    let number = |number: u64| number.to_string();
    [
        status.server.to_string(),
        doing,
        status.waiting.to_string(),
        status.most_waiting.to_string(),
        status.capacity.to_string(),
        number(status.handled),
        number(status.refused),
        number(status.buried),
        since,
    ]
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use foundation_supervisor::{Strategy, Supervisor};
    use foundation_testkit::TestUniverse;

    use super::*;

    struct Clerk;
    impl crate::Server for Clerk {}

    #[test]
    fn the_table_has_no_row_for_a_server_that_nobody_knows() {
        let t = TestUniverse::new();
        let rows = || t.part::<Table>().rows.lock().seen.len();
        for _ in 0..3 {
            let (spec, clerk) = crate::server("clerk", || Clerk);
            let tree = t.start(Supervisor::new("office", Strategy::OneForOne).child(spec));
            assert!(rows() > 0);
            drop(clerk);
            tree.stop(t.patience()).expect("it stops");
        }
        t.wait_for(|| rows() == 0);
    }
}
