//! What a server promises, one story after another.
#![cfg(not(any(loom, shuttle)))]

mod abandoned;
mod again;
mod calls;
mod common;
mod contexts;
mod full;
mod lives;
mod restarts;
mod rests;
mod rings;
mod status;
mod timers;
mod turns;
