//! Samplings that go by how many come per second.

use foundation_sync::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// Into how many parts a second is divided.
const PARTS: u64 = 64;

/// How many have passed in each part of the last second, and in the one that runs. So at most one part more than a second
/// is looked at, and never less: no second has too many, and at worst one passes 16 milliseconds late.
pub(super) struct Sliding {
    most: u64,
    /// The second, the part of it that runs and those before, by their number modulo their count.
    passed: [u32; PARTS as usize + 1],
    part: u64,
    sum: u64,
}

impl Sliding {
    pub(super) fn new(most: u32) -> Self {
        Self { most: most.into(), passed: [0; PARTS as usize + 1], part: 0, sum: 0 }
    }

    pub(super) fn passes(&mut self, now: Nanos) -> bool {
        // In 128 bits: the product may exceed 64.
        let part = (u128::from(now) * u128::from(PARTS) / u128::from(SECOND)) as u64;
        // What is so long ago that nothing is left of it needs no more steps than there are parts.
        let first = (self.part + 1).max(part.saturating_sub(PARTS));
        for left in first..=part {
            let cell = &mut self.passed[(left % (PARTS + 1)) as usize];
            self.sum -= u64::from(std::mem::take(cell));
        }
        self.part = self.part.max(part);
        let passes = self.sum < self.most;
        if passes {
            self.passed[(self.part % (PARTS + 1)) as usize] += 1;
            self.sum += 1;
        }
        passes
    }
}

/// A probability that follows how many come. It is computed from what *came*, never from what passed: so neither none nor
/// all is a state that it can't leave.
pub(super) struct Adaptive {
    target: f64,
    /// How many come per second, as far as is known.
    rate: Option<f64>,
    /// When the second that runs has begun.
    began: Option<Nanos>,
    seen: u64,
    passed: u64,
}

/// How many must have come for a second to be believed at once.
const PLENTY: f64 = 16.0;
/// How much one second counts among those before.
const WEIGHT: f64 = 0.25;

impl Adaptive {
    pub(super) fn new(target: u32) -> Self {
        Self { target: target.into(), rate: None, began: None, seen: 0, passed: 0 }
    }

    /// With which probability one passes.
    pub(super) fn rate(&self) -> f64 {
        match self.rate {
            Some(rate) if rate > self.target => self.target / rate,
            _ if self.target == 0.0 => 0.0,
            _ => 1.0,
        }
    }

    /// With which probability it passed, if it does.
    pub(super) fn passes(&mut self, now: Nanos, draw: u64) -> Option<f64> {
        let began = *self.began.get_or_insert(now);
        let lasted = now.saturating_sub(began);
        if lasted >= SECOND {
            self.learn(self.seen as f64 * SECOND as f64 / lasted as f64);
            (self.began, self.seen, self.passed) = (Some(now), 0, 0);
        }
        self.seen += 1;
        let rate = self.rate();
        let most = if self.target == 0.0 { 0.0 } else { 2.0 * self.target + 8.0 };
        // The upper 53 bits are a fraction that a float has exactly.
        let passes = ((draw >> 11) as f64) < rate * (1_u64 << 53) as f64 && (self.passed as f64) < most;
        self.passed += u64::from(passes);
        passes.then_some(rate)
    }

    /// So many came per second. A jump is believed at once, small changes little by little: they may be chance.
    fn learn(&mut self, came: f64) {
        self.rate = Some(match self.rate {
            Some(rate) if came.max(rate) < PLENTY || (came < 2.0 * rate && rate < 2.0 * came) => {
                rate + WEIGHT * (came - rate)
            }
            _ => came,
        });
    }
}
