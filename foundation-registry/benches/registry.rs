//! The registry beside what else there is.
fn main() {}
