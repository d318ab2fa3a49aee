//! Old and new side by side: the old one answers, and the new one is looked at.
//!
//! # Protocol
//! The old one runs first, and what it answers, or panics with, is what the caller gets. Then the new one runs inside a
//! catch, and so does all that is a user's and would not run without a shadow: the equality, `Debug`, copies, destructors.
//! What came of it is counted, and kept (`tally.rs`).
//!
//! Why the old one first: its effects are there when they would be without a shadow, and its answer is safe before
//! anything of the new one is begun. Why on one thread: the new one needs no `Send`, borrows what the old one borrows, and
//! the two are measured under one load. The caller pays for both; who may not runs the new one later (`later.rs`).

mod caught;
mod later;
mod numbers;
mod report;
mod tally;
mod told;

use std::{
    fmt::{self, Debug},
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use foundation_context::{self as context, fields};
use foundation_sync::{Errands, Nanos};

use crate::{Flag, Flags, Gate};
use caught::{caught, cut, shown};
use tally::Tally;

pub use report::{Finding, ShadowReport, ShadowSample};
pub(crate) use told::{ALL, Told};
pub use told::{SHADOW_DIFFERENT, SHADOW_PANICKED};

/// How many samples are kept, unless it is said otherwise.
const SAMPLES: usize = 32;
/// How many bytes of an answer's text are kept, unless it is said otherwise.
const TEXT: usize = 512;

/// Runs an old and a new implementation side by side for a share of the calls: the old one's answer is returned, and how
/// the new one's differs is counted, sampled and told. A clone is another handle.
///
/// The flag decides which calls: [on](crate::Changing::on) is all of them; by a percentage the same ids are always chosen,
/// and calls without an id are chosen one by one. Any other call costs the reading of the flag; by a percentage a call
/// without an id is counted, too, and its number hashed. Of a call that is chosen:
///
/// - the old one runs first, and its answer or its panic goes to the caller as if there were nothing else;
/// - then the new one runs, with `shadow: <the flag's name>` in its context, so what it logs and emits can be told apart. It
///   must have no effect that the old one's callers would notice, such as a second payment;
/// - a panic of it is counted and goes no further, and so is one of the equality, of `Debug`, of an answer's destructor,
///   and of the panic's own payload. (The process's panic hook hears of each.) What ends a process, or never returns,
///   does so;
/// - both are measured by the clock of the flags.
///
/// A new one that never returns keeps its caller, as an old one that never returns would. Who can't have that runs it
/// [later](Self::later), on a thread that may be lost.
///
/// A difference is kept with the text of both answers by their `Debug`: the newest 32, each cut to 512 bytes; those that
/// made room are counted. It is told as an event, [`SHADOW_DIFFERENT`] or [`SHADOW_PANICKED`]: of each kind and flag once
/// per second at most, as [`Emitter::emit_once_per`](foundation_telemetry::Emitter::emit_once_per) counts it, on the thread
/// that compares, so a slow handler is the caller's to wait for. Two shadows of one flag share that second: give each a flag
/// of its own. No call waits here for another thread.
///
/// It takes up to 58 KiB for each of at most eight threads and each of the two, for the durations.
///
/// ```
/// use foundation_flags::{Flag, Flags, Shadow};
///
/// const PRICE_SHADOW: Flag = Flag::on("price_shadow");
///
/// let flags = Flags::builder().flag(&PRICE_SHADOW).start()?;
/// let prices = Shadow::new(&flags, &PRICE_SHADOW, |old: &u32, new: &u32| old == new);
///
/// let price = |items: u32| prices.run(|| items * 20, || items * 20 - items / 10);
/// assert_eq!((price(3), price(12)), (60, 240), "what the old one says");
///
/// let report = prices.report();
/// assert_eq!((report.equal, report.different), (1, 1));
/// assert_eq!((&*report.samples[0].old, &*report.samples[0].new), ("240", "239"));
/// # Ok::<(), foundation_flags::StartError>(())
/// ```
#[must_use = "a shadow compares nothing until it runs something"]
pub struct Shadow<O, N = O> {
    flags: Flags,
    gate: Gate,
    same: Arc<Same<O, N>>,
    samples: usize,
    text: usize,
    /// Who runs the new one later, and how many calls may wait for that; `None`: the caller does, at once.
    away: Option<(Errands, usize)>,
    tally: Arc<Tally>,
}

type Same<O, N> = dyn Fn(&O, &N) -> bool + Send + Sync;

impl<O, N> Shadow<O, N> {
    /// A shadow whose share this flag decides. `same` says whether two answers are as good as equal; for `==` it is
    /// `PartialEq::eq`.
    pub fn new(flags: &Flags, flag: &Flag, same: impl Fn(&O, &N) -> bool + Send + Sync + 'static) -> Self {
        Self {
            flags: flags.clone(),
            gate: flags.gate(flag),
            same: Arc::new(same),
            samples: SAMPLES,
            text: TEXT,
            away: None,
            tally: Arc::default(),
        }
    }

    /// Keeps so many samples, the newest; with 0 no more are kept, and their texts are made only for who listens to events.
    ///
    /// The samples are the shadow's, the limit is this handle's: who finds more samples than its handle keeps lets the
    /// older ones go.
    pub fn samples(mut self, most: usize) -> Self {
        self.samples = most;
        self
    }

    /// Keeps and tells so many bytes of each answer's text, of what is found by this handle and those cloned of it.
    pub fn text(mut self, bytes: usize) -> Self {
        self.text = bytes;
        self
    }

    /// Who runs the new implementation of [`run_later`](Self::run_later), and how many calls may wait for that; what finds
    /// no room is dropped and counted. Unless it is said the calling thread does, at once. It is said for this handle and
    /// those cloned of it; the places are the shadow's.
    ///
    /// A new one that never returns takes with it whoever runs these errands, and all that waits behind it. So let them be a
    /// thread's that does nothing else, and not a universe's courier: there the files of decisions, queued handlers and
    /// crash reports would wait behind it for ever, and what is left at a stop is run before the universe ends.
    pub fn later(mut self, errands: &Errands, places: usize) -> Self {
        self.away = Some((errands.clone(), places));
        self
    }

    /// What has come of it so far.
    pub fn report(&self) -> ShadowReport {
        self.tally.report(self.gate.flag().name())
    }

    /// Whether this call is chosen: one without an id for itself, by its number.
    #[inline]
    fn chosen(&self, id: Option<&str>) -> bool {
        match id {
            Some(id) => self.gate.enabled_for(id),
            None => self.gate.enabled_for_all().unwrap_or_else(|| self.chosen_by_number()),
        }
    }

    /// By the bucket of a text that is another one for each number.
    fn chosen_by_number(&self) -> bool {
        let number = self.tally.number();
        let mut letters = [b'a'; 16];
        letters.iter_mut().enumerate().for_each(|(at, letter)| *letter += (number >> (4 * at) & 15) as u8);
        self.gate.enabled_for(std::str::from_utf8(&letters).expect("letters from a to p"))
    }
}

impl<O: Debug, N: Debug> Shadow<O, N> {
    /// Runs the old one, and if the call is chosen the new one after it. Returns what the old one answers.
    ///
    /// # Panics
    /// The old one panics: with what it panics with. The new one is not run then.
    #[inline]
    pub fn run(&self, old: impl FnOnce() -> O, new: impl FnOnce() -> N) -> O {
        self.run_if(self.chosen(None), None, old, new)
    }

    /// The same for the call of this id, such as an order's or a user's: by a percentage it is chosen always or never.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[inline]
    pub fn run_for(&self, id: &str, old: impl FnOnce() -> O, new: impl FnOnce() -> N) -> O {
        self.run_if(self.chosen(Some(id)), Some(id), old, new)
    }

    #[inline]
    fn run_if(&self, chosen: bool, id: Option<&str>, old: impl FnOnce() -> O, new: impl FnOnce() -> N) -> O {
        if chosen { self.run_both(id, old, new) } else { self.run_old(old, new) }
    }

    /// What is not run has destructors, too: they can't come between the old one's answer and the caller.
    #[inline]
    fn run_old<F>(&self, old: impl FnOnce() -> O, new: F) -> O {
        if mem::needs_drop::<F>() {
            self.discard(new);
        }
        old()
    }

    // A call, so that one that is not chosen sets up no frame for all this.
    #[inline(never)]
    fn run_both(&self, id: Option<&str>, old: impl FnOnce() -> O, new: impl FnOnce() -> N) -> O {
        let (answer, took, new) = self.answer(old, new);
        self.look(id, &answer, took, new);
        answer
    }

    /// The old one, as if it were alone: its answer, and what it took. What is to be run after it comes back.
    fn answer<F>(&self, old: impl FnOnce() -> O, new: F) -> (O, Nanos, F) {
        let clock = &self.flags.0.clock;
        let began = clock.now();
        match catch_unwind(AssertUnwindSafe(old)) {
            Ok(answer) => (answer, clock.now().saturating_sub(began), new),
            Err(payload) => {
                self.tally.old_panicked();
                self.discard(new);
                resume_unwind(payload)
            }
        }
    }

    /// The new one, and what comes of it. Whatever that is, it ends here.
    fn look(&self, id: Option<&str>, old: &O, old_took: Nanos, new: impl FnOnce() -> N) {
        let clock = &self.flags.0.clock;
        let timed = || {
            let began = clock.now();
            (new(), clock.now().saturating_sub(began))
        };
        let ran = caught(self.text, || context::with(fields! { shadow: self.gate.flag().name() }, timed));
        let new_took = ran.as_ref().ok().map(|(_, took)| *took);
        let found = ran.and_then(|(new, took)| {
            self.tally.took(old_took, took);
            let found = match caught(self.text, || (self.same)(old, &new)) {
                Ok(true) => None,
                // Nobody sees what is not shown.
                Ok(false) => {
                    Some((Finding::Different, self.is_seen(Finding::Different).then(|| shown(&new, self.text))))
                }
                Err(said) => Some((Finding::ComparePanicked, self.is_seen(Finding::ComparePanicked).then_some(said))),
            };
            caught(self.text, || drop(new)).map(|()| found)
        });
        let (finding, new) = match found {
            Ok(None) => return self.tally.equal(),
            Ok(Some(found)) => found,
            Err(said) => (Finding::NewPanicked, self.is_seen(Finding::NewPanicked).then_some(said)),
        };
        self.note(finding, id, (old, old_took), (new, new_took));
    }

    /// Counts a finding; if anybody sees it, with what is said of the new one.
    fn note(
        &self,
        finding: Finding,
        id: Option<&str>,
        (old, old_took): (&O, Nanos),
        (new, new_took): (Option<Arc<str>>, Option<Nanos>),
    ) {
        let Some(new) = new else { return self.tally.unseen(finding) };
        self.found(ShadowSample {
            finding,
            at: self.flags.0.clock.date(),
            id: id.map(|id| cut(id, self.text)),
            old: shown(old, self.text),
            new,
            old_took: Duration::from_nanos(old_took),
            new_took: new_took.map(Duration::from_nanos),
        });
    }

    /// Whether anybody would see what such a finding looks like.
    fn is_seen(&self, finding: Finding) -> bool {
        self.samples > 0 || self.flags.0.events.shadow.heard(finding)
    }

    fn found(&self, sample: ShadowSample) {
        let sample = Arc::new(sample);
        let count = self.tally.found(&sample, self.samples);
        self.flags.0.events.shadow.tell(self.gate.flag().name(), &sample, count);
    }
}

impl<O, N> Shadow<O, N> {
    /// Drops what is a user's and would not be there without a shadow.
    fn discard<T>(&self, theirs: T) {
        if caught(self.text, || drop(theirs)).is_err() {
            self.tally.drop_panicked();
        }
    }
}

impl<O, N> Clone for Shadow<O, N> {
    fn clone(&self) -> Self {
        Self {
            flags: self.flags.clone(),
            gate: self.gate.clone(),
            same: Arc::clone(&self.same),
            away: self.away.clone(),
            tally: Arc::clone(&self.tally),
            ..*self
        }
    }
}

impl<O, N> Debug for Shadow<O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shadow({})", self.gate.flag().name())
    }
}
