//! kameo: its supervision, by policy.

use std::time::{Duration, Instant};

use kameo::{
    actor::{Actor, ActorRef, Spawn},
    error::Infallible,
    message::{Context, Message},
    supervision::RestartPolicy,
};

use crate::{CHILDREN, Crashes, Line, Took};

struct Parent;

impl Actor for Parent {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

#[derive(Clone)]
struct Child(Option<Line>);

impl Actor for Child {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        if let Some(line) = &args.0 {
            line.begin();
        }
        Ok(args)
    }
}

struct Crash;

impl Message<Crash> for Child {
    type Reply = ();

    async fn handle(&mut self, _: Crash, _: &mut Context<Self, ()>) {
        if let Some(line) = &self.0 {
            line.panic()
        }
    }
}

pub(crate) struct Kameo {
    child: ActorRef<Child>,
    _parent: ActorRef<Parent>,
}

async fn begin(parent: &ActorRef<Parent>, line: Option<Line>) -> ActorRef<Child> {
    Child::supervise(parent, Child(line))
        .restart_policy(RestartPolicy::Permanent)
        .restart_limit(1_000, Duration::from_nanos(1))
        .spawn()
        .await
}

pub(crate) async fn start(line: &Line) -> Kameo {
    let parent = Parent::spawn(());
    let child = begin(&parent, Some(line.clone())).await;
    child.wait_for_startup().await;
    Kameo { child, _parent: parent }
}

impl Crashes for Kameo {
    fn tell(&self) {
        // While it is restarted a message is refused.
        while self.child.tell(Crash).try_send().is_err() {
            std::thread::yield_now();
        }
    }
}

pub(crate) async fn crowd() -> Took {
    let since = Instant::now();
    let parent = Parent::spawn(());
    let mut all = Vec::with_capacity(CHILDREN);
    for _ in 0..CHILDREN {
        all.push(begin(&parent, None).await);
    }
    for child in &all {
        child.wait_for_startup().await;
    }
    let started = since.elapsed();
    let since = Instant::now();
    parent.stop_gracefully().await.expect("it lives");
    parent.wait_for_shutdown().await;
    for child in &all {
        child.wait_for_shutdown().await;
    }
    Took { started, stopped: since.elapsed() }
}
