//! The courier: all of a universe's deferred user code, on one supervised thread.
//!
//! Cranks and dying threads may not run user code; what concerns users they put into the courier's bounded queue. The
//! courier is a child of the universe's services, started with the first job, stopped last, and delivers what is left,
//! and what that brings about, before it ends. What finds no room is counted.
//!
//! A user's value that was only to be dropped has another bounded place where the queue is full, for its drop may not run
//! on a crank's thread; where that is full, too, it is counted and never dropped. After the universe's end, when there is
//! no crank that it could hold up, whoever brings it drops it.
//!
//! Named races:
//! - *last look at what was kept*: the courier empties the queue between the refusal of a value and its keeping. So the
//!   keeper looks for room again: either its marker gets in, or there is a job after which the courier looks.

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use std::{any::Any, fmt, mem, sync::Arc};

use foundation_context::{Incarnation, fields};
use foundation_registry::Exit;
use foundation_sync::{
    Deadline, Errand, Full, Mutex, Queue,
    atomic::{AtomicU64, Ordering},
    payload,
};
use foundation_telemetry::{Emitter, Telemetry, events};
use tracing::field;

use crate::{
    CRASHED, ChildSpec, CrashReport, DEFECT, Failure, GAVE_UP, LATE_EXIT, Life, OnNeed, QueueNote, RESTARTED,
    crank::Ticket,
    crashes::Ring,
    panics::catch,
    text::{MAX_LEN, render},
};

events! {
    /// The courier's own events.
    pub(crate) const EVENTS;

    /// Jobs found no room with the courier.
    pub const COURIER_LOST = ["foundation", "courier", "lost"];
    measurements { count: "jobs, since the last of these" }
    metadata {}
}

/// How many jobs may wait.
const CAPACITY: usize = 4096;

/// What is told of a crash, and the error itself, to be dropped when that is done.
pub(crate) type Crash = (CrashReport, Option<Failure>);

pub(crate) enum Job {
    /// With the error itself, if it returned one: a user's value.
    Crashed(Box<Crash>),
    Restarted {
        worker: Arc<str>,
        used: usize,
        allowed: usize,
    },
    LateExit {
        worker: Arc<str>,
        incarnation: Incarnation,
        exit: Exit,
    },
    /// A user's code that was put off.
    Errand(Errand),
    /// A user's value whose drop is the user's code.
    Discard(Box<dyn Any + Send>),
    /// A value was kept outside of the queue.
    Kept,
    /// A supervisor's own code panicked.
    Broken {
        tree: Arc<str>,
        panic: Box<dyn Any + Send>,
    },
    /// A supervisor could not go on.
    GaveUp {
        tree: Arc<str>,
        exit: Exit,
    },
}

/// The courier's spec, to be started.
pub(crate) type Start = (ChildSpec, Ticket);

/// The courier of one universe. A clone is another handle.
#[derive(Clone)]
pub(crate) struct Courier(Arc<Inner>);

struct Inner {
    jobs: Queue<Job>,
    /// Values to be dropped that found no room.
    kept: Mutex<Vec<Box<dyn Any + Send>>>,
    absent: bool,
    needed: OnNeed,
    lost: AtomicU64,
    ring: Ring,
    told: AtomicU64,
    crashed: Emitter,
    restarted: Emitter,
    late_exit: Emitter,
    gave_up: Emitter,
    defect: Emitter,
    courier_lost: Emitter,
}

impl Courier {
    /// `absent`: there will be none, and what its queue has room for stays there until the universe ends.
    pub(crate) fn new(telemetry: &Telemetry, absent: bool) -> Self {
        Self(Arc::new(Inner {
            jobs: Queue::bounded(CAPACITY, Full::Refuse),
            kept: Mutex::default(),
            absent,
            needed: OnNeed::new(),
            lost: AtomicU64::new(0),
            ring: Ring::default(),
            told: AtomicU64::new(0),
            crashed: telemetry.emitter(CRASHED),
            restarted: telemetry.emitter(RESTARTED),
            late_exit: telemetry.emitter(LATE_EXIT),
            gave_up: telemetry.emitter(GAVE_UP),
            defect: telemetry.emitter(DEFECT),
            courier_lost: telemetry.emitter(COURIER_LOST),
        }))
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.0.absent
    }

    /// The universe has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.jobs.is_closed()
    }

    /// Takes a job. If nobody is there to do it, the courier's spec is returned, to be started.
    #[must_use = "the courier has to be started"]
    pub(crate) fn post(&self, job: Job) -> Option<Start> {
        match self.0.jobs.try_send(job) {
            Ok(()) => self.start(),
            Err(refused) => {
                self.lose(refused.into_inner());
                None
            }
        }
    }

    /// The same for several, which wake it once.
    #[must_use = "the courier has to be started"]
    pub(crate) fn post_all(&self, jobs: Vec<Job>) -> Option<Start> {
        let all = jobs.len();
        let refused = self.0.jobs.try_send_all(jobs);
        let start = if refused.len() < all { self.start() } else { None };
        refused.into_iter().for_each(|job| self.lose(job));
        start
    }

    /// The same for an errand, which comes back where there is no room for it, or nobody to run it any more.
    pub(crate) fn take_errand(&self, errand: Errand) -> Result<Option<Start>, Errand> {
        match self.0.jobs.try_send(Job::Errand(errand)) {
            Ok(()) => Ok(self.start()),
            Err(refused) => match refused.into_inner() {
                Job::Errand(errand) => Err(errand),
                _ => Ok(None),
            },
        }
    }

    fn start(&self) -> Option<Start> {
        if self.0.absent {
            return None;
        }
        let ticket = self.0.needed.take_ticket()?;
        let courier = self.clone();
        let body = move |life: &Life| life.system().telemetry().as_courier(|| courier.run(life));
        Some((ChildSpec::worker("courier", body), ticket))
    }

    /// The universe has ended: what is still there, or comes later, is lost and counted.
    pub(crate) fn close(&self) {
        self.0.jobs.close();
        for job in self.0.jobs.drain() {
            self.lose(job);
        }
        self.drop_kept();
    }

    fn lose(&self, job: Job) {
        match job {
            Job::Kept => {}
            Job::Discard(value) if self.0.jobs.is_closed() => _ = catch(|| drop(value)),
            Job::Discard(value) => {
                if !self.keep(value) {
                    self.count_lost();
                }
            }
            job => {
                self.count_lost();
                match job {
                    // What these hold is a user's.
                    Job::Errand(errand) if !self.0.jobs.is_closed() => _ = self.keep(Box::new(errand)),
                    Job::Crashed(crash) if crash.1.is_some() && !self.0.jobs.is_closed() => _ = self.keep(crash),
                    job => _ = catch(|| drop(job)),
                }
            }
        }
    }

    fn count_lost(&self) {
        self.0.lost.fetch_add(1, Ordering::Relaxed); // ordering: a count
    }

    /// Keeps a value that is to be dropped by the courier; `false`: it never is. Race "last look at what was kept".
    fn keep(&self, value: Box<dyn Any + Send>) -> bool {
        let refused = {
            let mut kept = self.0.kept.lock();
            if kept.len() < CAPACITY {
                kept.push(value);
                None
            } else {
                Some(value)
            }
        };
        if let Some(value) = refused {
            mem::forget(value);
            return false;
        }
        if self.0.jobs.try_send(Job::Kept).is_err() && self.0.jobs.is_closed() {
            self.drop_kept();
        }
        true
    }

    fn drop_kept(&self) {
        let kept = mem::take(&mut *self.0.kept.lock());
        for value in kept {
            if catch(|| drop(value)).is_err() {
                self.count_lost();
            }
        }
    }

    /// How many jobs found no room.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed) // ordering: a count
    }

    /// The crashes that were reported.
    pub(crate) fn ring(&self) -> &Ring {
        &self.0.ring
    }

    /// What waits for it.
    pub(crate) fn queue(&self) -> QueueNote {
        let jobs = &self.0.jobs;
        QueueNote { len: jobs.len(), capacity: jobs.capacity(), high_water: jobs.high_water() }
    }

    fn run(&self, life: &Life) -> Result<(), Failure> {
        life.watch_queue(&self.0.jobs);
        self.0.needed.runs();
        while let Some(job) = life.next(&self.0.jobs)? {
            self.deliver(job);
            self.tell_lost();
            // Who waits for what was told may look again.
            life.system().activity().bump();
        }
        // Told to stop, after all others: deliver what is left, and what that brings about, such as a queued handler's
        // errand; but not for ever, for there are handlers that always bring more.
        self.deliver_left(life);
        if !life.owner().fenced() {
            life.system().telemetry().wind_up(&Deadline::now());
            self.deliver_left(life);
        }
        if life.owner().fenced() {
            return Ok(());
        }
        self.tell_lost();
        // What comes from now on is refused: an errand goes back to whoever brought it.
        self.0.jobs.close();
        self.0.jobs.drain().into_iter().for_each(|job| self.deliver(job));
        Ok(())
    }

    fn deliver_left(&self, life: &Life) {
        for _ in 0..CAPACITY {
            let Ok(job) = self.0.jobs.try_recv() else { break };
            self.deliver(job);
            if life.owner().fenced() {
                return;
            }
        }
    }

    fn deliver(&self, job: Job) {
        let delivered = catch(|| match job {
            Job::Crashed(crash) => self.crashed(&crash.0),
            Job::Restarted { worker, used, allowed } => {
                self.0.restarted.emit(|| (fields! { used: used, allowed: allowed }, fields! { worker: worker }));
            }
            Job::LateExit { worker, incarnation, exit } => {
                let exit = render(&exit, MAX_LEN);
                tracing::warn!(target: "foundation", %worker, %incarnation, %exit, "an abandoned worker has ended");
                self.0
                    .late_exit
                    .emit(|| (fields! {}, fields! { worker: worker, incarnation: incarnation, exit: exit }));
            }
            Job::Errand(errand) => errand(),
            Job::Discard(value) => drop(value),
            Job::Kept => {}
            Job::Broken { tree, panic } => self.defect(&tree, &payload::text(&*panic)),
            Job::GaveUp { tree, exit } => self.gave_up(&tree, &exit),
        });
        if delivered.is_err() {
            self.count_lost();
        }
        self.drop_kept();
    }

    #[expect(clippy::print_stderr, reason = "with nobody listening it is printed")]
    fn defect(&self, tree: &Arc<str>, panic: &Arc<str>) {
        tracing::error!(target: "foundation", %tree, %panic, "a defect in foundation-supervisor");
        self.0.defect.emit(|| (fields! {}, fields! { tree: Arc::clone(tree), panic: Arc::clone(panic) }));
        if !self.0.defect.heard() && !tracing::enabled!(target: "foundation", tracing::Level::ERROR) {
            eprintln!("foundation: {tree} met a defect in foundation-supervisor, please report it: {panic}");
        }
    }

    #[expect(clippy::print_stderr, reason = "with nobody listening a crash is printed")]
    fn crashed(&self, report: &CrashReport) {
        self.0.ring.note(report.clone());
        let CrashReport { worker, incarnation, context, checkpoint, restarts, .. } = report;
        let (exit, left, checkpoint) = (render(&report.exit, MAX_LEN), restarts.left(), checkpoint.map(field::display));
        tracing::error!(
            target: "foundation", %worker, %incarnation, %exit, %context, checkpoint, restarts_left = left,
            "a worker crashed"
        );
        self.0.crashed.emit(|| report.event());
        if !self.0.crashed.heard() && !tracing::enabled!(target: "foundation", tracing::Level::ERROR) {
            let context = if context.is_empty() { String::new() } else { format!(" ({context})") };
            eprintln!("foundation: {worker} ({incarnation}) {exit}{context}");
        }
    }

    #[expect(clippy::print_stderr, reason = "with nobody listening it is printed")]
    fn gave_up(&self, tree: &Arc<str>, exit: &Exit) {
        let exit = render(exit, MAX_LEN);
        tracing::error!(target: "foundation", %tree, %exit, "a supervisor gave up");
        self.0.gave_up.emit(|| (fields! {}, fields! { tree: Arc::clone(tree), exit: exit.clone() }));
        if !self.0.gave_up.heard() && !tracing::enabled!(target: "foundation", tracing::Level::ERROR) {
            eprintln!("foundation: {tree} gave up: {exit}");
        }
    }

    fn tell_lost(&self) {
        let lost = self.lost();
        let told = self.0.told.swap(lost, Ordering::Relaxed); // ordering: only the courier's thread writes it
        if lost > told {
            self.0.courier_lost.emit(|| (fields! { count: lost - told }, fields! {}));
        }
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Courier({:?}, {} lost)", self.0.jobs, self.lost())
    }
}
