//! `run`: a whole program, in a process of its own. The tests run this very program again, as that process.
#![cfg(not(any(loom, shuttle)))]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use foundation_supervisor::{Failure, Life, run};
use foundation_sync::{Full, Queue};

const ROLE: &str = "FOUNDATION_TEST_ROLE";

/// The other process: does nothing unless it was told its role.
#[test]
fn the_program() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let code = run(|tree| {
        let body = move |life: &Life| -> Result<(), Failure> {
            match role.as_str() {
                "finishes" => Ok(()),
                "crashes" => panic!("boom"),
                _ => {
                    say("ready");
                    let nothing = Queue::<()>::bounded(1, Full::Wait);
                    while life.next(&nothing)?.is_some() {}
                    Ok(())
                }
            }
        };
        tree.worker("w", body);
    });
    say(&format!("{code:?}"));
}

#[expect(clippy::print_stdout, reason = "how the other process answers")]
fn say(line: &str) {
    println!("\n{line}");
}

fn start(role: &str) -> (Child, BufReader<ChildStdout>) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args(["--exact", "the_program", "--nocapture"])
        .env(ROLE, role)
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

#[test]
fn a_signal_stops_it_in_order() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (child, mut stdout) = start("waits");
        let mut line = String::new();
        while line.trim() != "ready" {
            line.clear();
            assert!(stdout.read_line(&mut line).expect("it is text") > 0, "it ended before it was ready");
        }
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        let (out, err) = finish(child, stdout);
        assert!(out.contains(&format!("ExitCode(unix_exit_status({code}))")), "{out}\n{err}");
    }
}
