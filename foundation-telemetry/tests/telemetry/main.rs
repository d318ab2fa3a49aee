//! What events and spans promise, in one program.
#![cfg(not(any(loom, shuttle)))]

#[cfg(feature = "tracing")]
mod bridge;
mod dedup;
mod flush;
mod handlers;
#[cfg(feature = "legacy")]
mod legacy;
mod queued;
mod span;
mod stress;
mod telemetry;
