//! The flags of one universe: read, changed, pushed.
//!
//! # Protocol
//! One immutable state is published; who loads it has a complete view. A decision is published by compare-and-swap, then
//! pushed to the switches: each is told the epoch of its flag, and the latest epoch stands, so pushes of two decisions
//! may arrive in any order.
//!
//! What takes a risk (the next stage, a release, a plain change) takes a role first, one at a time, is written down
//! durably, and is published only if no other decision came in between. What goes back (a rollback, an emergency, a
//! hold) waits for nobody: it is published and pushed first, and the file follows, by the courier. Its failure is
//! reported.
//!
//! Named races:
//! - *emergency against advance*: an emergency comes while an advance is being written down. The advance finds another
//!   version published than the one that it was made of, and is refused; the file is written again.
//! - *late push*: an advance was published before the emergency, and pushes after it. See [`Switch`].
//! - *teller against teller*: two decisions are to be told at once. One thread tells at a time, in order, and looks again
//!   before it ends.

use std::{fmt, sync::Arc};

use foundation_sync::{
    Activity, Clock, Deadline, Errand, Errands, Mutex, Snapshot, Switch,
    atomic::{AtomicU64, Ordering},
    planted, reached,
};

use crate::{
    Attempts, Baseline, Builder, Change, ChangeError, Changing, Date, Decision, Flag, Gate, MigrationPlan, Report,
    Rule, Status, Subscription, Target, TooManySubscribers,
    desk::Desk,
    events::Events,
    guard::Monitor,
    notices::{Notice, Notices},
    ready::Checks,
    rules::{By, share_is_on},
    state::{Shape, Share, State, Who},
    store::{For, Store},
    subscribers::Subscribers,
    undeclared::Undeclared,
};

/// The flags of one universe. A clone is another handle.
///
/// They have no thread. Reading waits for nobody, whatever is being changed, and works as long as anybody holds a handle.
#[derive(Clone)]
pub struct Flags(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) shape: Shape,
    pub(crate) state: Snapshot<State>,
    /// By a flag's number: what is pushed, the flag's own first.
    pub(crate) switches: Vec<Vec<Switch>>,
    /// By a flag's number: its [`Share`], pushed as the switches are.
    pub(crate) shares: Vec<AtomicU64>,
    /// How many overrides there were.
    pub(crate) overrides: AtomicU64,
    pub(crate) clock: Clock,
    pub(crate) activity: Activity,
    pub(crate) errands: Errands,
    pub(crate) desk: Desk,
    pub(crate) store: Store,
    pub(crate) events: Events,
    pub(crate) teller: Mutex<Teller>,
    pub(crate) untold: AtomicU64,
    pub(crate) notices: Notices,
    pub(crate) ready: Checks,
    pub(crate) subscribers: Subscribers,
    pub(crate) undeclared: Undeclared,
    pub(crate) attempts: Option<Attempts>,
    pub(crate) monitor: Option<Monitor>,
}

#[derive(Default)]
pub(crate) struct Teller {
    running: bool,
    again: bool,
    told: u64,
}

impl Teller {
    /// Nothing up to this version is news.
    pub(crate) fn after(told: u64) -> Self {
        Self { told, ..Self::default() }
    }
}

impl Flags {
    /// How to make flags: declare them, and say what they govern.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Whether the flag is on for whom nothing is known; what it says by default if it is not declared, and then the read
    /// is counted in the [`Status`]. As all reads it waits for nobody and allocates nothing.
    #[inline]
    pub fn enabled(&self, flag: &Flag) -> bool {
        match self.0.shape.table.find(flag) {
            Some(number) => self.0.switches[number][0].is_on(),
            None => self.0.undeclared(flag),
        }
    }

    /// Whether the flag is on for who has this id. See [`Rule`] for the order in which rules decide.
    #[inline]
    pub fn enabled_for(&self, flag: &Flag, id: &str) -> bool {
        match self.0.shape.table.find(flag) {
            // The target is made where it is needed: a copy of the id's place would be waited for.
            Some(number) => match self.0.share(number).of_all() {
                Some(share) => share_is_on(share, &self.0.shape.table.flags()[number], Some(id)),
                None => self.0.is_named_on(number, &Target::id(id)),
            },
            None => self.0.undeclared(flag),
        }
    }

    /// Whether the flag is on for a target: who has an id, is in groups, runs on a node.
    #[inline]
    pub fn enabled_for_target(&self, flag: &Flag, target: &Target<'_>) -> bool {
        match self.0.shape.table.find(flag) {
            Some(number) => self.0.is_on_for(number, target),
            None => self.0.undeclared(flag),
        }
    }

    /// Whether the flag is on for a target, and which rule says so. It allocates.
    pub fn explain(&self, flag: &Flag, target: &Target<'_>) -> Decision {
        self.view().explain(flag, target)
    }

    /// The flag, found once, to be held where it is read often: a read is one load.
    pub fn gate(&self, flag: &Flag) -> Gate {
        Gate::new(self, flag)
    }

    /// All flags at one moment: all as they were before a change, or all as they are after it.
    pub fn view(&self) -> View {
        View { flags: self.clone(), state: self.0.state.load() }
    }

    /// The stages that they go through, if they have a plan.
    pub fn plan(&self) -> Option<&MigrationPlan> {
        self.0.shape.plan.as_ref()
    }

    /// What happened to the migration from one day to another, both included.
    ///
    /// ```
    /// use foundation_flags::{Date, Flag, Flags, MigrationPlan};
    ///
    /// let plan = MigrationPlan::new("checkout").stage("switch", &[Flag::off("new_checkout")]);
    /// let flags = Flags::builder().plan(plan).start()?;
    /// let (from, to) = (Date::parse("2026-11-01"), Date::parse("2026-11-10"));
    /// let report = flags.report(from.expect("it is a day"), to.expect("it is a day"));
    /// assert!(report.to_string().starts_with("migration checkout, 2026-11-01 to 2026-11-10: stage 0 of 1"));
    /// # Ok::<(), foundation_flags::StartError>(())
    /// ```
    pub fn report(&self, from: Date, to: Date) -> Report {
        Report::of(self, from, to)
    }

    /// What is on, at which stage, since when.
    pub fn status(&self) -> Status {
        Status::of(&self.0)
    }

    /// The last decisions, the oldest first.
    pub fn history(&self) -> Vec<Arc<Change>> {
        self.0.state.load().history.iter().map(Arc::clone).collect()
    }

    /// How many decisions, alerts and failures were forgotten before they could be told as events.
    pub fn untold(&self) -> u64 {
        self.0.untold.load(Ordering::Relaxed) + self.0.notices.lost() // ordering: a count
    }

    /// Where attempts are counted for the guard, if there is one.
    pub fn attempts(&self) -> Option<&Attempts> {
        self.0.attempts.as_ref()
    }

    /// Begins a change of flags that are in no plan: who, and why.
    pub fn change(&self, by: &str, why: &str) -> Changing<'_> {
        Changing::new(self, by, why)
    }

    /// Nothing is said about any flag any more: each is its default. The plan's flags are the stage's; what tests say and
    /// what is held stays.
    ///
    /// # Errors
    /// As for [`Changing::apply`].
    pub fn reset_all(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.change(&until, |state| Ok(state.reset(&self.0.shape, &who)))
    }

    /// Takes back what a decision said about flags of no plan, all of it or nothing: what was said before it is said
    /// again, as a decision of its own.
    ///
    /// # Errors
    /// It is not in the history, is one about stages or holds, or something else is said by now: then nothing is undone.
    /// Where the same was said once more since, that is undone, too. Otherwise as for [`Changing::apply`].
    pub fn undo(&self, version: u64, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.change(&until, |state| state.undone(&self.0.shape, version, &who))
    }

    /// Has somebody hear of each decision that is made from now on, in order, each once, as long as the subscription
    /// lives: from the courier, never under a lock and never on the thread of a reader. Without a courier it is a thread
    /// that decides, of this decision or of another one. One that panics is counted in the [`Status`] and hears of the
    /// next. Of decisions that are [forgotten](Self::untold) before they are told nobody hears.
    ///
    /// # Errors
    /// There are too many subscriptions.
    pub fn subscribe(
        &self,
        hear: impl Fn(&Arc<Change>) + Send + Sync + 'static,
    ) -> Result<Subscription, TooManySubscribers> {
        Subscription::new(&self.0, hear)
    }

    /// Goes on to the next stage. On return it is written down, where there is a file, and every switch is set.
    ///
    /// # Errors
    /// It is not the next one, a [check](Builder::ready_when) says that the program is not ready, or it is [too early](ChangeError::TooEarly) for it; another change was under way until the deadline, a rollback came in between, or it could
    /// not be written down. Nothing was changed.
    pub fn advance_to(&self, stage: usize, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let (inner, who) = (&self.0, self.0.who(by, why));
        let advanced = |state: &State| state.advanced(&inner.shape, stage, &who);
        // Nobody is asked about a stage that can't come; and in the role no users' code runs.
        let from = inner.state.load().stage;
        let changed = advanced(&inner.state.load())
            .and_then(|_| inner.ready.ask(stage))
            .and_then(|()| inner.change(&until, advanced));
        use ChangeError::{File, FileChanged, FileText, NotReady, Superseded};
        if let Err(error @ (NotReady { .. } | Superseded(_) | File(_) | FileChanged(_) | FileText(_))) = &changed {
            let (by, reason) = (Arc::clone(&who.by), error.to_string().into());
            inner.notices.add(Notice::Failed { from, to: stage, by, reason });
            inner.follow();
        }
        changed
    }

    /// Whether the program is ready for a stage: all [checks](Builder::ready_when) are asked, on this thread. Nothing is
    /// changed.
    ///
    /// # Errors
    /// [`ChangeError::NotReady`] names each that said no, and why.
    pub fn ready(&self, stage: usize) -> Result<(), ChangeError> {
        self.0.ready.ask(stage)
    }

    /// The next stage need not be waited for any longer: neither until the present one has been observed, nor until it has
    /// cooled down after a rollback. A decision of its own, so that who made it is on record.
    ///
    /// # Errors
    /// There is nothing to wait for, or as for [`advance_to`](Self::advance_to).
    pub fn early(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.change(&until, |state| state.early(&self.0.shape, &who))
    }

    /// Measures the figures from now on, window by window, until the baseline is [finished](Self::finish_baseline): what
    /// thresholds that are relative compare with. What was measured before stays in force until then. It goes on after a
    /// restart, where there is a file.
    ///
    /// # Errors
    /// There is nothing to measure, a baseline is under way already, or as for [`advance_to`](Self::advance_to).
    pub fn start_baseline(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        if self.0.monitor.is_none() {
            return Err(ChangeError::NoMeasures);
        }
        let who = self.0.who(by, why);
        self.0.change(&until, |state| state.baseline_started(&self.0.shape, &who))
    }

    /// What was measured since the [start](Self::start_baseline) is the baseline.
    ///
    /// # Errors
    /// None is under way, no window was over, or as for [`advance_to`](Self::advance_to).
    pub fn finish_baseline(&self, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.change(&until, |state| state.baseline_finished(&self.0.shape, &who))
    }

    /// The baseline that is in force.
    pub fn baseline(&self) -> Option<Arc<Baseline>> {
        self.0.state.load().baseline.clone()
    }

    /// The baseline that is under way.
    pub fn baseline_under_way(&self) -> Option<Arc<Baseline>> {
        self.0.state.load().measuring.clone()
    }

    /// Goes back to any lower stage, 0 included. The switches are set before anything is written; it waits for nobody, and
    /// what is being changed meanwhile is refused.
    ///
    /// # Errors
    /// The stage is not below the present one.
    pub fn rollback_to(&self, stage: usize, by: &str, why: &str) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.go_back(|state| state.rolled_back(&self.0.shape, stage, &who))
    }

    /// Turns all flags of the plan off, at once and always: before anything else, without a lock, without a disk, whatever
    /// is being changed, also when the universe has been stopped, from inside a handler, from many threads at once. What is
    /// being changed meanwhile is refused.
    ///
    /// Then the courier writes the file and tells the events. Where there is no courier, or none any more, or no room with
    /// it, the caller does so before this returns: with the switches set.
    pub fn emergency_rollback(&self, reason: &str) -> Arc<Change> {
        let who = self.0.who("emergency", reason);
        match self.0.go_back(|state| Ok::<_, std::convert::Infallible>(state.emergency(&self.0.shape, &who))) {
            Ok(change) => change,
        }
    }

    /// The selective rollback: the flag of the plan is off at any stage until it is [released](Self::release). As any
    /// rollback it waits for nobody.
    ///
    /// # Errors
    /// The flag is not the plan's, or old implementations are not to be gone back to.
    pub fn hold(&self, flag: &Flag, by: &str, why: &str) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.go_back(|state| state.holding(&self.0.shape, flag, true, &who))
    }

    /// The flag is what its stage says again.
    ///
    /// # Errors
    /// The flag is not the plan's, or as for [`advance_to`](Self::advance_to).
    pub fn release(&self, flag: &Flag, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        let who = self.0.who(by, why);
        self.0.change(&until, |state| state.holding(&self.0.shape, flag, false, &who))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl Inner {
    pub(crate) fn who(&self, by: &str, why: &str) -> Who {
        Who { by: by.into(), why: why.into(), at: self.clock.date(), now: self.clock.now() }
    }

    /// What a flag says that is not declared.
    #[cold]
    pub(crate) fn undeclared(&self, flag: &Flag) -> bool {
        self.undeclared.count();
        flag.default()
    }

    /// What a read for an id needs.
    #[inline]
    fn share(&self, number: usize) -> Share {
        // ordering: Acquire, pairs with the Release in `push`: the state of a share that asks for the rule, or a later
        // one, is found published.
        Share(self.shares[number].load(Ordering::Acquire))
    }

    /// Whether a flag is on for a target: by its share of all ids, or else by its rule.
    #[inline]
    pub(crate) fn is_on_for(&self, number: usize, target: &Target<'_>) -> bool {
        match self.share(number).of_all() {
            Some(share) => share_is_on(share, &self.shape.table.flags()[number], target.id),
            None => self.is_named_on(number, target),
        }
    }

    /// By its rule. Apart, so that a read that needs no rule is not longer for it.
    #[inline(never)]
    fn is_named_on(&self, number: usize, target: &Target<'_>) -> bool {
        self.state.peek().is_on_for(&self.shape, number, target)
    }

    /// Whether it is on, where its rule asks for nobody in particular.
    pub(crate) fn is_on_for_all(&self, number: usize) -> Option<bool> {
        let share = Share(self.shares[number].load(Ordering::Acquire)); // ordering: as in `is_on_for`
        match share.of_all()? {
            0 => Some(false),
            10_000 => Some(true),
            _ => None,
        }
    }

    /// What takes a risk: in the role, written down, and only if nothing came in between.
    pub(crate) fn change(
        self: &Arc<Self>,
        until: &Deadline,
        make: impl Fn(&State) -> Result<State, ChangeError>,
    ) -> Result<Arc<Change>, ChangeError> {
        self.desk.take(until)?;
        let role = Role(self);
        let before = self.state.load();
        let changed = make(&before).and_then(|after| {
            self.store.save(&self.shape, &after, For::Risk).and_then(|()| self.publish(&before, &after)).inspect_err(
                |error| {
                    if !matches!(error, ChangeError::FileChanged(_) | ChangeError::FileText(_)) {
                        // The file says what never was, or nobody knows what: what is published is written once more.
                        self.desk.note_behind();
                    }
                },
            )
        });
        drop(role);
        // Also where it was refused: it may have written what somebody else left a note about.
        self.follow();
        changed
    }

    /// What is written down is published, if nothing came in between.
    pub(crate) fn publish(&self, before: &Arc<State>, after: &State) -> Result<Arc<Change>, ChangeError> {
        if planted!("flags: published one by one") {
            let mut half = State::clone(before);
            half.epochs[0] = after.epochs[0];
            self.state.store(Arc::new(half));
        }
        if planted!("flags: pushed before it is published") {
            self.push(after);
        }
        let (_, after) = self.state.update(|now| {
            // Race "emergency against advance".
            if now.version != before.version && !planted!("flags: an advance is published over an emergency") {
                reached!("flags: a rollback came in between");
                return Err(ChangeError::Superseded(now.last()));
            }
            Ok(after.onto(now, &self.shape))
        })?;
        self.push(&after);
        Ok(after.last())
    }

    /// What goes back: published and pushed first, and the rest follows.
    fn go_back<E>(self: &Arc<Self>, make: impl Fn(&State) -> Result<State, E>) -> Result<Arc<Change>, E> {
        let change = self.publish_back(make)?;
        self.follow();
        Ok(change)
    }

    /// Publishes and pushes what goes back, before it takes any lock. It runs no user's code and waits for nobody.
    pub(crate) fn publish_back<E>(&self, make: impl Fn(&State) -> Result<State, E>) -> Result<Arc<Change>, E> {
        let (_, after) = self.state.update(make)?;
        self.push(&after);
        self.desk.note_behind();
        Ok(after.last())
    }

    /// Tells the switches; each takes the latest epoch, whoever brings it.
    pub(crate) fn push(&self, state: &State) {
        for (switches, epoch) in self.switches.iter().zip(&state.epochs) {
            switches.iter().for_each(|switch| _ = switch.push(*epoch));
        }
        for (share, Share(pushed)) in self.shares.iter().zip(&state.shares) {
            if planted!("flags: a late share wins") {
                share.store(*pushed, Ordering::Release); // ordering: planted
                continue;
            }
            // ordering: Release, pairs with the Acquire in `is_on_for`. The greatest stands.
            if share.fetch_max(*pushed, Ordering::Release) > *pushed {
                reached!("flags: a share came late");
            }
        }
        if let Some(attempts) = &self.attempts {
            attempts.stand_on(state.footing);
        }
        self.activity.bump();
    }

    /// Has the courier do what follows a decision: the file, if it is behind, and the events. Where there is no courier,
    /// or none any more, or no room with it, the caller does.
    pub(crate) fn follow(self: &Arc<Self>) {
        if let Err(errand) = self.errands.send(self.follow_up()) {
            errand();
        }
    }

    /// Which flags are to be gone by now.
    pub(crate) fn expired(&self) -> Vec<Flag> {
        let today = Date::of(self.clock.date());
        self.shape.table.flags().iter().copied().filter(|flag| flag.has_expired(today)).collect()
    }

    /// Has the courier tell of each flag that is to be gone by now, as of any decision.
    pub(crate) fn tell_expired(self: &Arc<Self>) {
        let expired = self.expired();
        if expired.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        let tell: Errand = Box::new(move || expired.iter().for_each(|flag| inner.events.expired(flag)));
        if let Err(errand) = self.errands.send(tell) {
            errand();
        }
    }

    /// The same for those who may not run it. `false`: nobody has taken it.
    pub(crate) fn follow_elsewhere(self: &Arc<Self>) -> bool {
        self.errands.send(self.follow_up()).is_ok()
    }

    fn follow_up(self: &Arc<Self>) -> Errand {
        let inner = Arc::clone(self);
        Box::new(move || {
            if inner.desk.take_if_behind() {
                drop(Role(&inner));
            }
            inner.tell_all();
            if let Some(monitor) = &inner.monitor {
                monitor.look();
            }
        })
    }

    /// Writes what is behind, and gives the role back.
    fn give_back(&self) {
        while !self.desk.give_back() {
            // A failure is kept, and told when the role is free: a handler may ask for it.
            _ = self.store.save(&self.shape, &self.state.load(), For::Published);
        }
    }

    /// Race "teller against teller".
    fn tell_all(&self) {
        {
            let mut teller = self.teller.lock();
            teller.again = true;
            if teller.running && !planted!("flags: two tell at once") {
                reached!("flags: somebody tells already");
                return;
            }
            teller.running = true;
        }
        loop {
            let told = {
                let mut teller = self.teller.lock();
                if !std::mem::take(&mut teller.again) {
                    teller.running = false;
                    return;
                }
                teller.told
            };
            self.notices.take().iter().for_each(|notice| self.events.notice(notice));
            self.store.take_news().iter().for_each(|news| self.events.file(news));
            let state = self.state.load();
            let forgotten = state.history.front().map_or(0, |oldest| oldest.version.saturating_sub(told + 1));
            self.untold.fetch_add(forgotten, Ordering::Relaxed); // ordering: a count
            for change in state.history.iter().filter(|change| change.version > told) {
                self.events.changed(self.shape.plan.as_ref(), change);
                self.subscribers.tell(change);
            }
            self.teller.lock().told = state.version;
        }
    }
}

/// The right to change something, for as long as this lives.
pub(crate) struct Role<'a>(pub(crate) &'a Arc<Inner>);

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl State {
    /// The last decision.
    fn last(&self) -> Arc<Change> {
        self.history.back().map(Arc::clone).expect("a decision was made, and the history keeps the last one")
    }
}

/// All flags at one moment. Its reads wait for nobody and allocate nothing.
#[derive(Clone)]
pub struct View {
    flags: Flags,
    state: Arc<State>,
}

impl View {
    /// Whether the flag was on; what it says by default if it is not declared.
    pub fn enabled(&self, flag: &Flag) -> bool {
        let inner = &self.flags.0;
        inner.shape.table.find(flag).map_or_else(|| inner.undeclared(flag), |number| self.state.is_on(number))
    }

    /// Whether the flag was on for who has this id.
    pub fn enabled_for(&self, flag: &Flag, id: &str) -> bool {
        self.enabled_for_target(flag, &Target::id(id))
    }

    /// Whether the flag was on for a target.
    pub fn enabled_for_target(&self, flag: &Flag, target: &Target<'_>) -> bool {
        let (inner, shape) = (&self.flags.0, &self.flags.0.shape);
        match shape.table.find(flag) {
            Some(number) => self.state.is_on_for(shape, number, target),
            None => inner.undeclared(flag),
        }
    }

    /// Whether the flag was on for a target, and which rule said so.
    pub fn explain(&self, flag: &Flag, target: &Target<'_>) -> Decision {
        let shape = &self.flags.0.shape;
        let undeclared = || Decision { on: flag.default(), by: By::Default };
        shape.table.find(flag).map_or_else(undeclared, |number| self.state.decide(shape, number, target))
    }

    /// What is said about a flag of no plan; `None` if it is not declared.
    pub fn rule(&self, flag: &Flag) -> Option<Arc<Rule>> {
        self.flags.0.shape.table.find(flag).map(|number| self.state.rule(number).to_rule())
    }

    /// The stage.
    pub fn stage(&self) -> usize {
        self.state.stage
    }

    /// How many decisions had been made.
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// All declared flags by name, in the order of their declaration, and whether they were on.
    pub fn all(&self) -> Vec<(&'static str, bool)> {
        let flags = self.flags.0.shape.table.flags().iter().enumerate();
        flags.map(|(number, flag)| (flag.name(), self.state.is_on(number))).collect()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<_> = self.all().into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
        write!(f, "Flags(version {}, stage {}, on: {on:?})", self.version(), self.stage())
    }
}
