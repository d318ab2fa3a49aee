//! What a worker does: well or badly.

use std::time::Duration;

use foundation_registry::RegisterError;
use foundation_supervisor::{Failure, Life};

use crate::world::{End, World};

pub(crate) fn body(life: &Life, world: &World, slow: bool) -> Result<(), Failure> {
    let here = world.enter(life);
    // Never taken: whoever had it before has ended. Others find by it whom this worker's tree belongs to.
    match life.register(life.name(), life.tree().clone()) {
        Ok(registration) => registration.keep(),
        Err(RegisterError::Fenced(_)) if life.owner().fenced() => {}
        Err(error) => world.complain(format!("{life:?} can't have its name: {error}")),
    }
    let mut rng = here.rng();
    let gentle = world.is_calm();
    if slow {
        match rng.u8(..12) {
            0 if !gentle => {
                here.means(End::Panic);
                panic!("before it is ready");
            }
            1 if !gentle => hang(world, &mut rng),
            _ => world.pause(Duration::from_micros(rng.u64(..3_000))),
        }
        life.ready();
    }
    world.until_storm(life);
    let work = Duration::from_millis(rng.u64(..800));
    let ended_by_itself = world.work(life, work);
    match rng.u8(..12) {
        0..4 if ended_by_itself => {
            here.means(End::Panic);
            panic!("in the middle of its work");
        }
        4..6 => {
            here.means(End::Failure);
            Err(Failure::new("it can't go on"))
        }
        6 => {
            hang(world, &mut rng);
            Ok(())
        }
        7 if !ended_by_itself => {
            here.means(End::Panic);
            panic!("told to stop");
        }
        8 if ended_by_itself => Ok(()),
        _ => {
            world.until_told(life);
            // It has heard of it, and is in no hurry.
            if rng.u8(..20) == 0 {
                hang(world, &mut rng);
            }
            Ok(())
        }
    }
}

/// Does not listen.
fn hang(world: &World, rng: &mut fastrand::Rng) {
    world.pause(Duration::from_millis(rng.u64(1..200)));
}
