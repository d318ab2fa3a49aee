//! The universe: one [`Foundation`] and everything in it.

mod builder;
mod on_need;
mod services;
mod stopped;
#[cfg(test)]
mod tests;
mod weak;

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use foundation_context::{Contexts, Incarnation};
#[cfg(feature = "legacy")]
use foundation_flags::Flags;
use foundation_registry::{Address, Cause, Exit, Owner, OwnerGuard, Owners, Registry};
use foundation_sync::{
    Activity, Agenda, Clock, Deadline, Errand, Mutex, Nanos, SendError, Serial, Timekeeper, Until,
    atomic::{AtomicU64, Ordering},
};
use foundation_telemetry::Telemetry;

use crate::{
    ChildError, ChildSpec, Crashes, Restart, Snapshot, StartError, Supervisor, ThreadNote, Tree, Vitals,
    census::Census,
    core::Event,
    courier::{Courier, Job, Start},
    crank::{Crank, News},
    panics::{Count, catch},
    spec::Born,
    tree::ask_child,
};

pub use builder::Builder;
pub use on_need::OnNeed;
pub use services::Services;
pub use stopped::StopReport;
pub use weak::WeakSystem;

/// A universe: its clock, telemetry, registry and trees. Two of them never see each other.
///
/// Dropped, it tells its trees to stop and does not wait; [`stop`](Self::stop) waits and reports.
#[must_use = "dropped, the universe stops"]
pub struct Foundation {
    system: System,
}

/// A handle to a universe; it does not keep it going.
#[derive(Clone)]
pub struct System(Arc<Parts>);

struct Parts {
    clock: Clock,
    activity: Activity,
    contexts: Contexts,
    /// How flags are made that are at home here.
    flags: foundation_flags::Builder,
    telemetry: Telemetry,
    owners: Owners,
    registry: Registry<Address>,
    census: Census,
    timekeeper: Timekeeper,
    courier: Courier,
    ids: AtomicU64,
    restarts: AtomicU64,
    /// Of the lives' threads, who know of it.
    panics: Count,
    abandoned: AtomicU64,
    late_exits: AtomicU64,
    /// When it was started.
    since: Nanos,
    #[cfg(feature = "legacy")]
    migration: Option<Flags>,
    /// What crates above keep.
    above: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    /// Gone when the root has ended: the cranks hold handles to the universe, too.
    roots: Mutex<Option<Roots>>,
}

/// The universe's own supervisors. The root stops its trees before its services.
#[derive(Clone)]
struct Roots {
    root: Born,
    services: Serial<Crank>,
    trees: Serial<Crank>,
}

impl Foundation {
    /// How to make a universe.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Stops all trees, in reverse order of their start, then the services, and waits until no thread is left, for so
    /// long at most by the universe's clock: where that is a [virtual time](foundation_sync::VirtualTime) which stands, let
    /// it [flow](foundation_sync::VirtualTime::flow) first.
    ///
    /// A thread is left as long as destructors of its thread-locals run. When none is left, all have been joined. What
    /// telemetry keeps for later, in windows, reservoirs and batches, is [seen to](foundation_telemetry::Telemetry::wind_up)
    /// by the courier when all others have ended, and by the calling thread if there is no courier.
    ///
    /// One of the universe's own threads, such as a worker's, would wait for its own end: then everything is told to stop
    /// and nothing is waited for, and the report says so ([`StopReport::inside`]). It is to return from its body.
    #[track_caller]
    pub fn stop(self, patience: Duration) -> StopReport {
        let until = self.within(patience);
        let inside = self.system.census().here();
        let root = self.system.close();
        if inside.is_some() {
            let (ended, running) = (root.is_none(), self.system.threads());
            return StopReport { ended, running, lost: self.system.lost(), inside };
        }
        let ended = root.is_none_or(|root| root.monitor().recv(&until).is_ok());
        let running = self.system.census().wait_empty(&until);
        // What the courier did not see to, because there was none or something came later: nobody else is left.
        self.system.telemetry().wind_up(&until);
        StopReport { ended, running, lost: self.system.lost(), inside: None }
    }

    /// A handle to it.
    pub fn system(&self) -> &System {
        &self.system
    }
}

impl Drop for Foundation {
    fn drop(&mut self) {
        self.system.close();
    }
}

impl Deref for Foundation {
    type Target = System;

    fn deref(&self) -> &System {
        &self.system
    }
}

impl fmt::Debug for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Foundation").field(&self.system).finish()
    }
}

impl System {
    /// The universe's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The deadline that is so far away, by the universe's clock.
    pub fn within(&self, span: Duration) -> Deadline {
        self.0.clock.within(span)
    }

    /// How contexts travel in it.
    pub fn contexts(&self) -> &Contexts {
        &self.0.contexts
    }

    /// Makes this universe the calling thread's home for the time of the call: for threads that it did not start, such as
    /// the program's first one or a pool's.
    ///
    /// Where the universe's time is virtual, it goes on only while the thread waits.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = self
            .clock()
            .virtual_time()
            .map(|time| time.enter(std::thread::current().name().unwrap_or("a thread that entered")));
        let _dispatch = self.0.census.dispatch().map(tracing::dispatcher::set_default);
        self.0.contexts.enter(work)
    }

    /// Its events.
    pub fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }

    /// How to make flags that are at home in this universe: told as its events, by its courier, dated by its clock.
    pub fn declare_flags(&self) -> foundation_flags::Builder {
        self.0.flags.clone()
    }

    /// The migration of this universe's own services, if it was
    /// [started from the old ones](Builder::start_from_legacy).
    #[cfg(feature = "legacy")]
    pub fn migration(&self) -> Option<&Flags> {
        self.0.migration.as_ref()
    }

    /// Its names.
    pub fn registry(&self) -> &Registry<Address> {
        &self.0.registry
    }

    /// Who lives in it.
    pub fn owners(&self) -> &Owners {
        &self.0.owners
    }

    /// A life of somebody whom the universe did not start, such as the program's main thread: an owner of names, until
    /// it is [ended](OwnerGuard::end), or the guard dropped.
    pub fn begin(&self, name: &str) -> OwnerGuard {
        self.owners().begin(Incarnation { id: self.next_id(), generation: 1 }, name)
    }

    /// What moves when something happens in it.
    pub fn activity(&self) -> &Activity {
        &self.0.activity
    }

    /// What is reached under this name, if somebody has it and it is of this type.
    pub fn find<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        self.registry().lookup(name)?.value().get()
    }

    /// The life that owns this name.
    pub fn whereis(&self, name: &str) -> Option<Incarnation> {
        self.registry().lookup(name).map(|entry| entry.incarnation())
    }

    /// Its threads: each from before it starts until its thread-locals have been destroyed.
    pub fn threads(&self) -> Vec<ThreadNote> {
        self.0.census.threads()
    }

    /// How many restarts there were.
    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Ordering::Relaxed) // ordering: a count
    }

    /// How many threads could not take on all the conditions that the universe was built with, on Linux: affinity, signal
    /// mask, nice value. Those that the system refused they have from whoever made them: to lower a nice value, after a
    /// worker has raised its own, takes a privilege.
    pub fn conditions_refused(&self) -> u64 {
        self.0.census.refused()
    }

    /// How many workers were abandoned, and how many other threads had not destroyed their thread-locals when the universe
    /// was to have [stopped](Foundation::stop).
    pub fn abandoned(&self) -> u64 {
        self.0.abandoned.load(Ordering::Relaxed) + self.0.census.outlasted() // ordering: a count
    }

    /// How many panics on the threads of its lives ended no life, and so are in no crash report: a body caught them itself
    /// (`catch_unwind`), or this library did so around a handler or a destructor. One that is on its way counts until it
    /// has ended a life.
    ///
    /// What the program's panic hook would have said of them is not said: that of a panic is known when it has been caught,
    /// or has not, and too late for the hook. A body that catches panics reports them itself.
    pub fn panics_caught(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed) // ordering: a count
    }

    pub(crate) fn panics(&self) -> &Count {
        &self.0.panics
    }

    /// How many reports and events found no room with the courier.
    pub fn lost(&self) -> u64 {
        self.0.courier.lost()
    }

    /// The crashes that the courier has reported, in groups.
    pub fn crashes(&self) -> Crashes {
        self.0.courier.ring().crashes(self.clock().now())
    }

    /// The whole universe as it is now, with all its trees: see [`Tree::snapshot`].
    ///
    /// # Errors
    /// [`ChildError::Over`]: it has ended. [`ChildError::TimedOut`] or `Stopped`: its root did not answer.
    pub fn snapshot<'a>(&self, until: impl Into<Until<'a>>) -> Result<Snapshot, ChildError> {
        let (root, owner) = self.roots().ok_or(ChildError::Over)?.root;
        Snapshot::take(owner.name(), owner.incarnation(), &root, &until.into())
    }

    /// How the universe is: figures that are there already, so nobody is asked, and nothing waited for.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        Vitals::of(self)
    }

    #[track_caller]
    pub(crate) fn start_tree(&self, mut supervisor: Supervisor, until: Deadline) -> Result<Tree, StartError> {
        supervisor.check().map_err(StartError::BadSpec)?;
        supervisor.on_its_own();
        let Some(trees) = self.roots().map(|roots| roots.trees) else { return Err(StartError::Stopped) };
        let name = Arc::clone(&supervisor.name);
        // The tree takes its seat at once, and is started from here: a slow one keeps nobody waiting but its caller.
        let (spec, born) = ChildSpec::supervisor(supervisor).restart(Restart::Temporary).born();
        match ask_child(&trees, &name, &until, |ticket| News::StartChild(Box::new(spec), ticket)) {
            Ok(_) => {}
            Err(ChildError::AlreadyPresent(name)) => return Err(StartError::AlreadyPresent(name)),
            Err(ChildError::TimedOut) => {
                // The request still waits, or is being done: it finds that nobody waits, or left what is to be stopped.
                born.close();
                born.drain()
                    .into_iter()
                    .for_each(|(crank, _)| crank.push(News::Core(Event::Stop(None, Cause::TooSlow))));
                return Err(StartError::TimedOut);
            }
            Err(ChildError::Busy) => return Err(StartError::Busy),
            Err(_) => return Err(StartError::Stopped),
        }
        let Ok((crank, owner)) = born.try_recv() else { return Err(StartError::Stopped) };
        let prefix = format!("{name}/").into();
        let tree = Tree::new(crank, owner, prefix, self.census());
        match tree.first_start(&until) {
            Ok(()) => Ok(tree),
            Err(ChildError::TimedOut) => {
                tree.tell_to_stop(Cause::TooSlow);
                Err(StartError::TimedOut)
            }
            // A child failed, or the supervisor gave up over one that it had started.
            Err(ChildError::StartFailed { .. } | ChildError::Over) => match tree.wait(&until) {
                Ok(Exit::Shutdown(Cause::Requested)) => Err(StartError::Stopped),
                Ok(exit) => Err(StartError::ChildFailed { tree: name, exit }),
                Err(_) => Err(StartError::TimedOut),
            },
            Err(_) => Err(StartError::Stopped),
        }
    }

    #[track_caller]
    pub(crate) fn start_service(&self, spec: ChildSpec, until: Deadline) -> Result<(), ChildError> {
        let Some(services) = self.roots().map(|roots| roots.services) else { return Err(ChildError::Over) };
        let name = Arc::clone(&spec.name);
        ask_child(&services, &name, until, |ticket| News::StartChild(Box::new(spec), ticket)).map(drop)
    }

    fn roots(&self) -> Option<Roots> {
        self.0.roots.lock().clone()
    }

    /// Tells the root to stop; `None` if it has ended.
    fn close(&self) -> Option<Owner> {
        let (root, owner) = self.roots()?.root;
        root.push(News::Core(Event::Stop(None, Cause::Requested)));
        Some(owner)
    }

    /// The root has ended: no more trees, no more services, no more deadlines.
    pub(crate) fn over(&self) {
        self.0.timekeeper.close();
        self.0.courier.close();
        let roots = self.0.roots.lock().take();
        drop(roots);
    }

    pub(crate) fn timekeeper(&self) -> &Timekeeper {
        &self.0.timekeeper
    }

    pub(crate) fn census(&self) -> &Census {
        &self.0.census
    }

    /// A number that nobody has who lives: lives are begun by hand, too.
    pub(crate) fn next_id(&self) -> u64 {
        loop {
            let id = self.0.ids.fetch_add(1, Ordering::Relaxed) + 1; // ordering: each gets another number
            if self.owners().get(Incarnation { id, generation: 1 }).is_none() {
                return id;
            }
        }
    }

    pub(crate) fn count_restart(&self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed); // ordering: a count
    }

    /// Somebody who was abandoned has ended after all.
    pub(crate) fn count_late_exit(&self) {
        self.0.late_exits.fetch_add(1, Ordering::Relaxed); // ordering: a count
    }

    /// How many of those who were abandoned still run.
    pub(crate) fn abandoned_running(&self) -> u64 {
        let ended = self.0.late_exits.load(Ordering::Relaxed) + self.0.census.gone_after_all(); // ordering: a count
        self.abandoned().saturating_sub(ended)
    }

    pub(crate) fn since(&self) -> Nanos {
        self.0.since
    }

    pub(crate) fn courier(&self) -> &Courier {
        &self.0.courier
    }

    pub(crate) fn count_abandoned(&self) {
        self.0.abandoned.fetch_add(1, Ordering::Relaxed); // ordering: a count
    }

    /// Gives the courier a job.
    pub(crate) fn tell(&self, job: Job) {
        if let Some(start) = self.0.courier.post(job) {
            self.start_courier(start);
        }
    }

    /// Gives it several, from within a turn.
    pub(crate) fn tell_later(&self, jobs: Vec<Job>, agenda: &mut Agenda) {
        if let Some(start) = self.0.courier.post_all(jobs)
            && let Some((services, news)) = self.starting(start)
        {
            services.push_later(news, agenda);
        }
    }

    /// Has the courier drop a user's value: for whoever holds the last reference where users' code may not run.
    pub fn discard(&self, value: impl Any + Send) {
        self.tell(Job::Discard(Box::new(value)));
    }

    /// What a crate above keeps for this universe: one value of each type, made when it is first asked for, and dropped
    /// with the universe.
    pub fn part<T: Default + Any + Send + Sync>(&self) -> Arc<T> {
        let kept = self.0.above.lock().get(&TypeId::of::<T>()).cloned();
        let part = kept.unwrap_or_else(|| {
            // Two may make one at once; the second is dropped here, without the lock.
            let made = Arc::new(T::default()) as Arc<dyn Any + Send + Sync>;
            Arc::clone(self.0.above.lock().entry(TypeId::of::<T>()).or_insert_with(|| Arc::clone(&made)))
        });
        part.downcast().expect("it is kept under its type")
    }

    /// Has the courier run a piece of users' code; without one it is run here. A panic in it is caught, and counted among
    /// what is [lost](Self::lost), as is an errand for which there is no room: it is dropped.
    pub fn put_off(&self, errand: Errand) {
        match self.0.courier.is_absent() {
            true => _ = catch(errand),
            false => self.tell(Job::Errand(errand)),
        }
    }

    /// The same, for whoever sees himself to an errand that is not taken: it comes back, and is not counted as lost.
    ///
    /// # Errors
    /// There is no room for it; or the universe has ended, and nobody will run it any more.
    pub fn try_put_off(&self, errand: Errand) -> Result<(), SendError<Errand>> {
        if self.0.courier.is_absent() {
            _ = catch(errand);
            return Ok(());
        }
        self.run_errand(errand).map_err(|back| match self.0.courier.is_closed() {
            true => SendError::Closed(back),
            false => SendError::Full(back),
        })
    }

    fn start_courier(&self, start: Start) {
        if let Some((services, news)) = self.starting(start) {
            services.push(news);
        }
    }

    fn starting(&self, (courier, ticket): Start) -> Option<(Serial<Crank>, News)> {
        Some((self.roots()?.services, News::StartChild(Box::new(courier), ticket)))
    }

    /// Has the courier run it.
    pub(crate) fn run_errand(&self, errand: Errand) -> Result<(), Errand> {
        if let Some(start) = self.0.courier.take_errand(errand)? {
            self.start_courier(start);
        }
        Ok(())
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("owners", self.owners())
            .field("threads", &self.0.census)
            .field("courier", &self.0.courier)
            .finish_non_exhaustive()
    }
}
