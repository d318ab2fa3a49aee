//! What supervisors promise, on real threads, in one program. What needs a process of its own, for its panic hook, its
//! signals or its census of threads, has one.
#![cfg(not(any(loom, shuttle)))]

mod courier;
mod dynamic;
mod ends;
#[cfg(feature = "legacy")]
mod figures;
mod hangs;
mod history;
#[cfg(feature = "legacy")]
mod legacy;
#[cfg(feature = "file")]
mod legacy_file;
mod on_stop;
mod services;
mod snapshot;
mod supervision;
