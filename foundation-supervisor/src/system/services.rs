//! A universe that begins with services: what its trees need all the time.

use std::time::Duration;

use super::{Builder, Foundation};
use crate::{ChildSpec, StartError, Strategy, Supervisor};

/// How a universe is made that begins with services: see [`Builder::service`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it starts a universe"]
pub struct Services {
    builder: Builder,
    services: Supervisor,
}

impl Builder {
    /// A service: a child that is there before any tree is, and until the last one has ended, such as a pool of
    /// connections. What else is to be said of the universe is said before.
    ///
    /// Services are the children of a tree `services`, one for one, with the intensity of a new
    /// [`Supervisor`]: started in this order, each when the one before it is ready, restarted, and stopped in reverse.
    /// What they are called by their supervisor is `services/<name>`. If they crash too often their tree gives up, as any
    /// other would ([`GAVE_UP`](crate::GAVE_UP)), and the trees go on without them.
    ///
    /// ```
    /// use foundation_supervisor::{ChildSpec, Failure, Foundation, Life};
    /// use foundation_sync::{Full, Queue, SECONDS_5};
    ///
    /// fn pool(life: &Life) -> Result<(), Failure> {
    ///     let jobs = Queue::<u32>::bounded(64, Full::Wait);
    ///     life.register("pool", jobs.clone())?.keep();
    ///     life.ready();
    ///     while let Some(_job) = life.next(&jobs)? {}
    ///     Ok(())
    /// }
    ///
    /// let foundation = Foundation::builder()
    ///     .service(ChildSpec::worker("pool", pool).ready_within(SECONDS_5))
    ///     .service_if(cfg!(windows), ChildSpec::worker("tray", |_| Ok(())))
    ///     .start(SECONDS_5)?;
    /// assert!(foundation.find::<Queue<u32>>("pool").is_some());
    /// assert!(foundation.stop(SECONDS_5).is_clean());
    /// # Ok::<(), foundation_supervisor::StartError>(())
    /// ```
    pub fn service(self, spec: ChildSpec) -> Services {
        self.service_if(true, spec)
    }

    /// The same, if this holds; if not, the spec is dropped.
    pub fn service_if(self, condition: bool, spec: ChildSpec) -> Services {
        Services::from(self).service_if(condition, spec)
    }
}

impl From<Builder> for Services {
    /// None.
    fn from(builder: Builder) -> Self {
        Self { builder, services: Supervisor::new("services", Strategy::OneForOne) }
    }
}

impl Services {
    /// One more, started after those before it: see [`Builder::service`].
    pub fn service(mut self, spec: ChildSpec) -> Self {
        self.services = self.services.child(spec);
        self
    }

    /// The same, if this holds; if not, the spec is dropped.
    pub fn service_if(self, condition: bool, spec: ChildSpec) -> Self {
        if condition { self.service(spec) } else { self }
    }

    /// The universe without its services, and these, if there are any, as the tree that
    /// [`start`](Self::start) starts in it: for whoever has something to do in between, such as a test that moves the
    /// universe's time.
    pub fn into_parts(self) -> (Builder, Option<Supervisor>) {
        (self.builder, Some(self.services).filter(|services| !services.children.is_empty()))
    }

    /// Starts the universe and its services, for so long at most by the universe's clock. On return all are started.
    ///
    /// # Errors
    /// [`StartError`]: a service could not be started, or it took too long. Then all is stopped again, which may take as
    /// long once more, and no thread is left but one that ignores its stop and is reported as abandoned.
    #[track_caller]
    pub fn start(self, patience: Duration) -> Result<Foundation, StartError> {
        let foundation = self.builder.start();
        match self.services.start(&foundation, foundation.within(patience)) {
            Ok(_services) => Ok(foundation),
            Err(error) => {
                // What it leaves behind has its own report.
                _ = foundation.stop(patience);
                Err(error)
            }
        }
    }
}
