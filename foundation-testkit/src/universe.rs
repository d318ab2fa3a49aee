//! One universe for one test.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use foundation_context::{Fields, current};
use foundation_supervisor::{Builder, CRASHED, Foundation, Restart, Services, Strategy, Supervisor, System, Tree};
use foundation_sync::{
    Clock, Deadline, Entered, Mutex, VirtualTime,
    thread::{self, ThreadId},
};
use foundation_telemetry::{Event, EventName, Selectors};

use crate::{
    Beside, Capture, Child, TestClock,
    beside::Watch,
    capture::has,
    declared::{self, Declared},
    patience::{Fact, patience, wait},
};

/// How many events, or monitors, a failure shows.
const SHOWN: usize = 20;

/// A universe of the test's own, checked when it is dropped. Dereferences to its [`System`].
///
/// Its time is real, or the test's own: [`with_virtual_time`](Self::with_virtual_time),
/// [`with_auto_time`](Self::with_auto_time). How long the test itself waits is real in all of them.
#[must_use = "dropped, it is stopped and checked"]
pub struct TestUniverse {
    foundation: Option<Foundation>,
    system: System,
    clock: TestClock,
    patience: Duration,
    /// The threads beside the test's own.
    besides: Mutex<Vec<Arc<Watch>>>,
    /// Crashes that the test brings about: shown when it fails, not printed.
    crashes: Option<Capture>,
    /// What the workspace's own events say is what they declare.
    declared: Option<Declared>,
    /// What the context of the test's own thread said before.
    said: (ThreadId, String),
    /// The test's own thread is of a time that jumps.
    _entered: Option<Entered>,
}

impl Default for TestUniverse {
    fn default() -> Self {
        Self::new()
    }
}

impl TestUniverse {
    /// An empty universe.
    pub fn new() -> Self {
        Self::with_patience(patience())
    }

    /// An empty universe whose waits take at most so long: for tests of what is waited for in vain.
    pub fn with_patience(patience: Duration) -> Self {
        Self::start_with(Foundation::builder(), patience)
    }

    /// An empty universe whose time stands still until the test moves it: `t.clock().advance(MINUTE)`.
    ///
    /// A deadline of the universe's, such as `t.within(SECOND)`, does not pass by itself then: what the test's own thread
    /// waits for takes [`t.patience()`](Self::patience).
    pub fn with_virtual_time() -> Self {
        let time = VirtualTime::new().patience(patience());
        Self::start_with(Foundation::builder().clock(&time.clock()), patience())
    }

    /// An empty universe whose time jumps to the next deadline whenever all its threads wait, the test's own among them:
    /// days pass in a moment, each deadline in its order.
    pub fn with_auto_time() -> Self {
        let time = VirtualTime::auto().patience(patience());
        Self::start_with(Foundation::builder().clock(&time.clock()), patience())
    }

    /// The universe that this builder makes. If it is of a time that jumps, so is the calling thread. A virtual time that
    /// it is given ends with it: it [flows](VirtualTime::flow) when the universe is dropped, and has the test's patience.
    ///
    /// A builder with services is taken, too: they are started, within the test's patience, when the universe is of its
    /// time.
    ///
    /// # Panics
    /// A service can't be started.
    #[track_caller]
    pub fn of(builder: impl Into<Services>) -> Self {
        let (builder, services) = builder.into().into_parts();
        let universe = Self::start_with(builder, patience());
        if let Some(services) = services {
            universe.start(services);
        }
        universe
    }

    fn start_with(builder: Builder, patience: Duration) -> Self {
        let foundation = builder.start();
        let system = foundation.system().clone();
        let clock = TestClock::new(foundation.clock());
        if let Some(time) = clock.virtual_time() {
            // The test's patience is one, and scaled.
            time.patience(patience);
        }
        let _entered = clock.virtual_time().filter(|time| time.is_auto()).map(|time| time.enter("the test"));
        let crashes = Some(Capture::new(foundation.telemetry(), CRASHED));
        let declared = Some(Declared::new(foundation.telemetry()));
        let (foundation, besides) = (Some(foundation), Mutex::default());
        let said = (thread::id(), current().to_string());
        Self { foundation, system, clock, patience, besides, crashes, declared, said, _entered }
    }

    /// The universe whose own events nobody hears, unless the test does: for tests of what is done only for listeners. As a
    /// rule the universe itself hears each of them, and fails the test if one is not what it declares.
    pub fn unheard(mut self) -> Self {
        self.declared = None;
        self
    }

    /// The universe's clock, which the test may move if its time is virtual.
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// When the test's patience is over: in real time, whatever the universe's is.
    pub fn patience(&self) -> Deadline {
        Clock::system().within(self.patience)
    }

    /// Starts a thread of the universe's time beside the test's own.
    ///
    /// # Panics
    /// No thread can be started.
    #[track_caller]
    pub fn spawn<R: Send + 'static>(&self, name: &str, body: impl FnOnce() -> R + Send + 'static) -> Beside<R> {
        let beside = Beside::start(name, &self.system, self.patience, body);
        self.besides.lock().push(beside.watch());
        beside
    }

    /// Starts a tree, within the test's patience.
    ///
    /// # Panics
    /// The tree can't be started.
    #[track_caller]
    pub fn start(&self, supervisor: Supervisor) -> Tree {
        match supervisor.start(&self.system, self.patience()) {
            Ok(tree) => tree,
            Err(error) => panic!("the tree can't be started: {error}"),
        }
    }

    /// Starts a scripted worker in a tree of its own, which allows any number of restarts.
    #[track_caller]
    pub fn start_child(&self, name: &str) -> Child {
        let (spec, orders) = Child::spec(name);
        let tree = Supervisor::new(format!("tree of {name}"), Strategy::OneForOne).intensity(1_000_000, self.patience);
        self.start(tree.child(spec.restart(Restart::Permanent)));
        let incarnation = self.wait_for(|| self.whereis(name));
        Child::new(name, incarnation, orders)
    }

    /// Waits until the worker's next life is registered.
    #[track_caller]
    pub fn wait_for_restart(&self, child: &Child) -> Child {
        let newer = || self.whereis(child.name()).filter(|now| now.generation > child.incarnation().generation);
        child.next(self.wait_for(newer))
    }

    /// Waits until the condition is so: a flag, or the first `Some` or `Ok`, which is returned. It is looked at each time
    /// something happens in the universe, and not again after it was so.
    ///
    /// # Panics
    /// When patience is over: with what was waited for, where, how long, what there was instead, and what every thread of
    /// the universe was doing.
    #[track_caller]
    pub fn wait_for<F: Fact>(&self, condition: impl FnMut() -> F) -> F::Value {
        wait(self.activity(), self.patience, condition, &Circumstances(self))
    }

    /// Catches the events that are selected from now on: of one name, of several, of a
    /// [prefix](foundation_telemetry::Selector::under).
    #[track_caller]
    pub fn capture_telemetry(&self, names: impl Into<Selectors>) -> Capture {
        Capture::new(self.telemetry(), names)
    }

    /// Runs `work` and waits for an event of this name that has these fields among its measurements and metadata.
    ///
    /// # Panics
    /// None came; those of the name that did are shown.
    #[track_caller]
    pub fn assert_telemetry_event<R>(
        &self,
        name: &'static [&'static str],
        expected: Fields,
        work: impl FnOnce() -> R,
    ) -> Event {
        self.assert_telemetry(EventName::new(name), &format!("with {expected:?}"), |event| has(event, &expected), work)
    }

    /// Runs `work` and waits for an event of this name that is such.
    ///
    /// # Panics
    /// None came; those of the name that did are shown.
    #[track_caller]
    pub fn assert_telemetry_where<R>(
        &self,
        name: EventName,
        such: impl Fn(&Event) -> bool,
        work: impl FnOnce() -> R,
    ) -> Event {
        self.assert_telemetry(name, "such as asked for", such, work)
    }

    #[track_caller]
    fn assert_telemetry<R>(
        &self,
        name: EventName,
        what: &str,
        such: impl Fn(&Event) -> bool,
        work: impl FnOnce() -> R,
    ) -> Event {
        let capture = self.capture_telemetry(name);
        work();
        let found = || capture.events().into_iter().find(|event| such(event));
        match self.activity().wait_for(&self.patience(), found) {
            Some(event) => event,
            None => {
                let seen = capture.take();
                let last = &seen[seen.len().saturating_sub(SHOWN)..];
                panic!(
                    "no event {name} {what} came in {:?}; of that name came {}, the last of them: {last:#?}{}",
                    self.patience,
                    seen.len(),
                    Circumstances(self)
                )
            }
        }
    }

    /// Runs `work` and waits for events of these names in this order, whatever comes in between.
    ///
    /// # Panics
    /// They did not come in that order; what came is shown.
    #[track_caller]
    pub fn assert_telemetry_sequence<R>(&self, names: &[EventName], work: impl FnOnce() -> R) -> Vec<Event> {
        let capture = self.capture_telemetry(names);
        work();
        match self.activity().wait_for(&self.patience(), || capture.in_order(names)) {
            Some(events) => events,
            None => {
                let seen: Vec<_> = capture.take().iter().map(|event| event.name.to_string()).collect();
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                panic!("the events {names:?} did not come in this order in {:?}; these came: {seen:?}", self.patience)
            }
        }
    }

    /// Runs `work`, and looks that no event of this name came that has these fields. It does not wait: what comes after
    /// `work` has returned is not seen, but in virtual time all that is due now is done first.
    ///
    /// # Panics
    /// One came; it is shown.
    #[track_caller]
    pub fn refute_telemetry_event<R>(
        &self,
        name: &'static [&'static str],
        unexpected: Fields,
        work: impl FnOnce() -> R,
    ) -> R {
        let name = EventName::new(name);
        let capture = self.capture_telemetry(name);
        let result = work();
        if self.clock.virtual_time().is_some() {
            self.clock.advance(Duration::ZERO);
        }
        if let Some(event) = capture.events().into_iter().find(|event| has(event, &unexpected)) {
            panic!("an event {name} with {unexpected:?} came: {event:#?}");
        }
        result
    }

    /// Stops the universe and says what was left behind; empty if nothing was.
    fn left_behind(&mut self) -> String {
        let mut left = String::new();
        let Some(foundation) = self.foundation.take() else { return left };
        self.crashes = None;
        let declared = self.declared.take();
        // The end goes by real time.
        if let Some(time) = self.clock.virtual_time() {
            time.flow();
        }
        let handlers = self.telemetry().list().into_iter().map(|handler| handler.id);
        // What begins like this is the universe's own.
        let theirs = |id: &Arc<str>| **id != *declared::ID && !id.starts_with("foundation.");
        let handlers: Vec<_> = handlers.filter(theirs).collect();
        let report = foundation.stop(self.patience);
        if !report.is_clean() {
            left += &format!("\n- {report}");
        }
        let besides = std::mem::take(&mut *self.besides.lock());
        let ended = || besides.iter().all(|beside| beside.has_ended()).then_some(());
        _ = self.activity().wait_for(&self.patience(), ended);
        for complaint in besides.iter().filter_map(|beside| beside.complaint()) {
            left += &format!("\n- {complaint}");
        }
        for owner in self.owners().live() {
            left += &format!("\n- {owner:?} lives, with {} names", owner.names());
        }
        for entry in self.registry().entries() {
            left += &format!("\n- the name {entry:?}");
        }
        for (group, members) in self.registry().groups() {
            left += &format!("\n- {members} members of the group `{group}`");
        }
        for lock in self.registry().locks() {
            left += &format!("\n- the lock of {lock}: drop its guard");
        }
        let monitors = self.owners().monitors();
        for monitor in monitors.iter().take(SHOWN) {
            left += &format!("\n- {monitor}: drop it");
        }
        if monitors.len() > SHOWN {
            left += &format!("\n- {} monitors more", monitors.len() - SHOWN);
        }
        let spans = self.telemetry().open_spans();
        for span in &spans {
            let owner = span.owner.map_or_else(|| "nobody".to_owned(), |owner| owner.to_string());
            left += &format!("\n- the span `{}` ({}), opened by {owner}: close it", span.name, span.id);
        }
        let unseen = self.telemetry().spans_open().saturating_sub(spans.len());
        if unseen > 0 {
            left += &format!("\n- {unseen} spans that only the threads that opened them see");
        }
        let (thread, before) = &self.said;
        let now = current().to_string();
        if *thread == thread::id() && now != *before {
            left +=
                &format!("\n- the context ({now}), which was ({before}): close its scopes, or `clear` what was set");
        }
        for complaint in declared.map(Declared::complaints).unwrap_or_default() {
            left += &format!("\n- {complaint}");
        }
        for failed in self.telemetry().failed() {
            left += &format!("\n- {failed}: if that was meant, let the test `forget` it");
        }
        let forgotten = self.telemetry().figures().forgotten;
        if forgotten > 0 {
            left += &format!("\n- {forgotten} handlers more have failed");
        }
        if !handlers.is_empty() {
            left += &format!("\n- the handlers {handlers:?}: detach them, or catch events with `capture_telemetry`");
        }
        left
    }
}

impl Deref for TestUniverse {
    type Target = System;

    fn deref(&self) -> &System {
        &self.system
    }
}

impl Drop for TestUniverse {
    fn drop(&mut self) {
        let left = self.left_behind();
        // A test that fails already has its reason.
        if !left.is_empty() && !std::thread::panicking() {
            panic!("the test left something behind in its universe:{left}");
        }
    }
}

impl fmt::Debug for TestUniverse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestUniverse").field(&self.system).finish()
    }
}

/// What went on when patience was over.
struct Circumstances<'a>(&'a TestUniverse);

impl fmt::Display for Circumstances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads: Vec<_> = self.0.threads().iter().map(ToString::to_string).collect();
        let threads = if threads.is_empty() { "none".to_owned() } else { threads.join(", ") };
        write!(f, "\n- threads of the universe: {threads}\n- who lives: {:?}", self.0.owners())?;
        if let Some(time) = self.0.clock.virtual_time() {
            write!(f, "\n- virtual time: {} ns; who does not wait: {:?}", self.0.clock.now(), time.running())?;
        }
        let crashes = self.0.crashes.as_ref().map(Capture::take).unwrap_or_default();
        crashes.iter().try_for_each(|crash| write!(f, "\n- crashed before: {}", crash.metadata))
    }
}
