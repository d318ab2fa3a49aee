//! What events and spans promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod dedup;
mod distribution;
#[cfg(feature = "legacy")]
mod legacy;
mod queued;
mod said;
mod span;
mod telemetry;
mod windows;
