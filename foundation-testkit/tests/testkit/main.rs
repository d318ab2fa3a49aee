//! What the test kit promises, in one program.
#![cfg(not(any(loom, shuttle)))]

mod declared;
mod testkit;
mod virtual_time;
