//! The flags of one universe, and how they are read.
//!
//! One immutable state is published; who loads it has a complete view. Of each flag two words are pushed besides, for reads
//! that need no more: whether it is on, and of how many ids. How decisions are made is told in `decisions.rs`.

use std::{fmt, sync::Arc};

use foundation_sync::{
    Activity, Clock, Deadline, Errands, Mutex, Snapshot, Switch,
    atomic::{AtomicU64, Ordering},
};
use foundation_telemetry::Tally;

use crate::{
    Attempts, Builder, Change, ChangeError, Changing, Date, Explanation, Flag, Gate, MigrationPlan, Report, Status,
    Subscription, Target, TooManySubscribers, View,
    desk::Desk,
    events::Events,
    guard::Monitor,
    notices::Notices,
    ready::Checks,
    rules::share_is_on,
    state::{Shape, Share, State},
    store::Store,
    subscribers::Subscribers,
    telling::Teller,
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
    pub(crate) undeclared: Tally,
    pub(crate) attempts: Option<Attempts>,
    pub(crate) monitor: Option<Monitor>,
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

    /// Whether the flag is on for who has this id. See [`Rule`](crate::Rule) for the order in which rules decide.
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
    pub fn explain(&self, flag: &Flag, target: &Target<'_>) -> Explanation {
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
        self.0.change((by, why), &until, |state, who| Ok(state.reset(&self.0.shape, who)))
    }

    /// Takes back what a decision said about flags of no plan, all of it or nothing: what was said before it is said
    /// again, as a decision of its own.
    ///
    /// # Errors
    /// It is not in the history, is one about stages or holds, or something else is said by now: then nothing is undone.
    /// Where the same was said once more since, that is undone, too. Of a reload what is written down is undone: what the
    /// environment says above it stays. What the environment had said before a decision is said again at run time, and so
    /// written down. Otherwise as for [`Changing::apply`].
    pub fn undo(&self, version: u64, by: &str, why: &str, until: Deadline) -> Result<Arc<Change>, ChangeError> {
        self.0.change((by, why), &until, |state, who| state.undone(&self.0.shape, version, who))
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
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl Inner {
    /// What a flag says that is not declared.
    #[cold]
    pub(crate) fn undeclared(&self, flag: &Flag) -> bool {
        self.undeclared.add();
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
        match self.share(number).of_all()? {
            0 => Some(false),
            10_000 => Some(true),
            _ => None,
        }
    }
}
