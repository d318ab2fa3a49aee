//! The pipeline: a walker, counters and a totals part, each a supervised child that the others find by name.
//!
//! | child | does | registers |
//! |---|---|---|
//! | `totals` | accepts each file's result once, adds up, takes back what the dead held | `files`, `totals` |
//! | `obituaries` | hears of each counter's end, and tells `totals` | `obituaries` |
//! | `warden` | replaces a counter that asks for it | `warden` |
//! | `counter-1` .. | lease a file, count it, deliver the result | |
//! | `migrator` | moves the universe from stage to stage, if it is to be migrated | |
//! | `walker` | finds the files | |

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use foundation_context::{Fields, Incarnation, fields, with};
use foundation_registry::{Cause, Down};
use foundation_supervisor::{
    ChildError, ChildSpec, Failure, Life, Restart, StartError, Strategy, Supervisor, System, Tree,
};
use foundation_sync::{Full, MINUTE, Mutex, Nanos, Queue, SECOND, SECONDS_5};
use foundation_telemetry::{Distribution, Emitter};

use crate::{
    both::Both,
    count::{BLOCK, Counts, count},
    events,
    inject::{Injection, Strike},
    ledger::{Job, Ledger},
    migration::{Migration, migrator},
    names::Names,
    tally::Tally,
    walk::{Found, Root, walk},
};

/// A file that kills its worker so often is a real defect: injection strikes at most twice.
const MOST_KILLS: u32 = 3;
/// Why the pipeline stops when every file is settled.
pub const DONE: Cause = Cause::Requested;
/// How long a counter may take to stop before it is given up.
const COUNTER_STOPS_WITHIN: Duration = Duration::from_millis(50);

/// How long a result may wait to be entered together with others.
const LINGER: Duration = Duration::from_millis(1);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to look.
    pub root: Root,
    /// How many counters.
    pub workers: usize,
    /// What is to go wrong.
    pub injection: Injection,
    /// Whether the universe is migrated meanwhile, and how.
    pub migration: Option<Migration>,
}

impl Plan {
    /// How many restarts in how long the tree allows: OTP's usual three in five seconds, unless crashes are injected.
    pub fn intensity(&self) -> (usize, Duration) {
        if self.injection.rate > 0.0 { (1_000_000, SECOND) } else { (3, SECONDS_5) }
    }

    /// Starts the pipeline. It stops by itself when every file is settled: see [`DONE`].
    ///
    /// # Errors
    /// A part could not be started.
    pub fn start(&self, system: &System, outcome: &Outcome) -> Result<Tree, StartError> {
        let (restarts, period) = self.intensity();
        let names = Names::of(system, self.migration.is_some());
        let mut tree = Supervisor::new("pipeline", Strategy::OneForOne)
            .intensity(restarts, period)
            .child(totals(outcome, &names, self.migration.clone()))
            .child(obituaries(&names))
            .child(warden(&names));
        for number in 1..=self.workers {
            tree = tree.child(counter(number, self.clone(), &names));
        }
        if let Some(migration) = &self.migration {
            tree = tree.child(migrator(migration));
        }
        tree.child(walker(self.root.clone(), &names)).start(system, system.within(MINUTE))
    }
}

/// What the pipeline came to. It survives crashes by design.
#[derive(Clone, Debug, Default)]
pub struct Outcome(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sums: Mutex<Sums>,
    durations: Distribution,
}

#[derive(Debug, Default)]
struct Sums {
    tally: Tally,
    /// What was found; unknown until the walk is over.
    found: Option<u64>,
    quarantined: BTreeSet<PathBuf>,
    refused: u64,
}

impl Outcome {
    /// All results so far; they are taken out.
    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut self.0.sums.lock().tally)
    }

    /// The files that killed their worker too often.
    pub fn quarantined(&self) -> BTreeSet<PathBuf> {
        self.0.sums.lock().quarantined.clone()
    }

    /// How many results came too late.
    pub fn refused(&self) -> u64 {
        self.0.sums.lock().refused
    }

    /// How long the accepted attempts took.
    pub fn durations(&self) -> &Distribution {
        &self.0.durations
    }

    /// How many files are settled, and whether those are all that were found.
    fn settled(&self) -> (u64, bool) {
        let sums = self.0.sums.lock();
        let settled = (sums.tally.files.len() + sums.tally.unreadable.len() + sums.quarantined.len()) as u64;
        (settled, sums.found.is_some_and(|found| settled >= found))
    }
}

/// What `totals` is told.
#[derive(Debug)]
enum Note {
    Counted {
        job: Job,
        by: Incarnation,
        result: Result<Counts, String>,
        took: Nanos,
    },
    /// Somebody ended; whatever it sent stands before this.
    Ended(Down),
    /// Something below the root could not be looked at.
    Unreadable(PathBuf, String),
    /// The walk is over; so many files and unreadable places there are.
    Walked(u64),
}

fn totals(outcome: &Outcome, names: &Names, migration: Option<Migration>) -> ChildSpec {
    let (outcome, names) = (outcome.clone(), names.clone());
    let (ledger, notes) = (Ledger::default(), Queue::<Note>::bounded(1024, Full::Wait));
    let body = move |life: &Life| {
        names.enter(life, "files", ledger.clone())?;
        names.enter(life, "totals", notes.clone())?;
        life.ready();
        if gives_up(life) {
            return Ok(());
        }
        let events = Events::new(life.system());
        let (mut before, mut complete) = (0, false);
        // A stage that is due is due at once.
        let linger = if migration.is_some() { Duration::ZERO } else { LINGER };
        // It stays until it is told to stop, after all others: whoever starts anew meanwhile finds its names.
        while let Some(arrived) = life.next_all(&notes, linger)? {
            arrived.into_iter().for_each(|note| enter(life, &outcome, &ledger, &events, note));
            let (settled, all) = outcome.settled();
            if let Some(migration) = &migration {
                migration.settled(before, settled);
            }
            before = settled;
            if !complete && all {
                complete = true;
                ledger.waiting().close();
                match &migration {
                    None => life.tree().tell_to_stop(DONE),
                    // It stops the tree when it is through, too.
                    Some(migration) => migration.all_settled(),
                }
            }
        }
        Ok(())
    };
    ChildSpec::worker("totals", body).restart(Restart::Transient).ready_within(SECONDS_5)
}

/// A second life of a part whose first one had something in hand that nobody else knows of: a crash of it is a defect,
/// and the run is over.
pub(crate) fn gives_up(life: &Life) -> bool {
    let again = life.incarnation().generation > 1;
    if again {
        life.tree().tell_to_stop(Cause::Terminated);
    }
    again
}

/// The events that `totals` emits.
struct Events {
    counted: Emitter,
    returned: Emitter,
    refused: Emitter,
    unreadable: Emitter,
    quarantined: Emitter,
}

impl Events {
    fn new(system: &System) -> Self {
        let emitter = |name| system.telemetry().emitter(name);
        Self {
            counted: emitter(events::COUNTED),
            returned: emitter(events::RETURNED),
            refused: emitter(events::REFUSED),
            unreadable: emitter(events::UNREADABLE),
            quarantined: emitter(events::QUARANTINED),
        }
    }
}

fn enter(life: &Life, outcome: &Outcome, ledger: &Ledger, events: &Events, note: Note) {
    let sums = &outcome.0.sums;
    match note {
        Note::Counted { job, by, result, took } => {
            if !ledger.settle(job.number, by, life.system().owners()) {
                sums.lock().refused += 1;
                events.refused.emit(|| (fields! {}, fields! { file: Arc::clone(&job.text), holder: by }));
                return;
            }
            match result {
                Ok(counts) => {
                    outcome.0.durations.record(took);
                    events.counted.emit(|| {
                        (fields! { bytes: counts.bytes, duration: took }, fields! { file: Arc::clone(&job.text) })
                    });
                    sums.lock().tally.files.push((job.path, counts));
                }
                Err(why) => {
                    events.unreadable.emit(|| about_unreadable(Arc::clone(&job.text), &why));
                    sums.lock().tally.unreadable.push((job.path.to_path_buf(), why));
                }
            }
        }
        Note::Ended(Down { incarnation, exit, .. }) => {
            for mut job in ledger.reclaim(incarnation) {
                // Who was only told to stop was not killed by the file.
                job.attempt += u32::from(!exit.is_clean());
                if job.attempt >= MOST_KILLS {
                    events.quarantined.emit(|| (fields! {}, fields! { file: Arc::clone(&job.text) }));
                    sums.lock().quarantined.insert(job.path.to_path_buf());
                    continue;
                }
                events.returned.emit(|| {
                    let exit = exit.kind();
                    (fields! {}, fields! { file: Arc::clone(&job.text), attempt: job.attempt, exit: exit })
                });
                ledger.waiting().give_back(job).expect("it was received, and only this part closes the queue");
            }
        }
        Note::Unreadable(path, why) => {
            events.unreadable.emit(|| about_unreadable(path.to_string_lossy().into(), &why));
            sums.lock().tally.unreadable.push((path, why));
        }
        Note::Walked(found) => sums.lock().found = Some(found),
    }
}

fn about_unreadable(file: Arc<str>, why: &str) -> (Fields, Fields) {
    (fields! {}, fields! { file: file, reason: why.to_owned() })
}

fn obituaries(names: &Names) -> ChildSpec {
    let names = names.clone();
    let deaths = Queue::<Down>::bounded(65_536, Full::Refuse);
    let body = move |life: &Life| {
        names.enter(life, "obituaries", deaths.clone())?;
        life.ready();
        let totals = names.find::<Queue<Note>>("totals")?;
        while let Some(down) = life.next(&deaths)? {
            // Refused only when told to stop, and then all is over.
            if life.send(&totals, Note::Ended(down)).is_err() {
                break;
            }
        }
        Ok(())
    };
    ChildSpec::worker("obituaries", body).restart(Restart::Transient).ready_within(SECONDS_5)
}

fn warden(names: &Names) -> ChildSpec {
    let names = names.clone();
    let requests = Queue::<Arc<str>>::bounded(64, Full::Refuse);
    let body = move |life: &Life| {
        names.enter(life, "warden", requests.clone())?;
        life.ready();
        while let Some(child) = life.next(&requests)? {
            let tree = life.tree();
            let replaced =
                tree.terminate_child(&child, life.stop()).and_then(|()| tree.restart_child(&child, life.stop()));
            match replaced {
                Ok(_) | Err(ChildError::Over | ChildError::Stopped) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    };
    ChildSpec::worker("warden", body).restart(Restart::Transient).ready_within(SECONDS_5)
}

fn walker(root: Root, names: &Names) -> ChildSpec {
    let names = names.clone();
    let body = move |life: &Life| {
        let (files, totals) = (names.find::<Ledger>("files")?, names.find::<Queue<Note>>("totals")?);
        let (found, walked) =
            (life.system().telemetry().emitter(events::FOUND), life.system().telemetry().emitter(events::WALKED));
        if gives_up(life) {
            return Ok(());
        }
        let mut count = 0_u64;
        for entry in walk(&root) {
            let sent = match entry {
                Found::Directory => !life.told(),
                Found::File(path) => {
                    count += 1;
                    let text: Arc<str> = path.to_string_lossy().into();
                    found.emit(|| (fields! {}, fields! { file: Arc::clone(&text) }));
                    life.send(files.waiting(), Job { number: count, path: path.into(), text, attempt: 0 }).is_ok()
                }
                Found::Unreadable(path, why) => {
                    count += 1;
                    life.send(&totals, Note::Unreadable(path, why)).is_ok()
                }
            };
            if !sent {
                return Ok(());
            }
        }
        walked.emit(|| (fields! { files: count }, fields! {}));
        // Refused only when told to stop.
        _ = life.send(&totals, Note::Walked(count));
        Ok(())
    };
    ChildSpec::worker("walker", body).restart(Restart::Transient).stop_within(SECOND)
}

fn counter(number: usize, plan: Plan, names: &Names) -> ChildSpec {
    let name: Arc<str> = format!("counter-{number}").into();
    let (own, names) = (Arc::clone(&name), names.clone());
    let body = move |life: &Life| {
        let (files, totals) = (names.find::<Ledger>("files")?, names.find::<Queue<Note>>("totals")?);
        let deaths = names.find::<Queue<Down>>("obituaries")?;
        life.system().owners().monitor_into(life.incarnation(), &deaths)?;
        let leased = life.system().telemetry().emitter(events::LEASED);
        let both = plan.migration.as_ref().map(|migration| Both::new(life, migration)).transpose()?;
        let mut block = vec![0; BLOCK];
        while let Some(job) = files.lease(life)? {
            let about = fields! { file: Arc::clone(&job.text), attempt: job.attempt };
            let strike = plan.injection.strike(&job.path, job.attempt);
            let clock = life.system().clock();
            let mut work = || {
                leased.emit(|| (fields! {}, about.clone()));
                let started = clock.now();
                let counted = attempt(life, &plan.root.path.join(&job.path), &mut block, strike)?;
                let took = clock.now() - started;
                if strike == Some(Strike::IgnoreStop) {
                    ignore_stop(life, &names, &own)?;
                }
                Ok::<_, Failure>(counted.map(|result| (result, took)))
            };
            let counted = match &both {
                None => with(about.clone(), work),
                Some(both) => both.attempt(&job, &about, &mut work),
            };
            let Some((result, took)) = counted? else { return Ok(()) };
            // Sent past the fence, as a worker does that knows of none: `totals` has to refuse what is late.
            let note = Note::Counted { job, by: life.incarnation(), result, took };
            let patience = life.system().within(SECONDS_5);
            let sent = match strike {
                Some(Strike::IgnoreStop) => totals.send(note, patience),
                _ => life.send(&totals, note),
            };
            if sent.is_err() {
                return Ok(());
            }
        }
        Ok(())
    };
    ChildSpec::worker(name, body).restart(Restart::Transient).stop_within(COUNTER_STOPS_WITHIN)
}

/// Counts one file, if nothing strikes. `None`: told to stop.
fn attempt(
    life: &Life,
    path: &Path,
    block: &mut [u8],
    strike: Option<Strike>,
) -> Result<Option<Result<Counts, String>>, Failure> {
    match strike {
        Some(Strike::PanicBefore) => panic!("injected before counting"),
        Some(Strike::Error) => return Err(Failure::new("injected instead of counting")),
        _ => {}
    }
    let counted = File::open(path).and_then(|mut file| {
        let half = match strike {
            Some(Strike::PanicMiddle) => file.metadata()?.len() / 2,
            _ => u64::MAX,
        };
        count(&mut file, block, |bytes| {
            assert!(bytes < half, "injected in the middle of counting");
            Ok::<_, io::Error>(!life.told())
        })
    });
    match strike {
        Some(Strike::PanicAfter) => panic!("injected after counting"),
        // An empty file has no middle, and one that can't be read is not read half.
        Some(Strike::PanicMiddle) => panic!("injected instead of the middle of counting"),
        _ => {}
    }
    match counted {
        Ok(None) => Ok(None),
        Ok(Some(counts)) => Ok(Some(Ok(counts))),
        Err(error) => Ok(Some(Err(error.to_string()))),
    }
}

/// Asks to be replaced, then ignores the stop until it is given up: what it has in hand now counts no more.
fn ignore_stop(life: &Life, names: &Names, own: &Arc<str>) -> Result<(), Failure> {
    let own_end = life.system().owners().monitor(life.incarnation());
    let warden = names.find::<Queue<Arc<str>>>("warden")?;
    if warden.try_send(Arc::clone(own)).is_ok() {
        own_end.recv(life.system().within(SECONDS_5))?;
    }
    Ok(())
}
