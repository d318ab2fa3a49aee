//! Counts a directory with a supervised pipeline whose workers crash, and proves that nothing was lost.
//!
//! In reading order: what is counted ([`mod@walk`], [`mod@count`]), what goes wrong ([`inject`]), who holds which file
//! ([`ledger`]), the parts ([`pipeline`]), the migration under way ([`migration`]), the plain loop that it is held against
//! ([`sequential`]), what both came to ([`tally`], [`report`]).

mod both;
pub mod count;
pub mod events;
pub mod inject;
pub mod ledger;
pub mod migration;
mod names;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod sequential;
pub mod tally;
pub mod walk;
