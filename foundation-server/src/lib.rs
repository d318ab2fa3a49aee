//! Servers, calls, tasks, supervised send and dead letters on OS threads.

mod broadcast;
mod desk;
mod envelope;
mod error;
mod letters;
mod rings;
mod send;
mod serve;
mod server;
mod server_ref;
mod servers;
mod spec;
mod status;
mod timers;
mod turn;

pub use broadcast::{BroadcastError, Delivered, Missed, Quorum, Recipient, broadcast};
pub use error::{CallError, CastError};
pub use letters::{
    DEAD_LETTER_ADDED, DEAD_LETTER_DELIVERED, DEAD_LETTER_OVERFLOWED, DEAD_LETTER_PURGED, DeadLetter, DeadLetters,
    LetterCounts, Reason, Retried, Retry, TakeError,
};
pub use send::{Delivery, Fate, SEND_FAILED, UndeliveredError};
pub use server::{Handle, Server};
pub use server_ref::ServerRef;
pub use servers::{Servers, servers};
pub use spec::{Pending, ServerSpec, WhenFull, server};
pub use status::{Doing, Status};
pub use timers::{MOST_TIMERS, TimerKey};
pub use turn::Turn;
