//! The demo as people meet it: the built program in a process of its own, and its pipeline in a universe of the test's.
#![cfg(not(any(loom, shuttle)))]

use std::{
    collections::{BTreeSet, HashSet},
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read},
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use demo::{
    events,
    inject::{Injection, MOST_STRIKES, Strike},
    pipeline::{Outcome, Plan},
    sequential,
    tally::Tally,
    walk::{Found, Root, walk},
};
use foundation_registry::{Cause, Exit};
use foundation_supervisor::{CRASHED, Tree};
use foundation_sync::{Clock, Deadline, Full, Queue, RecvError, thread};
use foundation_telemetry::EventName;
use foundation_testkit::{TestUniverse, deep, patience, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// How long a run of the program may take: none here has that much to do, on however slow a machine.
fn ample() -> Duration {
    patience() * 6
}

/// The program, while it runs. Dropped, it is killed.
struct Program {
    process: Child,
    out: Queue<String>,
    err: Queue<String>,
}

/// What a run of the program came to.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Program {
    #[track_caller]
    fn start(arguments: &[&OsStr]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(arguments)
            // Thousands of crashes are to be reported: without their backtraces.
            .env_remove("RUST_BACKTRACE")
            .env_remove("RUST_LIB_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let out = lines("stdout", process.stdout.take().expect("it is piped"));
        let err = lines("stderr", process.stderr.take().expect("it is piped"));
        Self { process, out, err }
    }

    /// The first line that it prints: the run is under way.
    #[track_caller]
    fn first_line(&self) -> String {
        self.out.recv(Clock::system().within(ample())).expect("it says what it is about to do")
    }

    #[track_caller]
    fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "the program had ended before it was interrupted");
    }

    /// Waits for its end, and returns what it had printed that nobody took before.
    #[track_caller]
    fn finish(mut self, within: Duration) -> Ended {
        let until = Clock::system().within(within);
        let rest = |lines: &Queue<String>| {
            let mut text = String::new();
            loop {
                match lines.recv(&until) {
                    Ok(line) => text += &(line + "\n"),
                    Err(RecvError::Closed) => return text,
                    Err(_) => panic!("the program still runs after {within:?}; it has printed:\n{text}"),
                }
            }
        };
        let (out, err) = (rest(&self.out), rest(&self.err));
        let code = wait_for(|| self.process.try_wait().expect("it is ours")).code();
        Ended { code, out, err }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fine if it has ended.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Reads lines on a thread of its own, until the other end is closed.
fn lines(name: &str, source: impl Read + Send + 'static) -> Queue<String> {
    let lines = Queue::bounded(1_000_000, Full::Wait);
    let read = lines.clone();
    let body = move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            if read.send(String::from_utf8_lossy(&line).into_owned(), Deadline::never()).is_err() {
                break;
            }
        }
        read.close();
    };
    drop(thread::Builder::new(name).spawn(body).expect("a thread can be started"));
    lines
}

/// What nobody reads.
fn closed() -> Queue<String> {
    let none = Queue::bounded(1, Full::Refuse);
    none.close();
    none
}

#[track_caller]
fn run(arguments: &[&OsStr]) -> Ended {
    Program::start(arguments).finish(ample())
}

/// Runs the program over a directory and gives what it printed and its JSON.
#[track_caller]
fn count(path: &Path, arguments: &[&str]) -> (Ended, Value) {
    let place = directory();
    let file = place.path().join("result.json");
    let mut all = vec![path.as_os_str(), OsStr::new("--json"), file.as_os_str()];
    all.extend(arguments.iter().map(OsStr::new));
    let ended = run(&all);
    let json = fs::read(&file).unwrap_or_else(|error| panic!("no JSON was written: {error}\n{ended:#?}"));
    (ended, serde_json::from_slice(&json).expect("it is JSON"))
}

const FIVE: [&str; 5] = ["files", "bytes", "lines", "words", "digest"];

fn five(of: &Value) -> [Value; 5] {
    FIVE.map(|name| of[name].clone())
}

/// The same, of a run that has to end well, with nothing lost.
#[track_caller]
fn count_well(path: &Path, arguments: &[&str]) -> Value {
    let (ended, json) = count(path, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
    assert_eq!(ended.out.lines().last(), Some("nothing was lost"), "{ended:#?}");
    assert_eq!(json["equal"], true, "{json:#}");
    assert_eq!(five(&json), five(&json["expected"]), "{json:#}");
    assert_eq!([&json["quarantined"], &json["lost"]], [0, 0], "{json:#}");
    json
}

/// Files, bytes, lines, words.
fn numbers(json: &Value) -> [Option<u64>; 4] {
    [0, 1, 2, 3].map(|at| json[FIVE[at]].as_u64())
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

fn write(root: &Path, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("it is below the root")).expect("a directory can be made");
    fs::write(path, content).expect("a file can be written");
}

fn with_files(files: &[(&str, &str)]) -> TempDir {
    let dir = directory();
    files.iter().for_each(|(name, content)| write(dir.path(), name, content));
    dir
}

/// So many small files, in directories of 100, and their paths.
fn with_small_files(many: usize) -> (TempDir, Vec<PathBuf>) {
    let dir = directory();
    let name = |number: usize| PathBuf::from(format!("{:03}/file-{number}", number / 100));
    let names: Vec<_> = (0..many).map(name).collect();
    for (number, name) in names.iter().enumerate() {
        if number % 100 == 0 {
            fs::create_dir(dir.path().join(name).with_file_name("")).expect("a directory can be made");
        }
        fs::write(dir.path().join(name), format!("number {number:06}\n")).expect("a file can be written");
    }
    (dir, names)
}

/// Panics, errors and ignored stops that this injection has for these files.
fn predicted(injection: &Injection, files: &[PathBuf]) -> [u64; 3] {
    let mut kinds = [0; 3];
    for file in files {
        for strike in (0..MOST_STRIKES).map_while(|attempt| injection.strike(file, attempt)) {
            kinds[match strike {
                Strike::Error => 1,
                Strike::IgnoreStop => 2,
                _ => 0,
            }] += 1;
        }
    }
    kinds
}

/// Each crash that was injected came about and was reported, and no other. Of abandonments there may be more: on a busy
/// machine a worker that has nothing to do any more may take too long to stop.
#[track_caller]
fn check_crashes(json: &Value, injection: Injection, files: &[PathBuf]) -> [u64; 3] {
    let kinds = predicted(&injection, files);
    let reported = ["panicked", "failed", "abandoned"].map(|kind| json["crashes_by_kind"][kind].as_u64().unwrap_or(0));
    assert_eq!(reported[..2], kinds[..2], "{injection:?}: {json:#}");
    assert!(reported[2] >= kinds[2], "{injection:?}: {kinds:?}, {json:#}");
    assert_eq!((&json["abandoned"], &json["crashes"]), (&reported[2].into(), &reported.iter().sum::<u64>().into()));
    kinds
}

/// Counts these files while every file is struck as often as may be.
#[track_caller]
fn check_through_crashes(files: &[(&[u8], &[u8])], expected: [u64; 4]) {
    let dir = directory();
    files.iter().for_each(|(name, content)| write(dir.path(), OsStr::from_bytes(name), content));
    let json = count_well(dir.path(), &["--crash-rate", "1"]);
    assert_eq!(numbers(&json), expected.map(Some), "{json:#}");
    let paths: Vec<_> = files.iter().map(|(name, _)| PathBuf::from(OsStr::from_bytes(name))).collect();
    let kinds = check_crashes(&json, Injection { rate: 1.0, seed: 1 }, &paths);
    assert_eq!(kinds.iter().sum::<u64>(), 2 * files.len() as u64, "each file is struck twice: {kinds:?}");
}

fn mkfifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo is there").success(), "{}", path.display());
}

fn root(path: &Path) -> Root {
    Root { path: path.to_owned(), without_build: false }
}

/// The plain loop's pass.
fn plain(path: &Path) -> Tally {
    let mut tally = sequential::run(&root(path), &AtomicUsize::new(0)).expect("nobody interrupts it");
    tally.sort();
    tally
}

/// The pipeline, in a universe of the test's own.
struct Pipeline {
    tree: Tree,
    outcome: Outcome,
}

const NO_CRASHES: Injection = Injection { rate: 0.0, seed: 0 };

impl Pipeline {
    #[track_caller]
    fn start(t: &TestUniverse, path: &Path, workers: usize, injection: Injection) -> Self {
        let outcome = Outcome::default();
        let plan = Plan { root: root(path), workers, injection, migration: None };
        let tree = plan.start(t, &outcome).expect("the parts start");
        Self { tree, outcome }
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    fn finish(&self, t: &TestUniverse) -> Tally {
        let exit = self.tree.wait(t.within(patience()));
        assert_eq!(exit, Ok(Exit::Shutdown(Cause::Requested)), "{t:?}");
        let mut tally = self.outcome.take_tally();
        tally.sort();
        tally
    }
}

/// Holds whoever emits this event until the gate is closed.
#[track_caller]
fn hold_at(t: &TestUniverse, event: EventName) -> Queue<()> {
    let gate = Queue::bounded(1, Full::Refuse);
    let (held, until) = (gate.clone(), t.within(patience()));
    // Closed: go on.
    t.telemetry().attach("gate", event, move |_| _ = held.recv(&until)).expect("there is one gate");
    gate
}

/// The first seed with which the attempts of this file go so.
fn seed_with(rate: f64, file: &str, strikes: [Option<Strike>; 2]) -> Injection {
    let goes_so = |injection: &Injection| {
        let attempts = (0_u32..).zip(strikes);
        attempts.into_iter().all(|(attempt, strike)| injection.strike(Path::new(file), attempt) == strike)
    };
    (0..1_000_000).map(|seed| Injection { rate, seed }).find(goes_so).expect("one seed of so many does")
}

#[test]
fn a_directory_is_counted_and_every_number_agrees() {
    let long = "word ".repeat(100_000);
    let dir = with_files(&[("a", "two words\n"), (".hidden", "h"), ("empty", ""), ("long", &long)]);
    write(dir.path(), ".dir/.deep/spaces", b" a\tb\x0bc\x0cd\re\n\n");
    write(dir.path(), "binary", b"\xff\x00\n\x80 \xc3\x28");

    let json = count_well(dir.path(), &["--crash-rate", "0"]);
    let files = 6;
    assert_eq!(numbers(&json), [files, 10 + 1 + 500_000 + 12 + 7, 1 + 2 + 1, 2 + 1 + 100_000 + 5 + 3].map(Some));
    let digest = json["digest"].as_str().expect("it is text");
    assert!(digest.len() == 32 && digest.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digest}");
    check_crashes(&json, NO_CRASHES, &[]);
    assert_eq!(json["restarts"], 0, "{json:#}");
    assert!(json["events"].as_u64() >= Some(3 * files), "found, leased, counted: {json:#}");
    let time = |name| json[name].as_f64().unwrap_or_else(|| panic!("{name} is no number: {json:#}"));
    assert!(time("seconds") > 0.0 && time("sequential_seconds") > 0.0, "{json:#}");
    let percentiles = ["p50_us", "p95_us", "p99_us"].map(time);
    assert!(percentiles[0] > 0.0 && percentiles.is_sorted(), "{percentiles:?}");
}

#[test]
fn people_see_both_results_side_by_side_and_what_crashed() {
    let dir = with_files(&[("a", "one\n"), ("b", "two\n")]);
    let (ended, json) = count(dir.path(), &["--crash-rate=1", "--workers", "3", "--seed", "7"]);
    let first = ended.out.lines().next().unwrap_or_default();
    for part in [&*dir.path().to_string_lossy(), "3 workers", "crash rate 1,", "seed 7;", "restart intensity"] {
        assert!(first.contains(part), "{part:?} in {first:?}");
    }
    let row = |name: &str| {
        let row = ended.out.lines().find_map(|line| line.strip_prefix(name));
        row.unwrap_or_else(|| panic!("no {name}: {ended:#?}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for name in FIVE {
        let (ours, theirs) = (&json[name], &json["expected"][name]);
        assert_eq!(row(name), format!("{ours} {theirs} equal").replace('"', ""));
    }
    assert!(row("crashes").starts_with(&format!("{} (", json["crashes"])), "{ended:#?}");
    assert!(row("crashes").contains(&format!("{} restarts", json["restarts"])), "{ended:#?}");
    assert!(row("per file").starts_with("p50"), "{ended:#?}");
    assert_eq!(row("events"), format!("{} emitted, 0 lost", json["events"]));
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_prints() {
    let dir = with_files(&[("a", "x")]);
    let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    drop(process.stdout.take());
    let err = lines("stderr", process.stderr.take().expect("it is piped"));
    let ended = Program { process, out: closed(), err }.finish(ample());
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:#?}");
}

#[test]
fn the_digest_is_of_paths_and_contents_wherever_they_are() {
    let digest = |files: &[(&str, &str)]| plain(with_files(files).path()).totals().digest;
    let one = digest(&[("a", "x"), ("b", "y")]);
    assert_eq!(digest(&[("b", "y"), ("a", "x")]), one, "written in another order, in another place");
    let others = [
        digest(&[("a", "y"), ("b", "x")]),
        digest(&[("a", "x"), ("c", "y")]),
        digest(&[("a", "xy"), ("b", "")]),
        digest(&[("a", "x"), ("d/b", "y")]),
        digest(&[("a", "x")]),
        digest(&[]),
    ];
    let different: HashSet<_> = others.iter().chain([&one]).collect();
    assert_eq!(different.len(), others.len() + 1, "{one} {others:?}");
}

#[test]
fn symbolic_links_are_not_followed_and_what_is_no_regular_file_is_not_counted() {
    let (outside, dir) = (with_files(&[("a", "1\n"), ("b", "2\n")]), with_files(&[("sub/real", "one two\n")]));
    for (target, link) in [
        (outside.path().join("a"), "to-a-file"),
        (outside.path().to_owned(), "to-a-directory"),
        (dir.path().to_owned(), "sub/loop"),
        (PathBuf::from("itself"), "itself"),
        (PathBuf::from("nothing"), "dangling"),
    ] {
        symlink(target, dir.path().join(link)).expect("a link can be made");
    }
    mkfifo(&dir.path().join("pipe"));

    let json = count_well(dir.path(), &[]);
    assert_eq!(numbers(&json), [1, 8, 1, 2].map(Some), "{json:#}");
    assert_eq!(json["unreadable"], 0, "{json:#}");

    let (whole, link) = (five(&json), outside.path().join("link"));
    symlink(dir.path(), &link).expect("a link can be made");
    assert_eq!(five(&count_well(&link, &[])), whole, "PATH itself may be a link to a directory");
}

#[test]
fn only_in_the_workspace_are_target_and_git_left_out_and_only_at_the_top() {
    let dir =
        with_files(&[("target/x", ""), (".git/x", ""), ("sub/target/x", ""), ("sub/.git/x", ""), (".github", "")]);
    let found = |without_build| {
        let file = |found| match found {
            Found::File(path) => Some(path.to_string_lossy().into_owned()),
            Found::Directory => None,
            Found::Unreadable(path, why) => panic!("{}: {why}", path.display()),
        };
        walk(&Root { path: dir.path().to_owned(), without_build }).filter_map(file).collect::<BTreeSet<_>>()
    };
    let expected = [".github", "sub/.git/x", "sub/target/x"];
    assert_eq!(found(true), expected.map(str::to_owned).into());
    assert_eq!(found(false).len(), 5);
}

#[test]
fn without_a_path_the_workspace_is_counted() {
    let program = Program::start(&[]);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in a workspace");
    let line = program.first_line();
    assert!(line.contains(&format!("{} ", workspace.display())), "{line}");
}

#[test]
fn through_crashes_the_totals_are_equal_and_who_crashes_is_a_function_of_seed_path_and_attempt() {
    let (dir, files) = with_small_files(40);
    let mut seen = HashSet::new();
    for (rate, seed) in [(1.0, 1), (1.0, 2), (1.0, 3), (0.2, 1), (0.2, 2), (0.2, 3), (0.2, 4)] {
        let json = count_well(dir.path(), &["--crash-rate", &rate.to_string(), "--seed", &seed.to_string()]);
        assert_eq!(numbers(&json), [40, 40 * 14, 40, 80].map(Some), "{json:#}");
        let kinds = check_crashes(&json, Injection { rate, seed }, &files);
        assert!(json["restarts"].as_u64() > Some(0), "{json:#}");
        seen.insert(kinds);
    }
    assert!(seen.len() > 2, "another seed crashes others: {seen:?}");
}

#[test]
fn one_worker_is_restarted_after_each_panic_and_each_error() {
    let dir = with_files(&[("a", "x"), ("b", "y"), ("c", "z")]);
    let json = count_well(dir.path(), &["--crash-rate", "1", "--workers", "1"]);
    let injection = Injection { rate: 1.0, seed: 1 };
    let kinds = check_crashes(&json, injection, &["a".into(), "b".into(), "c".into()]);
    assert_eq!(json["restarts"], kinds[0] + kinds[1], "{json:#}");
}

#[test]
fn an_empty_directory_is_counted() {
    check_through_crashes(&[], [0, 0, 0, 0]);
}

#[test]
fn one_file_is_counted() {
    check_through_crashes(&[(b"one", b"a single file\n")], [1, 14, 1, 3]);
}

#[test]
fn files_of_0_bytes_are_counted() {
    check_through_crashes(&[(b"a", b""), (b"b", b""), (b"c/d", b"")], [3, 0, 0, 0]);
}

#[test]
fn content_and_names_need_not_be_utf_8() {
    let content = b"\xff\xfe\x00\n\xc3\x28 \x80";
    // The first two look the same to whoever replaces what is no text.
    check_through_crashes(&[(b"\xff", content), (b"\xfe", content), (b"\xc3\x28/\x80", content)], [3, 24, 3, 9]);
}

#[test]
fn names_may_hold_newlines_and_other_control_characters() {
    check_through_crashes(&[(b"a\nb", b"one"), (b"\n", b"two"), (b"c\r\x1b[31m/d\t", b"three")], [3, 11, 0, 3]);
}

#[test]
fn deep_nesting_is_walked_to_its_end() {
    let deep = format!("{}file", "d/".repeat(1000));
    check_through_crashes(&[(deep.as_bytes(), b"down here\n"), (b"d/file", b"")], [2, 10, 1, 2]);
}

#[test]
fn however_many_workers_count_the_numbers_are_the_same() {
    let (dir, _) = with_small_files(60);
    let by = |workers| five(&count_well(dir.path(), &["--workers", workers, "--crash-rate", "0.2"]));
    let one = by("1");
    assert_eq!(by("2"), one);
    assert_eq!(by("8"), one);
}

#[test]
fn by_default_two_attempts_of_a_hundred_crash() {
    let (dir, files) = with_small_files(300);
    let json = count_well(dir.path(), &[]);
    let kinds = check_crashes(&json, Injection { rate: 0.02, seed: 1 }, &files);
    assert!(kinds[0] + kinds[1] > 0, "{kinds:?}");
}

#[test]
fn many_small_files_are_counted_through_crashes() {
    let many = if deep() { 100_000 } else { 5_000 };
    let (dir, _) = with_small_files(many);
    let json = count_well(dir.path(), &["--crash-rate", "0.05"]);
    let many = many as u64;
    assert_eq!(numbers(&json), [many, many * 14, many, many * 2].map(Some), "{json:#}");
    assert!(json["restarts"].as_u64() > Some(many / 50), "{json:#}");
}

/// What every migration comes to, besides equal totals.
#[track_caller]
fn migrate_well(path: &Path, arguments: &[&str]) -> Value {
    let all: Vec<_> = ["--migrate"].iter().chain(arguments).copied().collect();
    let json = count_well(path, &all);
    assert_eq!(
        [&json["spans_open_at_end"], &json["broken_promises"], &json["old_guards_at_end"]],
        [0, 0, 0],
        "{json:#}"
    );
    assert_eq!(json["queued_heard"], json["files"], "{json:#}");
    let switches = json["switches"].as_object().expect("it is a table");
    assert!(switches.values().all(|seconds| seconds.as_f64() <= json["seconds"].as_f64()), "{json:#}");
    json
}

/// The stages that were entered.
fn entered(json: &Value) -> Vec<&str> {
    json["switches"].as_object().into_iter().flat_map(|switches| switches.keys().map(String::as_str)).collect()
}

#[test]
fn a_run_that_migrates_is_rolled_back_by_its_guard_and_ends_at_the_last_stage() {
    let (dir, files) = with_small_files(300);
    let json = migrate_well(dir.path(), &[]);
    assert_eq!([&json["stage_reached"], &json["rollbacks"]], [5, 1], "{json:#}");
    assert_eq!(entered(&json), ["1", "2", "3", "4", "5"]);
    assert!(json["duplicates_suppressed"].as_u64() > Some(files.len() as u64 / 2), "{json:#}");
    for files in [0, 1] {
        let (dir, _) = with_small_files(files);
        let json = migrate_well(dir.path(), &[]);
        assert_eq!([&json["stage_reached"], &json["rollbacks"]], [5, 1], "{files} files: {json:#}");
    }
    let (ended, _) = count(dir.path(), &["--migrate"]);
    assert!(ended.out.contains("1 rollbacks; at the end stage 5"), "{ended:#?}");
}

#[test]
fn a_run_with_an_emergency_ends_at_stage_0_with_equal_totals() {
    let (dir, _) = with_small_files(300);
    for (share, stages) in [("0", &["0"][..]), ("0.3", &["0", "1", "2"]), ("1", &["0", "1", "2", "3", "4", "5"])] {
        let json = migrate_well(dir.path(), &["--emergency-at", share]);
        assert_eq!(json["stage_reached"], 0, "{json:#}");
        assert_eq!(json["rollbacks"], i32::from(share != "0"), "{json:#}");
        assert_eq!(entered(&json), stages, "{json:#}");
    }
}

#[test]
fn a_run_without_a_migration_says_nothing_of_one() {
    let (dir, _) = with_small_files(1);
    let json = count_well(dir.path(), &[]);
    assert!(json.get("stage_reached").is_none() && json.get("switches").is_none(), "{json:#}");
}

#[test]
fn a_path_that_is_no_directory_is_refused_with_one_line_that_names_it() {
    let dir = with_files(&[("file", "content")]);
    symlink("nothing", dir.path().join("dangling")).expect("a link can be made");
    for name in ["missing", "file", "file/below", "dangling"] {
        let path = dir.path().join(name);
        let ended = run(&[path.as_os_str()]);
        assert_eq!(ended.code, Some(2), "{name}: {ended:#?}");
        assert_eq!(ended.err.lines().count(), 1, "{name}: {ended:#?}");
        assert!(ended.err.contains(&*path.to_string_lossy()), "{name}: {ended:#?}");
        assert_eq!(ended.out, "", "{name}");
    }
}

#[test]
fn a_wrong_call_is_refused_and_says_what_is_wrong() {
    let dir = directory();
    let table: &[(&[&str], &str)] = &[
        (&["--crash-rate", "2"], "--crash-rate"),
        (&["--crash-rate", "1.0001"], "--crash-rate"),
        (&["--crash-rate=-1"], "--crash-rate"),
        (&["--crash-rate", "-1"], "-1"),
        (&["--crash-rate", "nan"], "--crash-rate"),
        (&["--crash-rate", "inf"], "--crash-rate"),
        (&["--crash-rate", "x"], "--crash-rate"),
        (&["--crash-rate"], "--crash-rate"),
        (&["--workers", "0"], "--workers"),
        (&["--workers", "-1"], "-1"),
        (&["--workers", "two"], "--workers"),
        (&["--seed", "x"], "--seed"),
        (&["--json"], "--json"),
        (&["--no-such-option"], "--no-such-option"),
        (&["--emergency-at", "0.5"], "--migrate"),
        (&["--migrate", "--emergency-at", "2"], "--emergency-at"),
        (&["--migrate", "--crash-rate", "0.2"], "--migrate needs a --crash-rate of at most 0.1, not 0.2"),
        (&["a second path"], "a second path"),
    ];
    for (arguments, named) in table {
        let mut all = vec![dir.path().as_os_str()];
        all.extend(arguments.iter().map(OsStr::new));
        let ended = run(&all);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:#?}");
        assert!(ended.err.contains(named), "{arguments:?}: {ended:#?}");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let ended = run(&[OsStr::new("--help")]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for option in [
        "cargo xtask demo",
        "[PATH]",
        "--workers",
        "--crash-rate",
        "--seed",
        "--migrate",
        "--emergency-at",
        "--json",
        "--help",
    ] {
        assert!(ended.out.contains(option), "{option}: {ended:#?}");
    }
    assert_eq!(ended.err, "");
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_that_names_the_place() {
    let dir = with_files(&[("a", "x")]);
    for place in [dir.path().join("missing/result.json"), dir.path().to_owned()] {
        let ended = run(&[dir.path().as_os_str(), OsStr::new("--json"), place.as_os_str()]);
        assert!(ended.code.is_some_and(|code| code == 1 || code == 2), "{ended:#?}");
        let named = ended.err.lines().filter(|line| line.contains(&*place.to_string_lossy())).count();
        assert!(named == 1 && !ended.err.contains("panicked"), "{ended:#?}");
    }
}

/// The longest path that may be opened, and one.
const PATH_MAX: usize = if cfg!(target_os = "linux") { 4096 } else { 1024 };

/// A directory with a file and a directory that nobody can open, not even root: their paths are too long, since a
/// directory above them got a longer name. And a file that can be read.
fn with_what_cannot_be_opened(place: &Path, file: &str, directory: &str) -> PathBuf {
    let (before, after) = (place.join("r"), place.join("r".repeat(201)));
    // Just so long that what is in it can be opened now, and only it after the renaming.
    let mut deepest = before.clone();
    loop {
        let left = PATH_MAX - 300 - deepest.as_os_str().len();
        if left <= 255 {
            deepest.push("d".repeat(left - 1));
            break;
        }
        deepest.push("d".repeat(200));
    }
    write(&before, "readable", "this one\n");
    write(&deepest, file, "nobody reads this");
    write(&deepest.join(directory), "f", "nor this");
    fs::rename(&before, &after).expect("a directory can be renamed");
    after
}

#[test]
fn what_cannot_be_read_is_named_and_left_out_on_both_sides() {
    let (place, file, subdirectory) = (directory(), "f".repeat(200), "u".repeat(200));
    let path = with_what_cannot_be_opened(place.path(), &file, &subdirectory);
    for rate in ["0", "1"] {
        let (ended, json) = count(&path, &["--crash-rate", rate]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(numbers(&json), [1, 9, 1, 2].map(Some), "{json:#}");
        assert_eq!(five(&json), five(&json["expected"]), "{json:#}");
        assert_eq!(json["unreadable"], 2, "{json:#}");
        for name in [&file, &subdirectory] {
            let named = ended.err.lines().filter(|line| line.starts_with("unreadable: ") && line.contains(name));
            assert_eq!(named.count(), 1, "{ended:#?}");
        }
    }
}

/// A directory with a file that nobody reads to its end in a test's time.
fn with_an_endless_file() -> (TempDir, PathBuf) {
    let dir = with_files(&[("a", "x\n"), ("b", "y\n")]);
    let path = dir.path().join("endless");
    let file = File::create(&path).expect("a file can be made");
    file.set_len(64 << 30).expect("a sparse file costs nothing");
    (dir, path)
}

#[track_caller]
fn check_interrupted(program: Program, signal: &str, code: i32) {
    program.send(signal);
    let ended = program.finish(patience());
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    for row in ["files", "bytes", "lines", "words", "digest"] {
        assert!(ended.out.lines().any(|line| line.starts_with(row)), "what was done is printed, {row}: {ended:#?}");
    }
    assert!(!ended.out.contains("nothing was lost") && !ended.out.contains("equal"), "{ended:#?}");
    assert!(ended.err.contains("interrupted"), "{ended:#?}");
}

#[test]
fn a_signal_stops_the_run_as_soon_as_it_has_begun() {
    let (dir, _) = with_an_endless_file();
    // The first is what Ctrl-C sends.
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let program = Program::start(&[dir.path().as_os_str()]);
        program.first_line();
        check_interrupted(program, signal, code);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_while_a_file_is_read_stops_the_run_and_the_result_says_that_nothing_was_compared() {
    let (dir, endless) = with_an_endless_file();
    let result = directory();
    let json = result.path().join("result.json");
    let arguments = ["--crash-rate", "0", "--json"].map(OsString::from);
    let mut all: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    all.extend([json.as_os_str(), dir.path().as_os_str()]);
    let program = Program::start(&all);
    program.first_line();
    let open = PathBuf::from(format!("/proc/{}/fd", program.process.id()));
    wait_for(|| {
        let files = fs::read_dir(&open).expect("it runs").flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file == endless)
    });
    check_interrupted(program, "INT", 130);
    let json: Value = serde_json::from_slice(&fs::read(json).expect("it was written")).expect("it is JSON");
    assert_eq!((&json["expected"], &json["equal"]), (&Value::Null, &Value::Bool(false)), "{json:#}");
}

#[test]
fn the_plain_loop_stops_when_it_is_interrupted() {
    let dir = with_files(&[("a", "x")]);
    assert!(sequential::run(&root(dir.path()), &AtomicUsize::new(2)).is_none());
}

/// A file of the kernel that reads otherwise each time.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_changes_between_the_passes_is_named_and_the_run_fails() {
    let (ended, json) = count(Path::new("/proc/sys/kernel/random"), &[]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.err.lines().any(|line| line.starts_with("different: uuid: changed")), "{ended:#?}");
    assert_eq!(json["equal"], false, "{json:#}");
    // Its length is always the same: only its content tells.
    assert_eq!(json["bytes"], json["expected"]["bytes"], "{json:#}");
    assert_ne!(json["digest"], json["expected"]["digest"], "{json:#}");
    assert!(!ended.out.contains("nothing was lost"), "{ended:#?}");
}

#[test]
fn files_that_change_come_or_go_between_the_passes_are_named_and_the_others_are_not() {
    let (t, dir) = (TestUniverse::new(), with_files(&[("changes", "a"), ("goes", "b"), ("stays", "c")]));
    let tally = Pipeline::start(&t, dir.path(), 2, NO_CRASHES).finish(&t);
    assert!(tally.differences(&plain(dir.path())).is_empty());

    write(dir.path(), "changes", "z");
    write(dir.path(), "comes", "d");
    fs::remove_file(dir.path().join("goes")).expect("it is there");
    let differences = tally.differences(&plain(dir.path()));
    let named: Vec<_> = differences.iter().map(|(path, _)| path.to_str()).collect();
    assert_eq!(named, [Some("changes"), Some("comes"), Some("goes")], "{differences:?}");
}

/// Two directories below it can't be listed, and the errors name neither.
#[cfg(target_os = "linux")]
#[test]
fn places_that_cannot_be_listed_do_not_keep_the_run_from_ending() {
    let mut dead = Command::new("true").spawn().expect("true is there");
    let place = PathBuf::from(format!("/proc/{}", dead.id()));
    // It is not waited for, so its directory stays.
    wait_for(|| fs::read_to_string(place.join("stat")).expect("it is there").contains(") Z "));
    let ended = run(&[place.as_os_str(), OsStr::new("--crash-rate=0")]);
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:#?}");
    assert!(ended.err.contains("unreadable: "), "{ended:#?}");
    dead.wait().expect("it is ours");
}

#[test]
fn the_parts_are_children_that_are_found_by_name() {
    let (t, dir) = (TestUniverse::new(), with_files(&[("a", "x")]));
    let gate = hold_at(&t, events::WALKED);
    let pipeline = Pipeline::start(&t, dir.path(), 2, NO_CRASHES);
    let children = pipeline.tree.children(t.within(patience())).expect("it runs");
    let names: Vec<_> = children.iter().map(|child| &*child.name).collect();
    assert_eq!(names, ["totals", "obituaries", "warden", "counter-1", "counter-2", "walker"]);
    for name in ["files", "totals", "obituaries", "warden"] {
        assert!(t.whereis(name).is_some(), "{name}");
    }
    gate.close();
    assert_eq!(pipeline.finish(&t).files.len(), 1);
    assert!(t.registry().is_empty(), "a name outlived the pipeline");
    t.telemetry().detach("gate").expect("it is attached");
}

#[test]
fn every_step_of_a_file_is_told() {
    let (t, dir) = (TestUniverse::new(), with_files(&[("a", "12345"), ("b", "12345")]));
    let told = t.capture_telemetry(events::ALL);
    Pipeline::start(&t, dir.path(), 2, NO_CRASHES).finish(&t);
    let told = told.take();
    for name in [events::FOUND, events::LEASED, events::COUNTED] {
        let files = told.iter().filter(|event| event.name == name).filter_map(|event| event.metadata.get("file"));
        assert_eq!(files.filter_map(|file| file.as_str()).collect::<BTreeSet<_>>(), ["a", "b"].into(), "{name}");
    }
    let measured = |name: EventName, what: &str| {
        let event = told.iter().find(|event| event.name == name).expect("it was told");
        event.measurements.get(what).and_then(|value| value.as_u64())
    };
    assert_eq!(measured(events::WALKED, "files"), Some(2));
    assert_eq!(measured(events::COUNTED, "bytes"), Some(5));
    assert!(measured(events::COUNTED, "duration") > Some(0));
    assert_eq!(told.len(), 7, "two files are found, leased and counted, and the walk is over: {told:#?}");
}

#[test]
fn a_crash_report_says_which_file_was_in_hand_and_which_attempt_it_was() {
    let (t, dir) = (TestUniverse::new(), with_files(&[("victim", "x")]));
    let injection = seed_with(1.0, "victim", [Some(Strike::PanicMiddle), Some(Strike::PanicAfter)]);
    let reports = t.capture_telemetry(CRASHED);
    let tally = Pipeline::start(&t, dir.path(), 1, injection).finish(&t);
    assert_eq!(tally.files.len(), 1);
    let mut seen = Vec::new();
    t.wait_for(|| {
        seen.extend(reports.take());
        seen.len() >= 2
    });
    for (attempt, report) in (0..).zip(&seen) {
        assert_eq!(report.metadata.get("file").and_then(|file| file.as_str()), Some("victim"), "{report:?}");
        assert_eq!(report.metadata.get("attempt").and_then(|number| number.as_u64()), Some(attempt), "{report:?}");
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_file_whose_worker_ignores_its_stop_is_counted_once_and_the_late_result_is_refused() {
    let (t, dir) = (TestUniverse::new(), with_files(&[("victim", "x")]));
    let gate = hold_at(&t, events::WALKED);
    let refused = t.capture_telemetry(events::REFUSED);
    let injection = seed_with(0.5, "victim", [Some(Strike::IgnoreStop), None]);
    let pipeline = Pipeline::start(&t, dir.path(), 2, injection);
    t.wait_for(|| pipeline.outcome.refused() == 1 && t.abandoned() == 1);
    gate.close();
    assert_eq!(pipeline.finish(&t).totals(), plain(dir.path()).totals());
    assert_eq!((pipeline.outcome.refused(), refused.take().len()), (1, 1));
    t.telemetry().detach("gate").expect("it is attached");
}

/// Injection strikes at most twice. Here the walk finds a file, and whoever opens it finds a pipe that nobody writes:
/// the worker hangs and has to be given up, which is a death, too.
#[test]
fn a_file_that_kills_its_worker_three_times_is_quarantined_and_the_others_are_counted() {
    let (t, dir) = (TestUniverse::new(), with_files(&[("deadly", ""), ("harmless", "x")]));
    let deadly = dir.path().join("deadly");
    let is_deadly = |event: &foundation_telemetry::Event| {
        event.metadata.get("file").and_then(|file| file.as_str()) == Some("deadly")
    };
    let trap = deadly.clone();
    let set_trap = move |event: &foundation_telemetry::Event| {
        if is_deadly(event) {
            fs::remove_file(&trap).expect("it is there");
            mkfifo(&trap);
        }
    };
    t.telemetry().attach("trap", events::FOUND, set_trap).expect("there is one trap");
    let leased = t.capture_telemetry(events::LEASED);
    let quarantined = t.capture_telemetry(events::QUARANTINED);

    let pipeline = Pipeline::start(&t, dir.path(), 1, NO_CRASHES);
    for attempt in 0..3 {
        let held = t.wait_for(|| leased.take().into_iter().find(is_deadly));
        assert_eq!(held.metadata.get("attempt").and_then(|number| number.as_u64()), Some(attempt), "{held:?}");
        let warden = t.wait_for(|| t.find::<Queue<Arc<str>>>("warden"));
        warden.try_send("counter-1".into()).expect("it has nothing else to do");
    }
    let tally = pipeline.finish(&t);
    assert_eq!(pipeline.outcome.quarantined(), [PathBuf::from("deadly")].into());
    assert_eq!(quarantined.take().iter().map(is_deadly).collect::<Vec<_>>(), [true]);
    let counted: Vec<_> = tally.files.iter().map(|(path, _)| path.to_str()).collect();
    assert_eq!(counted, [Some("harmless")]);

    // Whoever waits for the pipe's writer sees one, and goes.
    drop(OpenOptions::new().read(true).write(true).open(&deadly).expect("it is a pipe"));
    t.telemetry().detach("trap").expect("it is attached");
}
