//! A file that is reloaded when it is changed.

use std::{fs, io, os::unix::fs::symlink, path::PathBuf, sync::Arc};

use foundation_flags::{FILE_REFUSED, Flags, WatchError, What};
use foundation_sync::{Clock, Deadline, Errand, Errands, Full, Mutex, Queue, Stop, thread};
use foundation_testkit::{TestUniverse, patience, wait_for};

use crate::{
    file::{FREE, place, plan, start},
    soon,
};

/// Somebody who watches, until the guard is dropped.
struct Watching {
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
    ended: Arc<Mutex<Option<Result<(), WatchError>>>>,
}

impl Watching {
    fn new(flags: &Flags) -> Self {
        let (stop, ended) = (Stop::new(), Arc::new(Mutex::new(None)));
        let (flags, until, says) = (flags.clone(), stop.clone(), Arc::clone(&ended));
        let body = move || {
            let result = flags.watch_file("the file", &until);
            *says.lock() = Some(result);
        };
        let thread = thread::Builder::new("flags file").spawn(body).expect("there is a thread");
        Self { stop, thread: Some(thread), ended }
    }

    fn end(mut self) -> Option<Result<(), WatchError>> {
        self.stop.tell();
        self.thread.take().expect("it is there").join().expect("it does not panic");
        self.ended.lock().take()
    }
}

fn beside(file: &PathBuf, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).expect("there is room");
    fs::rename(&new, file).expect("it is there");
}

#[test]
fn what_a_person_changes_is_taken_up_by_itself_however_it_is_written() {
    let (_directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    fs::write(&file, "[flags]\nfree = true\n").expect("there is room");
    let watching = Watching::new(&flags);
    wait_for(|| flags.enabled(&FREE)); // it was changed before anybody watched
    fs::write(&file, "[flags]\nfree = false\n").expect("there is room");
    wait_for(|| !flags.enabled(&FREE));
    beside(&file, "[flags]\nfree = true\n");
    wait_for(|| flags.enabled(&FREE));
    fs::remove_file(&file).expect("it is there");
    symlink("elsewhere", &file).expect("its place is free");
    fs::write(file.with_file_name("elsewhere"), "[flags]\nfree = false\n").expect("there is room");
    wait_for(|| !flags.enabled(&FREE));
    fs::write(file.with_file_name("elsewhere"), "[flags]\nfree = true\n").expect("there is room");
    wait_for(|| flags.enabled(&FREE));
    let changes = flags.history();
    assert!(changes.iter().all(|change| change.what == What::Reloaded && &*change.by == "the file"), "{changes:?}");
    assert_eq!(changes.len(), 5);
    assert!(matches!(watching.end(), Some(Ok(()))));
}

#[test]
fn a_directory_on_the_way_that_is_a_link_may_be_made_to_point_elsewhere() {
    let (directory, file) = place();
    for (version, text) in [("1", "[flags]\nfree = true\n"), ("2", "[flags]\nfree = false\n")] {
        fs::create_dir(directory.path().join(version)).expect("there is room");
        fs::write(directory.path().join(version).join("flags.toml"), text).expect("there is room");
    }
    symlink("1", directory.path().join("now")).expect("there is room");
    symlink("now/flags.toml", &file).expect("there is room");
    let flags = start(&file).expect("it is well formed");
    assert!(flags.enabled(&FREE));
    let watching = Watching::new(&flags);
    symlink("2", directory.path().join("next")).expect("there is room");
    fs::rename(directory.path().join("next"), directory.path().join("now")).expect("it is there");
    wait_for(|| !flags.enabled(&FREE));
    fs::write(directory.path().join("2/flags.toml"), "[flags]\nfree = true\n").expect("there is room");
    wait_for(|| flags.enabled(&FREE));
    assert!(matches!(watching.end(), Some(Ok(()))));
}

#[test]
fn what_can_not_be_taken_up_is_told_and_looked_at_again_when_it_is_mended() {
    let t = TestUniverse::new();
    let (_directory, file) = place();
    let builder = Flags::builder().flag(&FREE).plan(plan()).file(&file).telemetry(t.telemetry());
    let flags = builder.start().expect("there is no file yet");
    flags.advance_to(1, "alice", "day 1", soon()).expect("it is next");
    let capture = t.capture_telemetry(FILE_REFUSED);
    let watching = Watching::new(&flags);
    fs::write(&file, "[flags]\nfre = true\n").expect("there is room");
    wait_for(|| flags.status().reload_error.is_some_and(|error| error.contains("flags.toml:2:1: unknown flag `fre`")));
    wait_for(|| !capture.take().is_empty());
    assert_eq!(flags.status().version, 1, "the last good state is kept");
    fs::write(&file, "[flags]\nfree = true\n").expect("there is room");
    wait_for(|| flags.enabled(&FREE) && flags.status().reload_error.is_none());
    assert_eq!(flags.status().stage, 1);
    assert!(matches!(watching.end(), Some(Ok(()))));
}

#[test]
fn its_own_writing_is_no_change_and_what_is_heard_while_one_waits_is_one_errand() {
    let (_directory, file) = place();
    let later = Queue::<Errand>::bounded(100, Full::Refuse);
    let takes = later.clone();
    let errands = Errands::new(move |errand| takes.try_send(errand).map_err(|refused| refused.into_inner()));
    let flags = Flags::builder().flag(&FREE).errands(&errands).file(&file).start().expect("there is no file yet");
    let watching = Watching::new(&flags);
    let next = || later.recv(Clock::system().within(patience())).expect("it comes")();
    next(); // it looks when it begins
    for on in [true, false, true] {
        flags.change("carol", "try").set(&FREE, on).apply(soon()).expect("it is free");
        // What follows the change, and what was heard of.
        next();
        next();
    }
    // Heard twice, so that whatever comes of the first is answered when the second is.
    for _ in 0..2 {
        for _ in 0..20 {
            fs::write(&file, fs::read(&file).expect("it is there")).expect("there is room");
        }
        next();
    }
    assert_eq!(flags.view().version(), 3, "it says what it said");
    assert!(later.drain().len() <= 1, "what waits is one");
    assert!(matches!(watching.end(), Some(Ok(()))));
}

#[test]
fn a_directory_that_goes_is_an_error_and_without_a_file_there_is_nothing_to_watch() {
    let (directory, file) = place();
    let flags = start(&file).expect("there is no file yet");
    let watching = Watching::new(&flags);
    fs::write(&file, "[flags]\nfree = true\n").expect("there is room");
    wait_for(|| flags.enabled(&FREE));
    fs::remove_dir_all(directory.path()).expect("it is there");
    wait_for(|| watching.ended.lock().is_some());
    let ended = watching.end().expect("it ended");
    assert!(matches!(&ended, Err(WatchError::System(error)) if error.kind() == io::ErrorKind::NotFound), "{ended:?}");
    let ended = flags.watch_file("x", &Stop::new()).expect_err("it is gone").to_string();
    assert!(ended.contains("its directory has to be there"), "{ended}");
    let without = Flags::builder().flag(&FREE).start().expect("it is one flag");
    assert!(matches!(without.watch_file("x", &Stop::new()), Err(WatchError::NoFile)));
    let told = Stop::new();
    told.tell();
    fs::create_dir(directory.path()).expect("its place is free");
    flags.watch_file("x", &told).expect("it was told to stop before it began");
    assert_eq!(
        flags.reload("dora", Deadline::now()).map_err(|error| error.to_string().contains("not there")),
        Err(true)
    );
}
