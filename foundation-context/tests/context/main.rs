//! What contexts promise, in one program.
#![cfg(not(any(loom, shuttle)))]

mod contexts;
mod fields;
#[cfg(feature = "legacy")]
mod legacy;
