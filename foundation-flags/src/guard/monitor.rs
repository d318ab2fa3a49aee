//! The figures of a migration, measured and judged once per window.
//!
//! # Protocol
//! A window belongs to a *footing*, the last decision about the plan's flags. It has two ends: at each the sources are
//! read. At the second one the figures are what was read since the first, and they are judged. A decision about the plan
//! begins a new window, whatever the old one has been so far.
//!
//! The timekeeper says when a window is over; it runs no user's code. The sources are users' closures: an errand reads
//! them on the courier, judges, and where a figure says so, rolls the stage back, if its footing is still the present
//! one. When the errand has ended, or was dropped, the next window begins: one errand at a time, and none is waited for
//! in vain.
//!
//! Named races:
//! - *judgement across stages*: the stage changes while the sources are read. What was read is of no stage: it judges
//!   none, is told of none, and is shown of none.
//! - *second beginning*: two decisions are made before the courier opens a window for the first. It is the second's
//!   already; what follows the second finds it open, and leaves it so: only a timer ends a window.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use foundation_sync::{
    Agenda, MODEL, Mutex, Nanos, SECOND, Serial, Timekeeper, TimerId, Turn, payload, planted, reached,
};

use super::{
    judge::{Verdict, judge},
    let_go,
    reading::{Measured, Memory, Reading},
    thresholds::{Level, Thresholds},
};
use crate::{Alert, Baseline, flags::Inner, notices::Notice, state::State};

type Source = dyn Fn() -> Reading + Send + Sync;

/// Who measures what.
#[derive(Clone, Default)]
pub(crate) struct Sources(Vec<(&'static str, Arc<Source>)>);

impl Sources {
    /// The last one of a figure stands.
    pub(crate) fn add(&mut self, figure: &'static str, read: impl Fn() -> Reading + Send + Sync + 'static) {
        self.0.retain(|(other, _)| *other != figure);
        self.0.push((figure, Arc::new(read)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Users' code.
    fn read(&self) -> Vec<(&'static str, Reading)> {
        let read = |(figure, source): &(&'static str, Arc<Source>)| {
            let reading = catch_unwind(AssertUnwindSafe(|| source())).unwrap_or_else(|panic| {
                let text = format!("it panicked: {}", payload::text(&*panic));
                payload::forget(panic);
                Reading::Nothing(text.into())
            });
            (*figure, reading)
        };
        self.0.iter().map(read).collect()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(figure, _)| figure)).finish()
    }
}

/// What measures and judges.
pub(crate) struct Monitor {
    thresholds: Thresholds,
    sources: Sources,
    book: Mutex<Book>,
    watch: Serial<Watch>,
}

/// What is remembered from one window to the next.
#[derive(Default)]
struct Book {
    /// Of the window that is open, and when it was opened.
    open: Option<(Footing, Nanos)>,
    memories: BTreeMap<&'static str, Memory>,
    /// The decision on which what was found stands: it is shown, and goes on, while that is the last one.
    found_on: u64,
    levels: BTreeMap<&'static str, Level>,
    verdicts: Vec<Verdict>,
    alerts: VecDeque<Alert>,
    alerts_forgotten: u64,
}

/// How many alerts are remembered.
const REMEMBERED: usize = 256;
/// No window is shorter: measuring must not be all that timekeeper and courier do.
const LEAST: Nanos = 1_000_000;

/// On what a window stands: the last decision about the plan's flags, and the baseline that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footing {
    decision: u64,
    baseline: Option<u64>,
    /// Whether figures are judged: stages of a migration that is monitored.
    judged: bool,
}

impl Monitor {
    pub(crate) fn new(thresholds: Thresholds, sources: Sources, flags: &Weak<Inner>, keeper: &Timekeeper) -> Self {
        let watch = Watch {
            flags: Weak::clone(flags),
            keeper: keeper.clone(),
            // In models no time passes.
            window: if MODEL { nanos(thresholds.window) } else { nanos(thresholds.window).max(LEAST) },
            standing: None,
            number: 0,
            timer: None,
            measuring: false,
            again: false,
            refused: None,
            due: End::Ends,
        };
        Self { thresholds, sources, book: Mutex::default(), watch: Serial::new(watch, keeper) }
    }

    /// A decision was made: another window may have to begin.
    pub(crate) fn look(&self) {
        self.watch.push(News::Look);
    }

    /// What was found in the last window; nothing while nothing is judged, and before the first window of a stay is over.
    pub(crate) fn verdicts(&self, inner: &Inner) -> Vec<Verdict> {
        let Some(footing) = inner.footing().filter(|footing| footing.judged) else { return Vec::new() };
        let book = self.book.lock();
        if book.found_on == footing.decision { book.verdicts.clone() } else { Vec::new() }
    }

    /// The last alerts, the oldest first, and how many are not remembered any more.
    pub(crate) fn alerts(&self) -> (Vec<Alert>, u64) {
        let book = self.book.lock();
        (book.alerts.iter().cloned().collect(), book.alerts_forgotten)
    }

    /// An end of a window. It runs users' code.
    fn measure(&self, inner: &Arc<Inner>, end: End) {
        let now = || inner.clock.now();
        let Some(footing) = inner.footing() else { return };
        if end == End::Begins && self.book.lock().open.is_some_and(|(open, _)| open == footing) {
            reached!("monitor: the window has been opened already");
            return;
        }
        let readings = self.sources.read();
        let Some(measured) = self.close(footing, readings, now()) else { return };
        if let Some(number) = footing.baseline {
            let samples: Vec<_> =
                measured.iter().filter_map(|(figure, it)| Some((*figure, *it.as_ref().ok()?))).collect();
            // Race "judgement across stages".
            let of_this = |state: &State| state.sampled(number, &samples).filter(|_| state.footing == footing.decision);
            let sampled = inner.state.update(|state| of_this(state).ok_or(()));
            if sampled.is_ok() && inner.store.is_kept() {
                inner.desk.note_behind();
            }
        }
        if footing.judged {
            self.act(inner, footing, &measured);
        }
        inner.follow();
    }

    /// What was measured in the window that ends now; `None` if it was not this footing's. A new one begins.
    fn close(
        &self,
        footing: Footing,
        readings: Vec<(&'static str, Reading)>,
        now: Nanos,
    ) -> Option<Vec<(&'static str, Measured)>> {
        let mut book = self.book.lock();
        let before = book.open.replace((footing, now));
        let window = before.filter(|(other, _)| *other == footing).map(|(_, opened)| now.saturating_sub(opened));
        if window.is_none() {
            book.memories.clear();
        }
        let measured = readings.into_iter().map(|(figure, reading)| {
            let memory = book.memories.entry(figure).or_default();
            (figure, memory.measured(reading, self.thresholds.unit_of(figure), now, window.unwrap_or(0)))
        });
        let measured: Vec<_> = measured.collect();
        window.map(|_| measured)
    }

    fn judge(&self, measured: &[(&'static str, Measured)], state: &State) -> Vec<Verdict> {
        let nobody: Measured = Err("nobody measures it".into());
        let of = |figure: &str| measured.iter().find(|(other, _)| *other == figure).map_or(&nobody, |(_, it)| it);
        let judge = |it| judge(it, of(it.figure), state.baseline_of(it.figure));
        self.thresholds.list.iter().map(judge).collect()
    }

    /// Race "judgement across stages".
    fn act(&self, inner: &Inner, footing: Footing, measured: &[(&'static str, Measured)]) {
        let of_another = |state: &State| {
            state.footing != footing.decision && !planted!("monitor: judges a stage by another's figures")
        };
        let state = inner.state.load();
        if of_another(&state) {
            reached!("monitor: the stage has changed while it was read");
            return;
        }
        let verdicts = self.judge(measured, &state);
        let worst = verdicts.iter().filter(|verdict| verdict.level == Level::RollBack).map(Verdict::reason);
        let reasons = worst.collect::<Vec<_>>().join("; ");
        if !reasons.is_empty() {
            let by = format!("guard {}", self.thresholds.name);
            let rolled_back = inner.publish_back((&by, &reasons), |state, who| {
                if of_another(state) {
                    reached!("monitor: the stage has changed meanwhile");
                    return Err(());
                }
                state.rolled_back(&inner.shape, state.stage.saturating_sub(1), who).map_err(drop)
            });
            if rolled_back.is_err() {
                return;
            }
        }
        let at = inner.clock.date();
        let crossed: Vec<_> = {
            let mut book = self.book.lock();
            if std::mem::replace(&mut book.found_on, footing.decision) != footing.decision {
                book.levels.clear();
            }
            let mut crossed = Vec::new();
            for verdict in verdicts.iter().filter(|verdict| verdict.value.is_ok()) {
                let before = book.levels.insert(verdict.figure, verdict.level).unwrap_or_default();
                if verdict.level >= Level::Alert && before < Level::Alert {
                    crossed.push(verdict.clone());
                    book.alerts.push_back(Alert { at, stage: state.stage, verdict: verdict.clone() });
                }
            }
            while book.alerts.len() > REMEMBERED {
                book.alerts.pop_front();
                book.alerts_forgotten += 1;
            }
            book.verdicts = verdicts;
            crossed
        };
        for verdict in crossed {
            let reason = verdict.reason().into();
            let (Ok(value), Some(limit)) = (verdict.value, verdict.limit) else { continue };
            let figure = verdict.figure.into();
            inner.notices.add(Notice::Alert { figure, level: verdict.level, value, limit, stage: state.stage, reason });
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Monitor({})", self.thresholds.name)
    }
}

impl Inner {
    /// On what a window stands now; `None`: nothing is measured.
    fn footing(&self) -> Option<Footing> {
        let state = self.state.load();
        let baseline = state.measuring.as_deref().map(|Baseline { version, .. }| *version);
        let monitored = self.shape.plan.as_ref().is_some_and(|plan| self.shape.says_all(&state, plan.monitored_by));
        let judged = monitored && state.stage > 0;
        (judged || baseline.is_some()).then_some(Footing { decision: state.footing, baseline, judged })
    }
}

/// Which end of a window the courier is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Only the first one: a window of this footing that is open stays so.
    Begins,
    /// Its time is over.
    Ends,
}

enum News {
    Look,
    /// The window of this number is over.
    Due(u64),
    /// An errand has ended.
    Done,
}

/// Says when to measure.
struct Watch {
    flags: Weak<Inner>,
    keeper: Timekeeper,
    window: Nanos,
    standing: Option<Footing>,
    /// Of the last timer.
    number: u64,
    timer: Option<TimerId>,
    measuring: bool,
    again: bool,
    /// What the courier had no room for.
    refused: Option<End>,
    /// What the timer is set for.
    due: End,
}

impl Watch {
    /// Has the courier read the sources, now.
    fn measure(&mut self, me: &Serial<Self>, inner: &Arc<Inner>, end: End) {
        if std::mem::replace(&mut self.measuring, true) {
            self.again = true;
            return;
        }
        let (done, flags) = (Done(me.clone()), Arc::downgrade(inner));
        let errand = Box::new(move || {
            let _done = done;
            if let Some(inner) = flags.upgrade()
                && let Some(monitor) = &inner.monitor
            {
                monitor.measure(&inner, end);
            }
        });
        // Dropped, it is done, too: what it says waits for its turn.
        self.refused = inner.errands.send(errand).is_err().then_some(end);
    }

    fn set_timer(&mut self, me: &Serial<Self>) {
        let refused = self.refused.take();
        let span = if refused.is_some() { self.window.min(nanos(SECOND)) } else { self.window };
        self.due = refused.unwrap_or(End::Ends);
        self.number += 1;
        let at = self.keeper.clock().now().saturating_add(span);
        self.timer = Some(self.keeper.set(at, me, News::Due(self.number)));
    }

    fn cancel(&mut self) {
        self.number += 1;
        if let Some(timer) = self.timer.take() {
            self.keeper.cancel(timer);
        }
    }
}

impl Turn for Watch {
    type Event = News;

    fn turn(&mut self, me: &Serial<Self>, news: News, _: &mut Agenda) {
        let Some(inner) = self.flags.upgrade() else { return };
        self.heed(me, news, &inner);
        let_go(inner);
    }

    fn broken(&mut self, me: &Serial<Self>, panic: Box<dyn std::any::Any + Send>, _: &mut Agenda) {
        payload::forget(panic);
        self.set_timer(me);
    }
}

impl Watch {
    fn heed(&mut self, me: &Serial<Self>, news: News, inner: &Arc<Inner>) {
        match news {
            News::Look => {
                let standing = inner.footing();
                if standing != self.standing {
                    self.standing = standing;
                    self.cancel();
                    if standing.is_some() {
                        self.measure(me, inner, End::Begins);
                    }
                }
            }
            News::Due(number) if number == self.number => {
                self.timer = None;
                self.measure(me, inner, self.due);
            }
            News::Due(_) => {}
            News::Done => {
                self.measuring = false;
                if self.standing.is_none() {
                    self.again = false;
                } else if std::mem::take(&mut self.again) {
                    self.measure(me, inner, End::Begins);
                } else {
                    self.cancel();
                    self.set_timer(me);
                }
            }
        }
    }
}

/// Says so when the errand has ended, however.
struct Done(Serial<Watch>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.push(News::Done);
    }
}

fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)
}
