//! What a file promises while it is written: cut at each byte and each step, held up, and let fail.

mod bounded;
mod cut;
mod during;
mod kept;
mod overtaken;
mod same;

pub(super) use during::During;
