//! What the primitives promise, one by one, in one program. What looks at the whole process has a program of its own.
#![cfg(not(any(loom, shuttle)))]

mod activity;
mod cells;
mod mailbox;
mod queue;
mod switch;
mod thread;
mod timekeeper;
mod virtual_time;
mod virtual_timers;
