//! kameo: mailboxes of 1,024, as ours.

use std::sync::Arc;

use kameo::{
    actor::{Actor, ActorRef, Spawn},
    error::Infallible,
    mailbox,
    message::{Context, Message},
};
use tokio::runtime::{Handle, Runtime};

use super::{BURST, CALLS, MANY, Messages};

struct Totals(u64);
struct Add(u64);
struct Get;

impl Actor for Totals {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self(0))
    }
}

impl Message<Add> for Totals {
    type Reply = ();
    async fn handle(&mut self, Add(number): Add, _: &mut Context<Self, ()>) {
        self.0 += number;
    }
}

impl Message<Get> for Totals {
    type Reply = u64;
    async fn handle(&mut self, _: Get, _: &mut Context<Self, u64>) -> u64 {
        self.0
    }
}

pub(super) struct Kameos {
    /// The first is for one alone.
    all: Arc<Vec<ActorRef<Totals>>>,
    runtime: Handle,
}

pub(super) fn start(runtime: &Runtime) -> Kameos {
    let _on = runtime.enter();
    let all: Vec<_> = (0..=MANY).map(|_| Totals::spawn_with_mailbox((), mailbox::bounded(1024))).collect();
    for totals in &all {
        runtime.block_on(totals.wait_for_startup());
    }
    Kameos { all: Arc::new(all), runtime: runtime.handle().clone() }
}

async fn ask(totals: &ActorRef<Totals>) {
    totals.ask(Get).await.expect("it answers");
}

async fn add(totals: &ActorRef<Totals>) {
    totals.tell(Add(1)).await.expect("it lives");
}

impl Kameos {
    /// On the runtime, not beside it.
    fn run<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Arc<Vec<ActorRef<Totals>>>) -> F) {
        let task = self.runtime.spawn(work(Arc::clone(&self.all)));
        self.runtime.block_on(task).expect("it does not panic");
    }
}

impl Messages for Kameos {
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
            for _ in 0..BURST {
                add(&all[0]).await;
            }
            ask(&all[0]).await;
        });
    }

    fn fan_out(&self) {
        self.run(|all| async move {
            for one in &all[1..] {
                add(one).await;
            }
            for one in &all[1..] {
                ask(one).await;
            }
        });
    }
}
