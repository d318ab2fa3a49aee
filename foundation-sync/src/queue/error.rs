//! Why a queue refused, one type for each operation.

use std::fmt;

/// Why a value was not sent; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// The queue is closed.
    Closed(T),
    /// The queue is full and refuses.
    Full(T),
    /// The sender was told to stop while it waited for room.
    Stopped(T),
    /// There was no room until the deadline.
    TimedOut(T),
}

/// Why a value was not sent at once; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The queue is closed.
    Closed(T),
    /// There is no room.
    Full(T),
}

/// A value did not get to the place that was kept for it, for the queue is closed; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClosedError<T>(pub T);

/// Why a value could not be given back; here it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GiveBackError<T> {
    /// The queue is closed.
    Closed(T),
    /// No value is out that may be given back.
    NotReceived(T),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// The queue is closed and empty.
    Closed,
    /// The reader was told to stop.
    Stopped,
    /// Nothing arrived until the deadline.
    TimedOut,
}

/// Why there is no value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// The queue is closed and empty.
    Closed,
    /// Nothing is there yet.
    Empty,
}

/// Why no place was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// The queue is closed.
    Closed,
    /// There is no room.
    Full,
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        match error {
            SendError::Closed(value) => Self::Closed(value),
            SendError::Full(value) | SendError::Stopped(value) | SendError::TimedOut(value) => Self::Full(value),
        }
    }
}

impl<T> From<TrySendError<T>> for SendError<T> {
    fn from(error: TrySendError<T>) -> Self {
        match error {
            TrySendError::Closed(value) => Self::Closed(value),
            TrySendError::Full(value) => Self::Full(value),
        }
    }
}

impl<T> From<ClosedError<T>> for SendError<T> {
    fn from(ClosedError(value): ClosedError<T>) -> Self {
        Self::Closed(value)
    }
}

impl<T> From<ClosedError<T>> for TrySendError<T> {
    fn from(ClosedError(value): ClosedError<T>) -> Self {
        Self::Closed(value)
    }
}

impl<T> ClosedError<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Display for ClosedError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is closed")
    }
}

impl<T> fmt::Debug for ClosedError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClosedError(..)")
    }
}

impl<T> std::error::Error for ClosedError<T> {}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Stopped | RecvError::TimedOut => Self::Empty,
        }
    }
}

macro_rules! error {
    ($name:ident<T> { $($case:ident => $text:literal),+ }) => {
        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$case(_) => $text),+ })
            }
        }
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$case(_) => concat!(stringify!($case), "(..)")),+ })
            }
        }
        impl<T> std::error::Error for $name<T> {}
        impl<T> $name<T> {
            /// The value.
            pub fn into_inner(self) -> T {
                match self { $(Self::$case(value) => value),+ }
            }
        }
    };
    ($name:ident { $($case:ident => $text:literal),+ }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$case => $text),+ })
            }
        }
        impl std::error::Error for $name {}
    };
}

error!(SendError<T> {
    Closed => "the queue is closed",
    Full => "the queue is full and refuses",
    Stopped => "told to stop while waiting for room in the queue",
    TimedOut => "no room in the queue until the deadline"
});
error!(TrySendError<T> { Closed => "the queue is closed", Full => "the queue is full" });
error!(GiveBackError<T> {
    Closed => "the queue is closed",
    NotReceived => "more was given back than was received"
});
error!(RecvError {
    Closed => "the queue is closed and empty",
    Stopped => "told to stop",
    TimedOut => "nothing arrived until the deadline"
});
error!(TryRecvError { Closed => "the queue is closed and empty", Empty => "the queue is empty" });
error!(ReserveError { Closed => "the queue is closed", Full => "the queue is full" });
