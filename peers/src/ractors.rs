//! ractor: an actor that is told of its child's failure and spawns the next one.

use std::{sync::Arc, time::Instant};

use foundation_sync::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{CHILDREN, Crashes, Line, Took};

type Current = Arc<Mutex<Option<ActorRef<()>>>>;

struct Child(Option<Line>);

impl Actor for Child {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        if let Some(line) = &self.0 {
            line.begin();
        }
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        match &self.0 {
            Some(line) => line.panic(),
            None => Ok(()),
        }
    }
}

struct Parent {
    line: Option<Line>,
    current: Current,
}

impl Parent {
    async fn begin(&self, myself: &ActorRef<()>) -> Result<(), ActorProcessingErr> {
        let (child, _) = Actor::spawn_linked(None, Child(self.line.clone()), (), myself.get_cell()).await?;
        *self.current.lock() = Some(child);
        Ok(())
    }
}

impl Actor for Parent {
    type Msg = ();
    type State = ();
    type Arguments = usize;

    async fn pre_start(&self, myself: ActorRef<()>, children: usize) -> Result<(), ActorProcessingErr> {
        for _ in 0..children {
            self.begin(&myself).await?;
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(..) => self.begin(&myself).await,
            _ => Ok(()),
        }
    }
}

pub(crate) struct Ractor(Current);

pub(crate) async fn start(line: &Line) -> Ractor {
    let current = Current::default();
    let parent = Parent { line: Some(line.clone()), current: Arc::clone(&current) };
    Actor::spawn(None, parent, 1).await.expect("it starts");
    Ractor(current)
}

impl Crashes for Ractor {
    fn tell(&self) {
        // The one that has just begun is told here when its supervisor has heard of it.
        loop {
            let child = self.0.lock().clone();
            if child.is_some_and(|child| child.send_message(()).is_ok()) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

pub(crate) async fn crowd() -> Took {
    let parent = Parent { line: None, current: Current::default() };
    let since = Instant::now();
    let (parent, handle) = Actor::spawn(None, parent, CHILDREN).await.expect("it starts");
    let started = since.elapsed();
    let since = Instant::now();
    parent.stop_children_and_wait(None, None).await;
    parent.stop(None);
    handle.await.expect("it stops");
    Took { started, stopped: since.elapsed() }
}
