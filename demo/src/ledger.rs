//! Who holds which file: a file is leased, not taken.
//!
//! # Protocol
//! A file waits in the queue, or is leased to one incarnation, or is settled. A counter takes it from the queue and
//! enters the lease; the totals part alone ends leases: it *settles* one when its result arrives, and *reclaims* those of
//! an incarnation when the news of its end arrives. Results and that news come through one queue, and whatever an
//! incarnation sent before its end stands before it, so a result that was sent in time is never counted twice.
//!
//! Named races:
//! - *lease against fence*: a counter is given up between taking the file and entering the lease. It looks at its fence
//!   after it has entered: either it sees the fence and gives the file back, or the fence came later and the news of it
//!   finds the lease.
//! - *late result*: a counter that was given up delivers after all. Its lease is gone, or another's, or its end is known
//!   to be an abandonment: refused.

use std::{collections::HashMap, path::Path, sync::Arc};

use foundation_context::Incarnation;
use foundation_registry::{Exit, Owners};
use foundation_supervisor::{Fenced, Life};
use foundation_sync::{Full, Mutex, Queue};

/// How many files may wait to be counted.
const WAITING: usize = 1024;

/// A file to be counted.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number in the walk.
    pub number: u64,
    /// Its path below the root.
    pub path: Arc<Path>,
    /// The same for people.
    pub text: Arc<str>,
    /// How many workers it has outlived.
    pub attempt: u32,
}

/// The files that wait and the files that are held. It survives crashes by design. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: Queue<Job>,
    leases: Mutex<HashMap<u64, (Incarnation, Job)>>,
}

impl Default for Ledger {
    /// Nothing waits, nothing is held.
    fn default() -> Self {
        Self(Arc::new(Inner { waiting: Queue::bounded(WAITING, Full::WaitForHalf), leases: Mutex::default() }))
    }
}

impl Ledger {
    /// The queue of files that wait.
    pub fn waiting(&self) -> &Queue<Job> {
        &self.0.waiting
    }

    /// Leases the next file; `None` when there are no more, or the worker was told to stop.
    ///
    /// # Errors
    /// This worker was given up.
    pub fn lease(&self, life: &Life) -> Result<Option<Job>, Fenced> {
        let Some(job) = life.next(&self.0.waiting)? else { return Ok(None) };
        let me = life.incarnation();
        self.0.leases.lock().insert(job.number, (me, job.clone()));
        // Race "lease against fence".
        if life.owner().fenced() && self.end(job.number, me).is_some() {
            // A closed queue means that all is over.
            _ = self.0.waiting.give_back(job);
            return Err(Fenced(me));
        }
        Ok(Some(job))
    }

    /// Ends the lease, for its result is here. `false`: the result comes too late, and counts nothing.
    pub fn settle(&self, number: u64, holder: Incarnation, owners: &Owners) -> bool {
        // Race "late result".
        let given_up = matches!(owners.exit_of(holder), Some(Exit::Abandoned { .. }));
        !given_up && self.end(number, holder).is_some()
    }

    /// Ends all leases of one who has ended, and says which files they were.
    pub fn reclaim(&self, holder: Incarnation) -> Vec<Job> {
        let mut leases = self.0.leases.lock();
        let held: Vec<_> = leases.extract_if(|_, (by, _)| *by == holder).map(|(_, (_, job))| job).collect();
        held
    }

    fn end(&self, number: u64, holder: Incarnation) -> Option<Job> {
        let mut leases = self.0.leases.lock();
        match leases.get(&number) {
            Some((by, _)) if *by == holder => leases.remove(&number).map(|(_, job)| job),
            _ => None,
        }
    }
}
