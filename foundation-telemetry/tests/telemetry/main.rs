//! What events and spans promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod batch;
#[cfg(feature = "tracing")]
mod bridge;
#[cfg(feature = "metrics")]
mod bridge_metrics;
mod dedup;
mod distribution;
mod flush;
mod handlers;
#[cfg(feature = "tracing")]
mod inward;
#[cfg(feature = "legacy")]
mod legacy;
mod limiter;
mod metrics;
mod queued;
mod said;
mod sampling;
mod span;
mod stress;
mod telemetry;
mod windows;

/// The worst that a panic may leave behind: to drop it panics, and leaves another one.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(Bomb));
    }
}
