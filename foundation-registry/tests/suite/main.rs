//! What the registry promises, one call after another. Each suite is run against the registry as it is and against its
//! legacy view, before, after and while it is switched: see [`common`].
#![cfg(not(any(loom, shuttle)))]

#[macro_use]
mod common;

mod changes;
mod groups;
mod names;
mod query;
mod resolved;
mod traits;
mod updates;
mod values;
