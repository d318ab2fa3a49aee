//! Which of two implementations: pushed by whoever decides, never asked for.
//!
//! # Protocol
//! The word counts flips, and its lowest bit is the mode: odd is on. Whoever decides numbers its decisions, and the
//! numbers only grow; a push is one `fetch_max`. What was opened while the switch was off is counted, so that somebody
//! can tell when the last of it is gone.
//!
//! Named races:
//! - *late push*: two decisions reach the switch in the wrong order. The greater number stands.
//! - *flip against guard*: the switch is turned on between a guard's look at it and its entry in the count. It looks
//!   again after it has counted itself: either it sees the flip and starts over, or whoever flipped finds it counted.

use std::{fmt, sync::Arc};

use crate::{
    atomic::{AtomicU64, AtomicUsize, Ordering},
    fence, planted, reached,
};

/// How often a switch was flipped, and with that the mode: a number that only grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Never flipped, and off.
    pub const OFF: Self = Self(0);
    /// Never flipped, and on.
    pub const ON: Self = Self(1);

    /// Whether the switch is on in this epoch.
    pub const fn is_on(self) -> bool {
        self.0 & 1 == 1
    }

    /// The next epoch: the other mode.
    #[must_use]
    pub const fn flipped(self) -> Self {
        Self(self.0 + 1)
    }

    /// This epoch, or the next one if the mode is to be another.
    #[must_use]
    pub const fn turned(self, on: bool) -> Self {
        if self.is_on() == on { self } else { self.flipped() }
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", if self.is_on() { "on" } else { "off" }, self.0)
    }
}

/// A mode, on or off, that a service reads and somebody else pushes. A clone is another handle to the same switch.
///
/// Reading it is one load. It lives as long as anybody holds it: if whoever decides is gone, it stays as it is.
///
/// ```
/// use foundation_sync::Switch;
///
/// let switch = Switch::off();
/// let guard = switch.enter();
/// switch.push(switch.epoch().turned(true));
/// assert!(switch.is_on() && !guard.was_on(), "a guard remembers the mode it was opened in");
/// assert_eq!((guard.overtaken(), switch.off_guards()), (true, 1));
/// drop(guard);
/// assert_eq!(switch.off_guards(), 0, "nothing of the old mode is left");
/// ```
#[derive(Clone)]
pub struct Switch(Arc<Inner>);

struct Inner {
    flips: AtomicU64,
    off_guards: AtomicUsize,
}

impl Default for Switch {
    /// On.
    fn default() -> Self {
        Self::at(Epoch::ON)
    }
}

impl Switch {
    /// A switch that is on.
    pub fn on() -> Self {
        Self::at(Epoch::ON)
    }

    /// A switch that is off.
    pub fn off() -> Self {
        Self::at(Epoch::OFF)
    }

    /// A switch in this epoch.
    pub fn at(epoch: Epoch) -> Self {
        Self(Arc::new(Inner { flips: AtomicU64::new(epoch.0), off_guards: AtomicUsize::new(0) }))
    }

    /// Whether this is a handle to the same switch.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it is on: one load.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.epoch().is_on()
    }

    /// The mode, and which flip brought it.
    #[inline]
    pub fn epoch(&self) -> Epoch {
        // ordering: Acquire, pairs with the Release in `push`: who sees a flip sees what was done before it.
        Epoch(self.0.flips.load(Ordering::Acquire))
    }

    /// Moves the switch on to this epoch. `false`: it was there already, or further on. In whatever order epochs arrive,
    /// the latest stands: race "late push". Waits for nobody.
    pub fn push(&self, epoch: Epoch) -> bool {
        if planted!("switch: a late push wins") {
            self.0.flips.store(epoch.0, Ordering::Release); // ordering: planted
            return true;
        }
        // ordering: AcqRel, pairs with the Acquire in `epoch`.
        let before = self.0.flips.fetch_max(epoch.0, Ordering::AcqRel);
        // ordering: SeqCst, pairs with the fence in `enter`: race "flip against guard".
        fence(Ordering::SeqCst);
        if before > epoch.0 {
            reached!("switch: a push came late");
        }
        before < epoch.0
    }

    /// Opens something that remembers the mode it was opened in, however often the switch is flipped meanwhile. Free
    /// but for a load while it is on; counted while it is off.
    pub fn enter(&self) -> Guard {
        loop {
            let epoch = self.epoch();
            if epoch.is_on() {
                return Guard { epoch, switch: None, counted: false };
            }
            // ordering: SeqCst, the fence orders it before the second look: race "flip against guard".
            self.0.off_guards.fetch_add(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let guard = Guard { epoch, switch: Some(self.clone()), counted: true };
            if self.epoch() == epoch || planted!("switch: a guard looks once") {
                return guard;
            }
            reached!("switch: flipped before the guard was counted");
        }
    }

    /// The same, not counted: for what ends by itself as time goes by, and is closed by nobody.
    pub fn remember(&self) -> Guard {
        let epoch = self.epoch();
        Guard { epoch, switch: Some(self.clone()).filter(|_| !epoch.is_on()), counted: false }
    }

    /// How many guards are open that were opened while it was off. Once it is on and this is 0, nothing of the old mode
    /// is left, until it is turned off again. It never counts too few; for a moment it may count one that is not opened.
    pub fn off_guards(&self) -> usize {
        // ordering: SeqCst, pairs with the fence in `enter`: race "flip against guard".
        fence(Ordering::SeqCst);
        self.0.off_guards.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switch({:?})", self.epoch())
    }
}

/// Something that was opened in one mode of a [`Switch`], and is closed by being dropped.
#[must_use = "dropped, it is closed"]
pub struct Guard {
    epoch: Epoch,
    /// The switch, if it was off.
    switch: Option<Switch>,
    counted: bool,
}

impl Guard {
    /// The mode it was opened in.
    pub fn was_on(&self) -> bool {
        self.epoch.is_on()
    }

    /// Whether it was opened while the switch was off, and the switch has been on since: it may be off again.
    pub fn overtaken(&self) -> bool {
        self.switch.as_ref().is_some_and(|switch| switch.epoch() != self.epoch)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(switch) = self.switch.as_ref().filter(|_| self.counted) {
            // ordering: SeqCst, the other half of the increment.
            switch.0.off_guards.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({:?})", self.epoch)
    }
}
