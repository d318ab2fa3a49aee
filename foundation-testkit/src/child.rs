//! A worker that does as it is told.

use std::sync::Arc;

use foundation_context::Incarnation;
use foundation_supervisor::{ChildSpec, Failure, Life};
use foundation_sync::{Full, Queue};

/// What a scripted worker is to do next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Crash,
    Fail,
    Return,
}

/// One life of a scripted worker. It is registered under its name.
#[derive(Clone, Debug)]
pub struct Child {
    name: Arc<str>,
    incarnation: Incarnation,
    orders: Queue<Order>,
}

impl Child {
    pub(crate) fn spec(name: &str) -> (ChildSpec, Queue<Order>) {
        let orders = Queue::bounded(16, Full::Refuse);
        let (taken, own) = (orders.clone(), name.to_owned());
        let body = move |life: &Life| {
            life.register(&own, ())?.keep();
            life.ready();
            match life.next(&taken)? {
                Some(Order::Crash) => panic!("told to crash"),
                Some(Order::Fail) => Err(Failure::new("told to fail")),
                Some(Order::Return) | None => Ok(()),
            }
        };
        (ChildSpec::worker(name, body).ready_within(crate::patience()), orders)
    }

    pub(crate) fn new(name: &str, incarnation: Incarnation, orders: Queue<Order>) -> Self {
        Self { name: name.into(), incarnation, orders }
    }

    pub(crate) fn next(&self, incarnation: Incarnation) -> Self {
        Self { incarnation, ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which life this is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Makes it panic.
    pub fn crash(&self) {
        self.order(Order::Crash);
    }

    /// Makes it return an error.
    pub fn fail(&self) {
        self.order(Order::Fail);
    }

    /// Makes it return.
    pub fn finish(&self) {
        self.order(Order::Return);
    }

    fn order(&self, order: Order) {
        self.orders.try_send(order).expect("at most 16 orders wait for one worker");
    }
}
