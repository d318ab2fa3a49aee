//! The protocols of the door, on all three faces: one room for each.

mod activity;
mod keeper;
mod mailbox;
mod map;
mod once;
mod oneshot;
mod queue;
mod reserve;
mod scenario;
mod serial;
mod snapshot;
mod switch;
mod timekeeper;
mod virtual_time;
