//! Spans beside those of `tracing` on its registry, which read no clock.

use std::hint::black_box;

use foundation_context::fields;
use foundation_telemetry::{SPAN_STOP, Status, Telemetry};

use crate::table::{head, row};

const MANY: usize = 10_000;
const LOADS: usize = 100_000;

fn ours(telemetry: &Telemetry) {
    telemetry.span("work", fields! { item: 1_u64 }, || black_box(()));
}

fn its() {
    tracing::info_span!("work", item = 1_u64).in_scope(|| black_box(()));
}

fn open(telemetry: &Telemetry, many: usize) {
    (0..many).for_each(|item| _ = telemetry.open_span("open", fields! { item: item }));
}

pub(crate) fn print() {
    head("ns for each span, of one attribute");
    // Another part's default will do as well: its layers don't look at spans.
    _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let telemetry = Telemetry::new();
    for threads in [1, 2] {
        row("a root", threads, Some(1.0), || ours(&telemetry), its);
    }
    let parents = (telemetry.enter_span("outer", fields! {}), tracing::info_span!("outer").entered());
    row("in another one", 1, Some(1.0), || ours(&telemetry), its);
    drop(parents);
    let detached = || {
        let id = telemetry.open_span("work", fields! { item: 1_u64 });
        telemetry.close_span(id, Status::Ok).expect("it is open");
    };
    row("that is nobody's current one", 1, None, detached, || drop(tracing::info_span!("work", item = 1_u64)));
    let held: Vec<_> = (0..MANY).map(|item| tracing::info_span!("open", item)).collect();
    let busy = Telemetry::new();
    open(&busy, MANY);
    for threads in [1, 2] {
        row("with 10,000 open", threads, Some(1.0), || ours(&busy), its);
    }
    drop(held);
    let loaded = Telemetry::new();
    open(&loaded, LOADS);
    row("with 100,000 open, beside ours with none", 1, Some(1.2), || ours(&loaded), || ours(&telemetry));
    telemetry.attach("stops", [SPAN_STOP], |event| _ = black_box(event)).expect("the id is free");
    row("that somebody hears stop", 1, None, || ours(&telemetry), its);
}
