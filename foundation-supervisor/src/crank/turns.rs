//! How a supervisor takes its turns: one piece of news each, and a bounded share of what follows from it.

use std::{any::Any, collections::VecDeque, sync::Arc};

use foundation_registry::Cause;
use foundation_sync::{Agenda, MODEL, Serial, Turn, planted, reached};

use super::{Crank, News, Reply, Request, Ticket};
use crate::{
    core::{Answer, Event},
    courier::Job,
};

/// How many events a turn steps: the start of many children is one event, and an answer for each. In models two, so that
/// what comes in between is explored.
pub(super) const SHARE: usize = if MODEL { 2 } else { 64 };

/// What a turn had to leave to the next one.
#[derive(Default)]
pub(super) struct Rest {
    /// The answer that is to be stepped before any other news.
    pub(super) answer: Option<Event<Ticket>>,
    /// What has come since, in its order.
    pub(super) news: VecDeque<News>,
}

impl Turn for Crank {
    type Event = News;

    fn turn(&mut self, me: &Serial<Self>, news: News, agenda: &mut Agenda) {
        match (self.rest.as_deref_mut(), news) {
            (Some(rest), News::GoOn) => {
                if let Some(answer) = rest.answer.take() {
                    self.run(me, answer, agenda);
                } else if let Some(news) = rest.news.pop_front() {
                    self.hear(me, news, agenda);
                }
            }
            (Some(rest), news) if !planted!("crank: news overtakes an answer") => {
                reached!("news while an answer waits");
                return rest.news.push_back(news);
            }
            (_, news) => self.hear(me, news, agenda),
        }
        self.go_on(me, agenda);
    }

    /// The core panicked: it is replaced by one that knows who lives, and stops them.
    fn broken(&mut self, me: &Serial<Self>, panic: Box<dyn Any + Send>, agenda: &mut Agenda) {
        self.jobs.push(Job::Broken { tree: Arc::clone(self.owner.name()), panic });
        self.send(agenda);
        // Over, and nobody knows it yet: those above wait for that.
        if !self.finished {
            let live = self.places.values().filter_map(|place| place.occupant.as_ref().map(|(who, _)| *who));
            self.core = self.core.salvaged(live);
            me.push_later(News::Core(Event::Stop(None, Cause::Broken)), agenda);
        }
        self.go_on(me, agenda);
    }
}

impl Crank {
    /// Asks for another turn if there is something left.
    fn go_on(&mut self, me: &Serial<Self>, agenda: &mut Agenda) {
        match self.rest.as_deref() {
            Some(Rest { answer: None, news }) if news.is_empty() => self.rest = None,
            Some(_) => me.push_later(News::GoOn, agenda),
            None => {}
        }
    }

    fn hear(&mut self, me: &Serial<Self>, news: News, agenda: &mut Agenda) {
        let event = match news {
            News::Core(event) => event,
            // Only as long as there is a rest.
            News::GoOn => return,
            News::Children(ticket) => Event::Which(ticket),
            #[cfg(test)]
            News::Break => panic!("a defect of ours"),
            #[cfg(test)]
            News::BreakAtItsEnd => {
                self.breaks_at_its_end = true;
                return;
            }
            News::Child(key, request, ticket) => match (self.find(&key), request) {
                (None, _) => return ticket.reply(Reply::Core(Answer::NotFound)),
                (Some(seat), Request::Terminate) => Event::Terminate(seat, ticket),
                (Some(seat), Request::Restart) => Event::RestartChild(seat, ticket),
                (Some(seat), Request::Delete) => Event::Delete(seat, ticket),
                (Some(seat), Request::SkipBackoff) => Event::SkipBackoff(seat, ticket),
            },
            News::StartChild(spec, ticket) => {
                if let Some(refusal) = self.refusal(&spec) {
                    self.discard(spec);
                    self.send(agenda);
                    return ticket.reply(refusal);
                }
                Event::StartChild(self.seat(*spec, true), ticket)
            }
        };
        self.run(me, event, agenda);
    }
}
