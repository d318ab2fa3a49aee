//! What is heard of a file, and when.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use super::Watch;
use crate::{Clock, Mutex, SECOND, Stop, thread};

/// Somebody who waits for one change. Whoever never hears of anything never ends, so it is left alone.
struct Waiting {
    stop: Stop,
    result: Arc<Mutex<Option<io::Result<bool>>>>,
    watch: Arc<Mutex<Option<Watch>>>,
}

impl Waiting {
    fn new(mut watch: Watch) -> Self {
        let waiting = Self { stop: Stop::new(), result: Arc::default(), watch: Arc::default() };
        let (stop, result, back) = (waiting.stop.clone(), Arc::clone(&waiting.result), Arc::clone(&waiting.watch));
        let body = move || {
            let heard = watch.wait(&stop);
            *back.lock() = Some(watch);
            *result.lock() = Some(heard);
        };
        drop(thread::Builder::new("watch").spawn(body).expect("there is a thread"));
        waiting
    }

    /// What came of it, and the watch for the next one.
    #[track_caller]
    fn ended(self) -> (io::Result<bool>, Watch) {
        let until = Clock::system().within(SECOND * 60);
        loop {
            if let Some(result) = self.result.lock().take() {
                return (result, self.watch.lock().take().expect("it was given back before"));
            }
            assert!(!until.passed(), "it does not end");
            thread::yield_now();
        }
    }

    #[track_caller]
    fn told_to_stop(self) -> Watch {
        self.stop.tell();
        let (result, watch) = self.ended();
        assert!(matches!(result, Ok(false)), "{result:?}");
        watch
    }
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("settings");
    (directory, file)
}

fn watch(file: &Path) -> Watch {
    Watch::new(file).expect("its directory is there")
}

#[track_caller]
fn check_hears(watch: Watch, file: &Path) -> Watch {
    let waiting = Waiting::new(watch);
    // Whoever waits may watch only by now.
    let until = Clock::system().within(SECOND * 60);
    while waiting.result.lock().is_none() && !until.passed() {
        fs::write(file, "volume = 11").expect("there is room");
        thread::yield_now();
    }
    let (result, watch) = waiting.ended();
    assert!(matches!(result, Ok(true)), "{result:?}");
    watch
}

#[test]
fn after_a_stop_the_next_wait_hears_of_changes_and_of_its_own_stop() {
    let (_directory, file) = place();
    let mut watch = watch(&file);
    // In some of the rounds it waits already when it is told.
    for round in 0..100 {
        let waiting = Waiting::new(watch);
        (0..round).for_each(|_| thread::yield_now());
        watch = waiting.told_to_stop();
    }
    drop(check_hears(watch, &file));
}

#[test]
fn a_directory_that_is_gone_is_an_error_as_long_as_it_is_gone() {
    let (directory, file) = place();
    let gone = |result: &io::Result<bool>| matches!(result, Err(error) if error.kind() == io::ErrorKind::NotFound);
    let waiting = Waiting::new(watch(&file));
    fs::remove_dir(directory.path()).expect("it is empty");
    let (result, watch) = waiting.ended();
    assert!(gone(&result), "{result:?}");
    let (result, watch) = Waiting::new(watch).ended();
    assert!(gone(&result), "{result:?}");
    fs::create_dir(directory.path()).expect("its place is free");
    let watch = check_hears(watch, &file);

    let elsewhere = directory.path().with_extension("elsewhere");
    let waiting = Waiting::new(watch);
    fs::rename(directory.path(), &elsewhere).expect("it is there");
    let (result, watch) = waiting.ended();
    // What was written last may be heard of before.
    let (result, watch) = if matches!(result, Ok(true)) { Waiting::new(watch).ended() } else { (result, watch) };
    assert!(gone(&result), "{result:?}");
    fs::rename(&elsewhere, directory.path()).expect("its place is free");
    drop(check_hears(watch, &file));
}

#[test]
fn what_happens_between_two_waits_is_heard_by_the_second() {
    let (_directory, file) = place();
    let mut watch = watch(&file);
    for count in 0..3 {
        fs::write(&file, count.to_string()).expect("there is room");
        assert!(watch.wait(&Stop::new()).expect("its directory is there"));
    }
    let told = Stop::new();
    told.tell();
    fs::write(&file, "told").expect("there is room");
    assert!(!watch.wait(&told).expect("its directory is there"), "it was told before it began");
}
