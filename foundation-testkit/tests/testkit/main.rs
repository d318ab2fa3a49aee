//! What the test kit promises, in one program.
#![cfg(not(any(loom, shuttle)))]

mod testkit;
mod virtual_time;
