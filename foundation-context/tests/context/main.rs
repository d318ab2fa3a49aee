//! What contexts promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod contexts;
#[cfg(feature = "legacy")]
mod legacy;
