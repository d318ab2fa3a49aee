//! docs/runbook.md, followed: each command in it is run as it stands, and has to say what the document says it does.
//!
//! A block of `sh` holds commands of a shell, each on one line. A block of `console` holds what is typed into the
//! runbook's console, after `> `, and what comes of it; all of them together are one session, in the document's order,
//! with the console that the document starts. In what is expected `<n>` is a number, any other word in angle brackets any
//! text, and a line `...` any lines. There is no other kind of block, for nobody would run it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    ci::{PROGRAMS, built, plain, step},
    run::{cargo_here, command, complain, root, say},
};

const DOCUMENT: &str = "docs/runbook.md";
/// How many differences are shown: it is one session, so those after the first may come of it.
const SHOWN: usize = 3;
/// How long cargo may build the console before it says its first line.
const BUILD: Duration = Duration::from_secs(3_600);
/// How long the console may say nothing once it has begun: no command of it waits for more than a few seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// The step of `ci`: the program goes through all stages by itself, and then as the document tells it.
pub(crate) fn check(_: bool) -> bool {
    let Some(program) = built(&PROGRAMS, "runbook") else { return false };
    if !step(command(program).current_dir(root())) {
        return false;
    }
    let text = match fs::read_to_string(root().join(DOCUMENT)) {
        Ok(text) => text,
        Err(error) => {
            complain(&format!("{DOCUMENT} can't be read: {error}"));
            return false;
        }
    };
    match read(&text) {
        Ok(document) => {
            document.shell.iter().fold(true, |good, (line, command)| good & follow(&document, *line, command))
        }
        Err(error) => {
            complain(&format!("{DOCUMENT}:{error}"));
            false
        }
    }
}

#[derive(Debug, Default)]
struct Document {
    /// Commands of a shell, each with its line.
    shell: Vec<(usize, String)>,
    session: Vec<Exchange>,
}

/// What is typed, and what comes of it.
#[derive(Debug, Default, PartialEq)]
struct Exchange {
    line: usize,
    typed: String,
    said: Vec<String>,
}

/// The commands of a document. The error begins with its line.
fn read(text: &str) -> Result<Document, String> {
    let mut document = Document::default();
    let mut block = None;
    for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
        match (block, line.strip_prefix("```")) {
            (None, Some("sh")) => block = Some("sh"),
            (None, Some("console")) => block = Some("console"),
            (None, Some(other)) => {
                return Err(format!("{at}: nobody runs a block of `{other}`: make it sh or console"));
            }
            (None, None) => {}
            (Some(_), Some(_)) => block = None,
            (Some("sh"), None) => document.shell.push((at, line.to_owned())),
            (Some(_), None) => match (line.strip_prefix("> "), document.session.last_mut()) {
                (Some(typed), _) => document.session.push(Exchange { line: at, typed: typed.to_owned(), said: vec![] }),
                (None, Some(last)) => last.said.push(line.to_owned()),
                (None, None) => return Err(format!("{at}: nothing is typed before this is said")),
            },
        }
    }
    let starts = document.shell.iter().filter(|(_, command)| is_console(command)).count();
    match (starts, document.session.is_empty()) {
        (1, false) => Ok(document),
        (0, _) => Err("1: no command starts the console".to_owned()),
        (_, true) => Err("1: nothing is typed into the console".to_owned()),
        _ => Err("1: the console is started more than once".to_owned()),
    }
}

fn is_console(command: &str) -> bool {
    command.ends_with(" console")
}

fn follow(document: &Document, line: usize, told: &str) -> bool {
    let mut words = told.split_whitespace();
    if words.next() != Some("cargo") {
        complain(&format!("{DOCUMENT}:{line}: `{told}` is not cargo's"));
        return false;
    }
    let mut command = cargo_here(&words.collect::<Vec<_>>());
    if !is_console(told) {
        return step(&mut command);
    }
    say(&format!("$ {} < {DOCUMENT}", plain(&command)));
    let (transcript, ended_well) = match converse(&mut command, &document.session) {
        Ok(transcript) => transcript,
        Err(error) => {
            complain(&format!("{DOCUMENT}:{line}: the console {error}"));
            return false;
        }
    };
    let wrong = differences(&document.session, &session(&transcript));
    wrong.iter().take(SHOWN).for_each(|wrong| complain(&format!("{DOCUMENT}:{wrong}")));
    if wrong.len() > SHOWN {
        complain(&format!("{DOCUMENT}: and {} more, which may come of these", wrong.len() - SHOWN));
    }
    if wrong.is_empty() {
        say(&format!("{} commands say what the document says", document.session.len()));
    }
    wrong.is_empty() && ended_well
}

/// Types the whole session, and returns what was printed, and whether the console ended well.
#[expect(clippy::disallowed_methods, reason = "xtask depends on none of our crates, so it has no threads of ours")]
fn converse(command: &mut Command, session: &[Exchange]) -> Result<(String, bool), String> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut console = spawned.map_err(|error| format!("can't be run: {error}"))?;
    let typed: String = session.iter().map(|exchange| format!("{}\n", exchange.typed)).collect();
    // A pipe holds more than anybody has typed, so this does not wait. If the console has ended, what is missing says so.
    drop(console.stdin.take().map(|mut stdin| stdin.write_all(typed.as_bytes())));
    let printed = BufReader::new(console.stdout.take().ok_or("has no output")?);
    let (says, said) = mpsc::sync_channel(64);
    thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| says.send(line)));
    let heard = listen(&said, SILENCE);
    if heard.is_err() {
        // Cargo has become the console, so nothing of it is left, and the thread ends.
        _ = console.kill();
    }
    let status = console.wait().map_err(|error| format!("can't be waited for: {error}"))?;
    let transcript = heard?;
    if !status.success() {
        complain(&format!("the console ends with {status}"));
    }
    Ok((transcript, status.success()))
}

/// All lines. The error: nothing came for so long after the first one, and after which command. (Before it cargo builds.)
#[expect(clippy::disallowed_types, reason = "xtask depends on none of our crates, so it has no queues of ours")]
fn listen(said: &mpsc::Receiver<String>, silence: Duration) -> Result<String, String> {
    let (mut transcript, mut typed) = (String::new(), String::new());
    let mut line = match said.recv_timeout(BUILD) {
        Ok(line) => line,
        Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(transcript),
        Err(mpsc::RecvTimeoutError::Timeout) => return Err(format!("does not begin within {BUILD:?}")),
    };
    loop {
        if line.starts_with("> ") {
            typed.clone_from(&line);
        }
        transcript += &line;
        transcript.push('\n');
        line = match said.recv_timeout(silence) {
            Ok(next) => next,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(transcript),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("says nothing for {silence:?} after `{typed}`"));
            }
        };
    }
}

/// A console's output, command by command.
fn session(transcript: &str) -> Vec<Exchange> {
    let mut session: Vec<Exchange> = Vec::new();
    for (at, line) in transcript.lines().enumerate() {
        match (line.strip_prefix("> "), session.last_mut()) {
            (Some(typed), _) => session.push(Exchange { line: at + 1, typed: typed.to_owned(), said: Vec::new() }),
            (None, Some(last)) => last.said.push(line.to_owned()),
            (None, None) => {}
        }
    }
    session
}

/// Where what was said is not what is expected: with the document's line.
fn differences(expected: &[Exchange], found: &[Exchange]) -> Vec<String> {
    let mut found = found.iter();
    let mut wrong = Vec::new();
    for exchange in expected {
        let Exchange { line, typed, said } = exchange;
        match found.next() {
            Some(found) if found.typed == *typed && all_fit(said, &found.said) => {}
            Some(found) => {
                let (said, found) = (said.join("\n  "), found.said.join("\n  "));
                wrong.push(format!("{line}: `{typed}` is expected to say\n  {said}\nand says\n  {found}"));
            }
            None => {
                wrong.push(format!("{line}: the console has ended before `{typed}`"));
                break;
            }
        }
    }
    wrong
}

fn all_fit(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => (0..=found.len()).any(|skipped| all_fit(rest, &found[skipped..])),
        Some((first, rest)) => found.split_first().is_some_and(|(line, more)| fits(first, line) && all_fit(rest, more)),
    }
}

/// Whether a line is what is expected, whatever stands for `<words>` in it.
fn fits(expected: &str, found: &str) -> bool {
    let Some((before, name, after)) = placeholder(expected) else { return expected == found };
    let Some(rest) = found.strip_prefix(before) else { return false };
    let ends = rest.char_indices().map(|(at, character)| at + character.len_utf8());
    let stands_for = |text: &str| name != "n" || text.bytes().all(|byte| byte.is_ascii_digit());
    ends.take_while(|end| stands_for(&rest[..*end])).any(|end| fits(after, &rest[end..]))
}

/// What is before the first `<words>`, the words, and what is after it.
fn placeholder(expected: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = expected.split_once('<')?;
    let (name, after) = rest.split_once('>')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b' ');
    is_name.then_some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_whatever_stands_for_the_words_in_brackets() {
        let table = [
            ("", "", true),
            ("as it is", "as it is", true),
            ("as it is", "as it is not", false),
            ("p99 <n> ns", "p99 250 ns", true),
            ("p99 <n> ns", "p99 2.5 ns", false),
            ("p99 <time>; target", "p99 2.5µs; target", true),
            ("p99 <time>; target", "p99 ; target", false),
            ("<a> of <b>", "one of two", true),
            ("<a> of <b>", "one of", false),
            ("v < 5", "v < 5", true),
            ("<date>", "1 January", true),
            ("  <met> lookup", "  ok      lookup", true),
            ("  <met> lookup", "  MISSED  lookup", true),
        ];
        for (expected, found, fit) in table {
            assert_eq!(fits(expected, found), fit, "`{expected}` and `{found}`");
        }
    }

    #[test]
    fn dots_stand_for_any_lines() {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (expected, found, fit) in [
            ("a b", "a b", true),
            ("a b", "a b c", false),
            ("a ... c", "a b b c", true),
            ("... c", "c", true),
            ("a ...", "b", false),
        ] {
            assert_eq!(all_fit(&lines(expected), &lines(found)), fit, "`{expected}` and `{found}`");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "xtask depends on none of our crates, so it has no queues of ours")]
    fn a_console_that_hangs_is_given_up_and_the_command_is_named() {
        let (says, said) = mpsc::sync_channel(8);
        let say = |lines: &[&str]| lines.iter().for_each(|line| says.send((*line).to_owned()).expect("there is room"));
        say(&["> one", "1", "> two", "2"]);
        let hangs = listen(&said, Duration::from_millis(1));
        assert_eq!(hangs, Err("says nothing for 1ms after `> two`".to_owned()));
        say(&["> three", "3"]);
        drop(says);
        assert_eq!(listen(&said, SILENCE), Ok("> three\n3\n".to_owned()));
        assert_eq!(listen(&said, SILENCE), Ok(String::new()), "it ended before it began");
    }

    const TEXT: &str =
        "# A\n```sh\ncargo run console\n```\n```console\n> one\n1\n> two\n```\nb\n```console\n> three\n<n>\n```\n";

    #[test]
    fn a_document_is_one_session_and_each_command_of_it_is_compared() {
        let document = read(TEXT).expect("it is whole");
        assert_eq!(document.shell, [(3, "cargo run console".to_owned())]);
        let wrong = |transcript: &str| {
            let wrong = differences(&document.session, &session(transcript));
            wrong.iter().map(|wrong| wrong.lines().next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(wrong("> one\n1\n> two\n> three\n33\n"), [""; 0]);
        assert_eq!(
            wrong("> one\n2\n> two\nx\n> three\n33\n"),
            ["6: `one` is expected to say", "8: `two` is expected to say"]
        );
        assert_eq!(wrong("> one\n1\n> two\n"), ["12: the console has ended before `three`"]);
    }

    #[test]
    fn a_block_that_nobody_would_run_is_refused() {
        let refused = |text: &str| read(text).expect_err("it is refused");
        assert_eq!(refused("a\n```rust\n"), "2: nobody runs a block of `rust`: make it sh or console");
        assert_eq!(refused("```\n"), "1: nobody runs a block of ``: make it sh or console");
        assert_eq!(refused("```console\nsaid\n"), "2: nothing is typed before this is said");
        assert_eq!(refused("```console\n> a\n```\n"), "1: no command starts the console");
        assert_eq!(refused("```sh\ncargo x console\n```\n"), "1: nothing is typed into the console");
    }
}
