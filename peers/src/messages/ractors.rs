//! ractor: unbounded mailboxes.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, rpc::CallResult};
use tokio::runtime::{Handle, Runtime};

use super::{BURST, CALLS, MANY, Messages};

struct Totals;

enum Message {
    Add(u64),
    Get(RpcReplyPort<u64>),
}

impl Actor for Totals {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Message>, message: Message, total: &mut u64) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add(number) => *total += number,
            Message::Get(answer) => answer.send(*total)?,
        }
        Ok(())
    }
}

pub(super) struct Ractors {
    /// The first is for one alone.
    all: Arc<Vec<ActorRef<Message>>>,
    runtime: Handle,
}

pub(super) fn start(runtime: &Runtime) -> Ractors {
    let mut all = Vec::new();
    for _ in 0..=MANY {
        let (totals, _) = runtime.block_on(Actor::spawn(None, Totals, ())).expect("it starts");
        all.push(totals);
    }
    Ractors { all: Arc::new(all), runtime: runtime.handle().clone() }
}

async fn ask(totals: &ActorRef<Message>) {
    let answer = totals.call(Message::Get, None).await.expect("it lives");
    assert!(matches!(answer, CallResult::Success(_)), "it answers");
}

impl Ractors {
    /// On the runtime, not beside it.
    fn run<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Arc<Vec<ActorRef<Message>>>) -> F) {
        let task = self.runtime.spawn(work(Arc::clone(&self.all)));
        self.runtime.block_on(task).expect("it does not panic");
    }
}

impl Messages for Ractors {
    fn calls(&self, callers: usize) {
        let caller = |_| {
            let all = Arc::clone(&self.all);
            self.runtime.spawn(async move {
                for _ in 0..CALLS / callers {
                    ask(&all[0]).await;
                }
            })
        };
        let tasks: Vec<_> = (0..callers).map(caller).collect();
        for task in tasks {
            self.runtime.block_on(task).expect("it does not panic");
        }
    }

    fn casts(&self) {
        self.run(|all| async move {
            (0..BURST).for_each(|_| all[0].send_message(Message::Add(1)).expect("it lives"));
            ask(&all[0]).await;
        });
    }

    fn fan_out(&self) {
        self.run(|all| async move {
            all[1..].iter().for_each(|one| one.send_message(Message::Add(1)).expect("it lives"));
            for one in &all[1..] {
                ask(one).await;
            }
        });
    }
}
