//! One life of a server.
//!
//! Stop before messages; what a handler has asked to be [next](Turn::continue_with) before what is due; what is due before
//! the mailbox, but of that one message after each look at what is due, so that neither starves the other.

use std::sync::Arc;

use foundation_registry::{Fenced, OwnerRecvError};
use foundation_supervisor::{Failure, Life};
use foundation_sync::{Deadline, RecvError};

use crate::{
    desk::Desk,
    envelope::Parcel,
    server::Server,
    turn::{Agenda, Turn},
};

/// The body of a server's lives.
pub(crate) fn serve<S: Server>(desk: &Arc<Desk<S>>, make: &dyn Fn() -> S, life: &Life) -> Result<(), Failure> {
    desk.begin(life)?;
    let mut server = make();
    let mut agenda = Agenda::default();
    server.init(&mut Turn::new(life, &mut agenda))?;
    desk.ready(life.incarnation());
    life.ready();
    let how = work(desk, &mut server, life, &mut agenda)?;
    server.terminate(&mut Turn::new(life, &mut agenda));
    how
}

/// Does what comes, until the end: told to, or its own.
fn work<S: Server>(
    desk: &Arc<Desk<S>>,
    server: &mut S,
    life: &Life,
    agenda: &mut Agenda<S>,
) -> Result<Result<(), Failure>, Fenced> {
    let Some(office) = desk.office() else { return Ok(Ok(())) };
    let mailbox = &office.mailbox;
    life.watch_queue(mailbox);
    let clock = life.system().clock();
    let mut turn_of_the_mailbox = false;
    loop {
        if let Some(how) = agenda.end.take() {
            return Ok(how);
        }
        if life.told() {
            return Ok(Ok(()));
        }
        let due = match agenda.next.take() {
            None if !turn_of_the_mailbox && agenda.timers.next().is_some() => agenda.timers.take_due(clock.now()),
            next => next,
        };
        if let Some(parcel) = due {
            turn_of_the_mailbox = true;
            // One's own is not given back: it ends with its life.
            do_it(desk, server, life, agenda, &parcel)?;
            continue;
        }
        let until = match (turn_of_the_mailbox, agenda.timers.next()) {
            (_, None) => Deadline::never(),
            (false, Some(at)) => clock.at(at),
            (true, Some(_)) => Deadline::now(),
        };
        turn_of_the_mailbox = false;
        match life.recv(mailbox, until) {
            Ok(parcel) => {
                if let Err(fenced) = do_it(desk, server, life, agenda, &parcel) {
                    desk.hand_back(parcel);
                    return Err(fenced);
                }
            }
            Err(OwnerRecvError::Fenced(fenced)) => return Err(fenced),
            // Who has closed it comes with the word to stop, or has taken it back already.
            Err(OwnerRecvError::Recv(RecvError::TimedOut | RecvError::Stopped | RecvError::Closed)) => {}
        }
    }
}

fn do_it<S: Server>(
    desk: &Desk<S>,
    server: &mut S,
    life: &Life,
    agenda: &mut Agenda<S>,
    parcel: &Parcel<S>,
) -> Result<(), Fenced> {
    let who = life.incarnation();
    let hand = desk.take_in_hand(who, parcel, life.system().clock().now()).ok_or(Fenced(who))?;
    let opened = parcel.open(server, &mut Turn::new(life, agenda), &|| hand.done());
    hand.note(opened);
    Ok(())
}
