//! Events beside those of `tracing`, and a counter of `metrics`.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foundation_context::fields;
use foundation_supervisor::Foundation;
use foundation_telemetry::{Emitter, Event, EventName, Selector, Telemetry, event_name};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::table::{head, row};

const SOLD: EventName = event_name!("shop", "item", "sold");

/// Counts, and does nothing else.
#[derive(Clone, Default)]
struct Counts(Arc<AtomicU64>);

impl<S: tracing::Subscriber> Layer<S> for Counts {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        black_box(event);
        self.0.fetch_add(1, Relaxed);
    }
}

fn layers(many: usize) -> Dispatch {
    let layers: Vec<Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>> =
        (0..many).map(|_| Box::new(Counts::default()) as _).collect();
    Dispatch::new(tracing_subscriber::registry().with(layers))
}

fn with_handlers(many: usize) -> Emitter {
    let telemetry = Telemetry::new();
    for number in 0..many {
        let count = AtomicU64::new(0);
        let counts = move |event: &Event| {
            black_box(event);
            count.fetch_add(1, Relaxed);
        };
        telemetry.attach(&number.to_string(), SOLD, counts).expect("the id is free");
    }
    telemetry.emitter(SOLD)
}

fn ours(emitter: &Emitter) {
    emitter.emit(|| (fields! { count: 1_u64 }, fields! { item: "tea" }));
}

fn bare(emitter: &Emitter) {
    emitter.emit(|| (fields! {}, fields! {}));
}

fn its() {
    tracing::info!(count = 1_u64, item = "tea");
}

pub(crate) fn print() {
    head("ns for each event, of two fields");
    let nobody = with_handlers(0);
    // Nobody listens to tracing either, until there is the process's default.
    for threads in [1, 2] {
        row("nobody listens, beside tracing", threads, Some(2.0), || ours(&nobody), its);
    }
    dispatcher::set_global_default(layers(1)).expect("it is the only one");
    let handler = with_handlers(1);
    for threads in [1, 2] {
        row("one handler, beside one layer", threads, Some(1.2), || ours(&handler), its);
    }
    row("the same without fields", 1, Some(1.2), || bare(&handler), || tracing::info!({}, ""));
    let (ten, all) = (with_handlers(10), layers(10));
    dispatcher::with_default(&all, || row("ten handlers, beside ten layers", 1, None, || ours(&ten), its));
    let (counter, count) = (metrics::Counter::from_arc(Arc::new(AtomicU64::new(0))), AtomicU64::new(0));
    for threads in [1, 2] {
        row("one handler, beside a counter of metrics", threads, None, || ours(&handler), || counter.increment(1));
        row("one handler, beside a fetch_add", threads, None, || ours(&handler), || _ = count.fetch_add(1, Relaxed));
    }
    let foundation = Foundation::builder().start();
    let telemetry = foundation.telemetry();
    telemetry.attach("prefix", Selector::under(&["shop"]), |event| _ = black_box(event)).expect("the id is free");
    let sold = telemetry.emitter(SOLD);
    row("one handler of a prefix, in a universe", 1, None, || ours(&sold), its);
    telemetry.detach("prefix").expect("it is attached");
    telemetry.attach_queued("queued", SOLD, 1 << 16, |event| _ = black_box(event)).expect("the id is free");
    row("a queued handler, delivered or refused", 1, None, || ours(&sold), its);
    let figures = telemetry.figures();
    println!("{:<52} {} refused", "", figures.overflowed);
    telemetry.detach("queued").expect("it is attached");
}
