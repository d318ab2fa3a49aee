//! Spans by other libraries beside ours, on the calling thread: a root with one attribute, and one in another.

use std::{hint::black_box, time::Instant};

use fastrace::{Span, collector, prelude::SpanContext};
use foundation_context::fields;
use foundation_telemetry::Telemetry;

use crate::{ROUNDS, median};

/// What fits beneath one parent of theirs.
const SPANS: u32 = 2_000;

/// Takes what is collected, and does nothing with it.
struct Nowhere;

impl collector::Reporter for Nowhere {
    fn report(&mut self, spans: Vec<collector::SpanRecord>) {
        black_box(spans);
    }
}

fn nanos(act: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..SPANS).for_each(|_| act());
    start.elapsed().as_nanos() as f64 / f64::from(SPANS)
}

/// Prints the table.
pub(crate) fn print() {
    fastrace::set_reporter(Nowhere, collector::Config::default());
    let telemetry = Telemetry::new();
    let our_root = || telemetry.span("work", fields! { item: 1_u64 }, || black_box(()));
    let its_root = || {
        let root = Span::root("work", SpanContext::random()).with_property(|| ("item", "1"));
        let _here = root.set_local_parent();
        black_box(());
    };
    println!("\n{:<48} {:>12} {:>12}", "median of rounds by turns, ns", "foundation", "fastrace");
    row("a root span, one attribute", our_root, its_root);
    let _here = telemetry.enter_span("outer", fields! {});
    let its_inner = || {
        let _inner = fastrace::local::LocalSpan::enter_with_local_parent("work").with_property(|| ("item", "1"));
        black_box(());
    };
    let its = || {
        let outer = Span::root("outer", SpanContext::random());
        let _here = outer.set_local_parent();
        nanos(its_inner)
    };
    let rounds = (0..ROUNDS).map(|_| (nanos(our_root), its())).collect();
    print_row("a span in another one, one attribute", rounds);
    fastrace::flush();
}

fn row(what: &str, ours: impl Fn(), its: impl Fn()) {
    print_row(what, (0..ROUNDS).map(|_| (nanos(&ours), nanos(&its))).collect());
}

fn print_row(what: &str, rounds: Vec<(f64, f64)>) {
    let (ours, its): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    println!("{what:<48} {:>12.1} {:>12.1}", median(ours), median(its));
}
