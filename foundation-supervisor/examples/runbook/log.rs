//! The universe's log: what a runbook would grep for.

use std::io;

use foundation_context::WithContext;
use foundation_sync::{Full, Queue};
use tracing::Dispatch;
use tracing_subscriber::fmt::{MakeWriter, Subscriber, format};

/// The last lines that were logged. A clone is another handle.
#[derive(Clone)]
pub(crate) struct Log(Queue<String>);

impl Log {
    pub(crate) fn new() -> Self {
        Self(Queue::bounded(64, Full::DropOldest))
    }

    /// What has to be given to the universe so that its threads write here, with their context.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let format = WithContext::new(format().without_time());
        Dispatch::new(Subscriber::builder().event_format(format).with_writer(self.clone()).finish())
    }

    /// The lines since the last time, if they have this in them.
    pub(crate) fn grep(&self, what: &str) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).filter(|line| line.contains(what)).collect()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    /// The whole of a record.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        _ = self.0.try_send(String::from_utf8_lossy(record).trim_end().to_owned());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
