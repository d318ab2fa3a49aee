//! One life of a server.
//!
//! Stop before messages; what a handler has asked to be [next](Turn::continue_with) before what is due; what is due before
//! the mailbox, but of that one message after each look at what is due, so that neither starves the other.

use std::{collections::VecDeque, mem, sync::Arc};

use foundation_registry::{Fenced, OwnerRecvError};
use foundation_supervisor::{Failure, Life};
use foundation_sync::{Deadline, RecvError};

use crate::{
    desk::{Desk, Office},
    server::Server,
    turn::{Agenda, Turn},
};

/// The body of a server's lives.
pub(crate) fn serve<S: Server>(desk: &Arc<Desk<S>>, make: &dyn Fn() -> S, life: &Life) -> Result<(), Failure> {
    desk.begin(life)?;
    let mut server = make();
    let mut agenda = Agenda::default();
    server.init(&mut Turn::new(life, desk, &mut agenda))?;
    if life.ignores() {
        return Ok(());
    }
    desk.ready(life.incarnation());
    life.ready();
    let how = work(desk, &mut server, life, &mut agenda)?;
    desk.put_down(life.incarnation());
    server.terminate(&mut Turn::new(life, desk, &mut agenda));
    how
}

/// So many messages are received at a time, at most: one lock for all of them.
const AT_A_TIME: usize = 32;

/// Does what comes, until the end: told to, or its own.
fn work<S: Server>(
    desk: &Arc<Desk<S>>,
    server: &mut S,
    life: &Life,
    agenda: &mut Agenda<S>,
) -> Result<Result<(), Failure>, Fenced> {
    let Some(Office { mailbox, .. }) = desk.office() else { return Ok(Ok(())) };
    life.watch_queue(mailbox);
    let (who, clock) = (life.incarnation(), life.system().clock());
    // What it has received counts besides the mailbox's capacity.
    let most = (mailbox.capacity() / AT_A_TIME).clamp(1, AT_A_TIME);
    let (mut received, mut turn_of_the_mailbox) = (VecDeque::new(), false);
    loop {
        // Nothing is put in order any more by one that was given up: another may serve.
        if life.owner().fenced() {
            return Err(Fenced(who));
        }
        if let Some(how) = agenda.end.take() {
            return Ok(how);
        }
        if life.told() {
            return Ok(Ok(()));
        }
        let own = if mem::take(&mut agenda.continues) {
            desk.take_kept_in_hand(who, clock)?
        } else if !turn_of_the_mailbox && agenda.timers.next().is_some_and(|at| at <= clock.now()) {
            // What is due is made, which is a user's code: not on behalf of what was in hand.
            desk.put_down(who);
            match agenda.timers.take_due(clock.now()) {
                // It is not given back: a timer ends with its life.
                Some(parcel) => desk.take_own_in_hand(who, parcel, clock)?,
                None => None,
            }
        } else {
            None
        };
        if let Some((hand, parcel)) = own {
            turn_of_the_mailbox = true;
            life.checkpoint();
            hand.note(parcel.open(server, &mut Turn::new(life, desk, agenda), &|| hand.done()));
            continue;
        }
        let mut next = desk.take_in_hand(who, clock)?;
        if next.is_none() {
            let until = match (turn_of_the_mailbox, agenda.timers.next()) {
                (_, None) => Deadline::never(),
                (false, Some(at)) => clock.at(at),
                (true, Some(_)) => Deadline::now(),
            };
            match life.recv_some(mailbox, &mut received, most, until) {
                Ok(()) => next = desk.receive(who, &mut received, clock)?,
                Err(OwnerRecvError::Fenced(fenced)) => return Err(fenced),
                // Who has closed it comes with the word to stop, or has taken it back already.
                Err(OwnerRecvError::Recv(RecvError::TimedOut | RecvError::Stopped | RecvError::Closed)) => {}
            }
        }
        turn_of_the_mailbox = false;
        if let Some((hand, parcel)) = next {
            // Each message is a sign of life, and its handler has the whole of its heartbeat.
            life.checkpoint();
            hand.note(parcel.open(server, &mut Turn::new(life, desk, agenda), &|| hand.done()));
        }
    }
}
