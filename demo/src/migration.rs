//! The migration: what is changed when, by a part of its own, while the others work.
//!
//! # Protocol
//! `totals` says how many files are settled each time another step is due, and at last that all are. The migrator takes
//! its steps in order, each when it is due, those that are left when all files are settled on an idle system, and only
//! then stops the tree. A rollback by the guard is heard as an event.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use foundation_context::fields;
use foundation_flags::{Attempt, Attempts, ChangeError, FailureGuard, Flags, ROLLED_BACK};
use foundation_supervisor::{ChildSpec, Failure, Life, Restart};
use foundation_sync::{Full, Mutex, Nanos, Queue, RecvError, SECONDS_5};

use crate::pipeline::{DONE, gives_up};

/// The last stage of the workspace's own plan.
pub const LAST_STAGE: usize = 5;
/// The stage at which errors are injected.
const FAULTY_STAGE: usize = 4;
/// After how many eighths of the files each stage is due: its number.
const EIGHTHS: f64 = 8.0;
/// How long the guard counts attempts before it judges them.
const WINDOW: Duration = Duration::from_millis(10);
/// So many attempts are judged, not fewer.
const LEAST_ATTEMPTS: u64 = 50;
/// Above this crash rate the guard would be right to roll back at any stage.
pub const MOST_CRASHES: f64 = 0.1;

/// The guard that the migration relies on: it trips when more than a third of the attempts fail.
pub fn guard() -> FailureGuard {
    FailureGuard::above("failed_attempts", 1.0 / 3.0).window(WINDOW).at_least(LEAST_ATTEMPTS)
}

/// One step of the migration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// On to this stage.
    Advance(usize),
    /// Errors, until the guard has rolled the stage back.
    Trip,
    /// Back to stage 0 at once. The last step.
    Emergency,
}

/// The steps in order, each with the share of the files after which it is due.
///
/// With an emergency, no errors are injected, and what would be due after it is left out.
pub fn script(emergency_at: Option<f64>) -> Vec<(f64, Step)> {
    let stages = (1..=LAST_STAGE).map(|stage| (stage as f64 / EIGHTHS, Step::Advance(stage)));
    match emergency_at {
        Some(share) => stages.take_while(|(due, _)| *due <= share).chain([(share, Step::Emergency)]).collect(),
        None => {
            let mut steps: Vec<_> = stages.collect();
            let due = FAULTY_STAGE as f64 / EIGHTHS;
            let after = [(due, Step::Trip), (due, Step::Advance(FAULTY_STAGE))];
            steps.splice(FAULTY_STAGE..FAULTY_STAGE, after);
            steps
        }
    }
}

/// What the migrator is told.
#[derive(Debug)]
enum News {
    Settled(u64),
    AllSettled,
    RolledBack,
}

/// The migration of one run. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Migration(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    flags: Flags,
    /// How many files have to be settled, and what is done then.
    steps: Vec<(u64, Step)>,
    news: Queue<News>,
    faults: AtomicBool,
    /// How many attempts the workers made at each stage.
    attempts: [AtomicU64; LAST_STAGE + 1],
    holders: AtomicU64,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// When each stage was entered last.
    entered: BTreeMap<usize, Nanos>,
    broken: Vec<String>,
    broken_in_all: u64,
}

/// How many broken promises are named.
const NAMED: usize = 20;

impl Migration {
    /// The migration of these flags over so many files.
    pub fn new(flags: &Flags, files: u64, emergency_at: Option<f64>) -> Self {
        let due = |share: f64| (share * files as f64).ceil() as u64;
        let steps: Vec<_> = script(emergency_at).into_iter().map(|(share, step)| (due(share), step)).collect();
        Self(Arc::new(Inner {
            flags: flags.clone(),
            steps,
            // At most one per step, one at the end, and one per rollback.
            news: Queue::bounded(64, Full::DropOldest),
            faults: AtomicBool::new(false),
            attempts: std::array::from_fn(|_| AtomicU64::new(0)),
            holders: AtomicU64::new(0),
            log: Mutex::default(),
        }))
    }

    /// The flags that are changed.
    pub fn flags(&self) -> &Flags {
        &self.0.flags
    }

    /// Whether attempts are to fail now: not any more from the moment of the rollback on, or the guard would be right to
    /// roll the next stage back, too.
    pub fn faults(&self) -> bool {
        // ordering: Relaxed, a flag by itself.
        self.0.faults.load(Ordering::Relaxed) && self.0.flags.view().stage() == FAULTY_STAGE
    }

    /// Says that one more batch of files is settled; so many were before.
    pub(crate) fn settled(&self, before: u64, now: u64) {
        if self.0.steps.iter().any(|(due, _)| before < *due && *due <= now) {
            self.say(News::Settled(now));
        }
    }

    /// Says that all files are settled.
    pub(crate) fn all_settled(&self) {
        self.say(News::AllSettled);
    }

    fn say(&self, news: News) {
        // It drops the oldest: there is room.
        _ = self.0.news.try_send(news);
    }

    /// How many attempts the workers began at each stage, from 0 on.
    pub fn attempts_by_stage(&self) -> [u64; LAST_STAGE + 1] {
        std::array::from_fn(|stage| self.0.attempts[stage].load(Ordering::Relaxed)) // ordering: a count
    }

    /// A worker begins an attempt.
    pub(crate) fn begin(&self) -> Option<Attempt> {
        let stage = self.flags().view().stage();
        self.0.attempts[stage].fetch_add(1, Ordering::Relaxed); // ordering: a count
        self.flags().attempts().map(Attempts::begin)
    }

    /// How many hold the name that all workers want; in the new way there is one at most.
    pub(crate) fn holders(&self) -> &AtomicU64 {
        &self.0.holders
    }

    /// Notes that a promise was not kept.
    pub(crate) fn broken(&self, what: String) {
        let mut log = self.0.log.lock();
        log.broken_in_all += 1;
        if log.broken.len() < NAMED {
            log.broken.push(what);
        }
    }

    /// How many promises were not kept, and which, as far as they are named.
    pub fn broken_promises(&self) -> (u64, Vec<String>) {
        let log = self.0.log.lock();
        (log.broken_in_all, log.broken.clone())
    }

    /// When each stage was entered last, by the universe's clock.
    pub fn entered(&self) -> BTreeMap<usize, Nanos> {
        self.0.log.lock().entered.clone()
    }
}

/// The part that migrates the others.
pub(crate) fn migrator(migration: &Migration) -> ChildSpec {
    let migration = migration.clone();
    let body = move |life: &Life| {
        if gives_up(life) {
            return Ok(());
        }
        let hears = migration.clone();
        life.system().telemetry().attach("migrator", ROLLED_BACK, move |_| hears.say(News::RolledBack))?;
        let done = Run { migration: &migration, life, settled: 0, all: false }.steps();
        life.system().telemetry().detach("migrator")?;
        if done? {
            life.tree().tell_to_stop(DONE);
        }
        Ok(())
    };
    ChildSpec::worker("migrator", body).restart(Restart::Transient)
}

struct Run<'a> {
    migration: &'a Migration,
    life: &'a Life,
    settled: u64,
    all: bool,
}

impl Run<'_> {
    /// Takes all steps, and waits until all files are settled. `false`: told to stop before.
    fn steps(&mut self) -> Result<bool, Failure> {
        for (due, step) in &self.migration.0.steps {
            while !self.all && self.settled < *due {
                match self.life.next(&self.migration.0.news)? {
                    Some(news) => _ = self.hear(&news),
                    None => return Ok(false),
                }
            }
            let taken = match step {
                Step::Advance(stage) => self.advance(*stage)?,
                Step::Trip => self.trip(),
                Step::Emergency => {
                    self.migration.flags().emergency_rollback("--emergency-at");
                    self.enter();
                    true
                }
            };
            if !taken {
                return Ok(false);
            }
        }
        while !self.all {
            match self.life.next(&self.migration.0.news)? {
                Some(news) => _ = self.hear(&news),
                None => return Ok(false),
            }
        }
        // The guard may have found more to roll back meanwhile.
        match self.migration.0.steps.last() {
            Some((_, Step::Advance(stage))) => self.advance(*stage),
            _ => Ok(true),
        }
    }

    /// Whether it was the news of a rollback.
    fn hear(&mut self, news: &News) -> bool {
        match news {
            News::Settled(now) => self.settled = *now,
            News::AllSettled => self.all = true,
            News::RolledBack => self.enter(),
        }
        matches!(news, News::RolledBack)
    }

    /// Notes when the present stage was entered.
    fn enter(&self) {
        let (stage, now) = (self.migration.flags().status().stage, self.life.system().clock().now());
        self.migration.0.log.lock().entered.insert(stage, now);
    }

    /// Goes up, one by one: the guard may have rolled back a stage that was reached before.
    fn advance(&self, stage: usize) -> Result<bool, Failure> {
        let flags = self.migration.flags();
        loop {
            let now = flags.status().stage;
            if now >= stage {
                return Ok(true);
            }
            let until = self.life.system().within(SECONDS_5);
            match flags.advance_to(now + 1, "demo", "it is due", until) {
                Ok(_) => self.enter(),
                // Somebody was faster: look again.
                Err(ChangeError::NotNext { .. } | ChangeError::Superseded(_)) if !self.life.told() => {}
                Err(_) if self.life.told() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets attempts fail until the guard has rolled back. There may be too few of the workers', so some are its own.
    fn trip(&mut self) -> bool {
        let tripped = |flags: &Flags| flags.status().stage < FAULTY_STAGE;
        self.migration.0.faults.store(true, Ordering::Relaxed); // ordering: Relaxed, a flag by itself
        let rolled_back = loop {
            (0..LEAST_ATTEMPTS).take_while(|_| self.migration.faults()).for_each(|_| self.probe());
            // One window may have been open before, and does not count.
            let until = self.life.system().within(2 * WINDOW);
            let heard = loop {
                match self.migration.0.news.recv(until.clone().or_stop(self.life.stop())) {
                    Ok(news) if self.hear(&news) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            match heard {
                Err(RecvError::TimedOut) | Ok(()) if !tripped(self.migration.flags()) => {}
                Err(RecvError::TimedOut) | Ok(()) => break true,
                Err(_) => break false,
            }
        };
        self.migration.0.faults.store(false, Ordering::Relaxed); // ordering: Relaxed, a flag by itself
        rolled_back
    }

    /// An attempt that fails.
    fn probe(&self) {
        let _failed = self.migration.flags().attempts().map(Attempts::begin);
        let mut span = self.life.system().telemetry().enter_span("probe", fields! {});
        span.fail("injected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_due_at_eighths_and_the_fourth_is_rolled_back_and_entered_again() {
        let steps: Vec<_> = script(None).into_iter().map(|(share, step)| (share * 8.0, step)).collect();
        assert_eq!(
            steps,
            [
                (1.0, Step::Advance(1)),
                (2.0, Step::Advance(2)),
                (3.0, Step::Advance(3)),
                (4.0, Step::Advance(4)),
                (4.0, Step::Trip),
                (4.0, Step::Advance(4)),
                (5.0, Step::Advance(5)),
            ]
        );
    }

    #[test]
    fn an_emergency_ends_the_script_where_it_stands() {
        let steps = |share| script(Some(share)).into_iter().map(|(_, step)| step).collect::<Vec<_>>();
        assert_eq!(steps(0.0), [Step::Emergency]);
        assert_eq!(steps(0.3), [Step::Advance(1), Step::Advance(2), Step::Emergency]);
        assert_eq!(steps(0.25), [Step::Advance(1), Step::Advance(2), Step::Emergency]);
        assert_eq!(steps(1.0).len(), LAST_STAGE + 1);
    }
}
