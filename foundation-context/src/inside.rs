//! Whose code the calling thread is inside of, for who must not wait for itself.

use std::cell::Cell;

use crate::slot::INSIDE;

/// How many are known by number: deeper ones count, and are everybody's.
const KNOWN: usize = 16;

/// Those whose code this thread runs, the innermost last.
pub(crate) struct Inside {
    depth: Cell<usize>,
    who: [Cell<usize>; KNOWN],
}

impl Inside {
    pub(crate) const fn new() -> Self {
        Self { depth: Cell::new(0), who: [const { Cell::new(0) }; KNOWN] }
    }
}

/// Runs `work`, which is the code of whoever has this number. It does not panic.
pub fn run<R>(who: usize, work: impl FnOnce() -> R) -> R {
    let depth = INSIDE.try_with(|inside| {
        let depth = inside.depth.get();
        if let Some(place) = inside.who.get(depth) {
            place.set(who);
        }
        inside.depth.set(depth + 1);
        depth
    });
    let result = work();
    if let Ok(depth) = depth {
        _ = INSIDE.try_with(|inside| inside.depth.set(depth));
    }
    result
}

/// Whether the calling thread runs code of one of those of whom `is` says so, or may: what it runs is nested too deep for
/// anybody to know.
pub fn is(is: impl Fn(usize) -> bool) -> bool {
    INSIDE
        .try_with(|inside| {
            let depth = inside.depth.get();
            depth > KNOWN || inside.who[..depth].iter().any(|who| is(who.get()))
        })
        .unwrap_or(false)
}
