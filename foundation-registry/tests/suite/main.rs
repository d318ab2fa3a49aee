//! What the registry promises, in one program: call after call, and idea by idea. Each suite of calls is run against the
//! registry as it is and against its legacy view, before, after and while it is switched: see [`common`].
#![cfg(not(any(loom, shuttle)))]

#[macro_use]
mod common;

#[cfg(feature = "backup")]
mod backup;
mod changes;
mod groups;
#[cfg(feature = "legacy")]
mod legacy;
mod lock;
mod monitors;
mod names;
mod query;
mod registry;
mod resolved;
mod start;
mod traits;
mod updates;
mod values;
