//! What a server is.

use foundation_supervisor::Failure;

use crate::Turn;

/// A thing with a state of its own, that does one message after another on a thread of its own. OTP's `gen_server`.
///
/// Each life of a server has a state of its own: what [`server()`](crate::server()) was given makes it, on the life's
/// thread, so it need not be `Send`. What is to survive a crash lives elsewhere.
pub trait Server: Sized + 'static {
    /// The life begins: for what may fail, or needs the life. Until it has returned the server does not count as started,
    /// and its messages wait. OTP's `init`.
    ///
    /// # Errors
    /// Whatever it returns is the life's exit, and a start that failed.
    fn init(&mut self, turn: &mut Turn<'_, Self>) -> Result<(), Failure> {
        _ = turn;
        Ok(())
    }

    /// The life ends in order: the server was told to stop, or has [ended itself](Turn::end). Not after a panic, when the
    /// state may be half changed: then it is only dropped. OTP's `terminate`.
    fn terminate(&mut self, turn: &mut Turn<'_, Self>) {
        _ = turn;
    }
}

/// How a server does messages of one type. A server may have many.
pub trait Handle<M>: Server {
    /// What the caller gets. A cast's is dropped.
    type Reply: Send + 'static;

    /// Does the message, in the context of whoever sent it. A panic ends this life: the caller is told so, and the message
    /// is not done again, unless it was sent [to be](crate::ServerRef::cast_again).
    fn handle(&mut self, message: M, turn: &mut Turn<'_, Self>) -> Self::Reply;
}
