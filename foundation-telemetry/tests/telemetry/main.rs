//! What events and spans promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod batch;
#[cfg(feature = "metrics")]
mod bridge_metrics;
mod dedup;
mod distribution;
#[cfg(feature = "legacy")]
mod legacy;
mod limiter;
mod metrics;
mod queued;
mod sampling;
mod span;
mod telemetry;
