//! `run`: a whole program, in a process of its own. The tests run this very program again, as that process.
#![cfg(all(unix, not(any(loom, shuttle))))]

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use foundation_supervisor::{
    AutoShutdown, ChildError, ChildSpec, Failure, Foundation, Life, RELOAD_FAILED, RELOADED, Restart, SIGNAL, Strategy,
    Supervisor, System, run,
};
use foundation_sync::{Clock, Full, MINUTE, Mutex, Queue};
use foundation_testkit::{TestUniverse, patience};

const ROLE: &str = "FOUNDATION_TEST_ROLE";
/// Says that the other process goes on for a while when its tree has ended.
const AFTERWARDS: &str = "FOUNDATION_TEST_AFTERWARDS";

/// The other process: does nothing unless it was told its role.
#[test]
fn the_program() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if role == "hook" {
        return with_a_hook_of_its_own();
    }
    let code = run(|tree| {
        if role.starts_with("reloads") {
            let count = Mutex::new(0_u32);
            tree.on_reload(move |_| {
                let mut count = count.lock();
                *count += 1;
                say(&format!("reload {}", *count));
                if *count == 1 { Ok(()) } else { Err(Failure::new("no such file")) }
            });
        }
        if ["stuck", "deaf"].contains(&role.as_str()) {
            // It hears nothing but its own end, and has nobody who sees it abandoned in one of the two.
            let stuck = role == "stuck";
            let body = |life: &Life| {
                let _hook = life.on_stop(|| say("told"));
                say("ready");
                _ = Queue::<()>::bounded(1, Full::Wait).recv(life.system().within(MINUTE));
                Ok(())
            };
            let spec = ChildSpec::worker("w", body).restart(Restart::Transient).significant();
            let spec = if stuck { spec.stop_whenever() } else { spec.stop_within(Duration::from_millis(1)) };
            *tree = tree.clone().child(spec);
            return;
        }
        let body = move |life: &Life| -> Result<(), Failure> {
            match role.as_str() {
                "finishes" | "reloads and finishes" => Ok(()),
                "crashes" => panic!("boom"),
                _ => {
                    say("ready");
                    life.wait_until_told();
                    Ok(())
                }
            }
        };
        tree.worker("w", body);
    });
    say(&format!("{code:?}"));
    if std::env::var(AFTERWARDS).is_ok() {
        say("over");
        _ = Queue::<()>::bounded(1, Full::Wait).recv(Clock::system().within(patience()));
    }
}

/// Its panic hook was there before the first universe.
#[expect(clippy::disallowed_methods, reason = "the hook of the program is what is tested")]
fn with_a_hook_of_its_own() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("elsewhere");
        }
    }
    std::panic::set_hook(Box::new(|info| say(&format!("hook: {}", info.payload_as_str().unwrap_or("no text")))));
    let foundation = Foundation::builder().start();
    let until = foundation.within(patience());
    let body = |_: &Life| {
        assert!(std::panic::catch_unwind(|| panic!("caught by the body")).is_err());
        panic!("in a life")
    };
    let child = ChildSpec::worker("w", body).restart(Restart::Temporary).significant();
    let tree = Supervisor::new("t", Strategy::OneForOne).auto_shutdown(AutoShutdown::AnySignificant).child(child);
    let tree = tree.start(&foundation, until.clone()).expect("it starts");
    tree.wait(&until).expect("it ends");
    assert!(foundation.stop(patience()).is_clean());
    // All is over: what is refused is dropped here, on a thread that has no crash report.
    let bomb = Bomb;
    let refused = ChildSpec::worker("late", move |_| {
        let _held = &bomb;
        Ok(())
    });
    assert_eq!(tree.start_child(refused, &until), Err(ChildError::Over));
}

#[expect(clippy::print_stdout, reason = "how the other process answers")]
fn say(line: &str) {
    println!("\n{line}");
}

fn start(role: &str) -> (Child, BufReader<ChildStdout>) {
    start_with(role, &[])
}

fn start_with(role: &str, more: &[(&str, &str)]) -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args(["--exact", "the_program", "--nocapture"])
        .env(ROLE, role)
        .envs(more.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program can be run again");
    let stdout = child.stdout.take().expect("it is piped");
    (child, BufReader::new(stdout))
}

fn finish(mut child: Child, mut stdout: BufReader<ChildStdout>) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    stdout.read_to_string(&mut out).expect("it is text");
    child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("it is text");
    child.wait().expect("it ends");
    (out, err)
}

#[test]
fn it_ends_with_0_when_its_workers_are_done() {
    let (child, stdout) = start("finishes");
    let (out, err) = finish(child, stdout);
    assert!(out.contains("ExitCode(unix_exit_status(0))"), "{out}\n{err}");
}

#[test]
fn it_ends_with_1_and_a_reason_when_they_crash_too_often_and_prints_each_crash_for_nobody_listens() {
    let (child, stdout) = start("crashes");
    let (out, err) = finish(child, stdout);
    assert!(out.contains("ExitCode(unix_exit_status(1))"), "{out}\n{err}");
    assert!(err.contains("foundation: shutdown (too many restarts)"), "{err}");
    assert_eq!(err.matches("foundation: main/w (").count(), 4, "three restarts are allowed: {err}");
}

/// Reads until the other process says this.
fn hear(stdout: &mut BufReader<ChildStdout>, what: &str) {
    let mut line = String::new();
    while line.trim() != what {
        line.clear();
        assert!(stdout.read_line(&mut line).expect("it is text") > 0, "it ended before it said {what:?}");
    }
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn a_signal_stops_it_in_order() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (child, mut stdout) = start("waits");
        hear(&mut stdout, "ready");
        send(&child, signal);
        let (out, err) = finish(child, stdout);
        assert!(out.contains(&format!("ExitCode(unix_exit_status({code}))")), "{out}\n{err}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once_also_where_the_tree_is_stuck_and_however_soon_it_comes() {
    for soon in [false, true] {
        let (mut child, mut stdout) = start("stuck");
        hear(&mut stdout, "ready");
        send(&child, "INT");
        if !soon {
            hear(&mut stdout, "told");
        }
        send(&child, "TERM");
        let by = child.wait().expect("it ends").signal();
        // Two that come at once are handled in the order that the system likes.
        assert!(by == Some(15) || soon && by == Some(2), "soon: {soon}, {by:?}");
    }
}

#[test]
fn a_signal_that_comes_when_the_tree_has_ended_ends_the_process_as_if_there_had_been_none() {
    for (signal, number) in [("TERM", 15), ("INT", 2)] {
        let (mut child, mut stdout) = start_with("reloads and finishes", &[(AFTERWARDS, "1")]);
        hear(&mut stdout, "over");
        // That one does nothing any more.
        send(&child, "HUP");
        send(&child, signal);
        assert_eq!(child.wait().expect("it ends").signal(), Some(number));
    }
}

#[test]
fn the_hook_that_was_there_before_hears_of_every_panic_but_those_of_lives() {
    let (child, stdout) = start("hook");
    let (out, err) = finish(child, stdout);
    let heard: Vec<_> = out.lines().filter(|line| line.starts_with("hook: ")).collect();
    assert_eq!(heard, ["hook: elsewhere"], "{out}\n{err}");
    assert!(err.contains("in a life") && !err.contains("caught by the body"), "{err}");
}

#[test]
fn who_did_not_finish_is_named_and_makes_the_code_1() {
    let (child, mut stdout) = start("deaf");
    hear(&mut stdout, "ready");
    send(&child, "TERM");
    let (out, err) = finish(child, stdout);
    assert!(out.contains("ExitCode(unix_exit_status(1))"), "{out}\n{err}");
    let says = "foundation: stopped, but these threads still run: main/w#1 (waits at ";
    assert!(err.contains(says) && err.contains("run.rs:"), "{err}");
    assert!(err.contains("abandoned after"), "{err}");
}

#[test]
fn sighup_reloads_where_a_program_says_how_and_a_reload_that_fails_stops_nothing() {
    let (child, mut stdout) = start("reloads");
    hear(&mut stdout, "ready");
    for reload in ["reload 1", "reload 2", "reload 3"] {
        send(&child, "HUP");
        hear(&mut stdout, reload);
    }
    send(&child, "TERM");
    let (out, err) = finish(child, stdout);
    assert!(out.contains("ExitCode(unix_exit_status(143))"), "{out}\n{err}");
    assert!(err.contains("foundation: a reload failed: no such file"), "{err}");
}

#[test]
fn sighup_ends_a_program_that_does_not_say_what_a_reload_is() {
    let (mut child, mut stdout) = start("waits");
    hear(&mut stdout, "ready");
    send(&child, "HUP");
    assert_eq!(child.wait().expect("it ends").signal(), Some(1));
}

/// In this process: nobody else here sends or handles it.
#[test]
fn a_signal_and_what_its_reload_came_to_are_events() {
    let t = TestUniverse::new();
    let seen = t.capture_telemetry([SIGNAL, RELOADED, RELOAD_FAILED]);
    let fails = Mutex::new([false, true].into_iter());
    let reload = move |_: &System| {
        let fails = fails.lock().next();
        if fails == Some(true) { panic!("half way") } else { Ok(()) }
    };
    t.on_reload(reload).expect("it can be handled");
    for after in [2, 4] {
        signal_hook::low_level::raise(signal_hook::consts::SIGHUP).expect("it can be raised");
        t.wait_for(|| seen.count(|_| true) == after);
    }
    let events = seen.take();
    let names: Vec<_> = events.iter().map(|event| event.name).collect();
    assert_eq!(names, [SIGNAL, RELOADED, SIGNAL, RELOAD_FAILED]);
    let said = |n: usize, what| events[n].metadata.get(what).map(ToString::to_string).unwrap_or_default();
    assert_eq!((said(0, "signal"), said(0, "name")), ("1".to_owned(), "SIGHUP".to_owned()));
    assert!(said(3, "error").ends_with(": half way"), "{}", said(3, "error"));
}
