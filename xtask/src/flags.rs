//! `cargo xtask flags`: every flag that the workspace declares. And whether one is to be gone by now.

use std::{
    ffi::OsString,
    fs, io,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use crate::{
    ci::{PROGRAMS, built, plain},
    run::{cargo_here, command, complain, root, say},
};

const HELP: &str = "\
Prints every flag that the workspace declares: name, default, owner, the day from which on it is to be gone, and where it
is declared.

Usage: cargo xtask flags [--check]

Options:
  --check  fail if a flag has expired, or is declared in a source and missing in the table
  --help   print this
";

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<_> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let check = match *words {
        [] => false,
        ["--check"] => true,
        ["--help" | "-h"] => {
            say(HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        _ => {
            complain(&format!("cargo xtask flags: what is `{}`?\n\n{}", words.join(" "), HELP.trim_end()));
            return ExitCode::from(2);
        }
    };
    let program = ["--package", "foundation-flags", "--features", "legacy", "--example", "flags", "--"];
    let mut program = cargo_here(&[&["run", "--quiet", "--locked"][..], &program].concat());
    if shown(&mut program, check) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The step of `ci`.
pub(crate) fn check(_: bool) -> bool {
    built(&PROGRAMS, "flags").is_some_and(|program| shown(command(program).current_dir(root()), true))
}

/// Shows the program's table, and holds it against the sources if that is asked for.
fn shown(program: &mut Command, check: bool) -> bool {
    program.args(check.then_some("--check"));
    let output = match program.stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        Err(error) => {
            complain(&format!("the flags could not be had, `{}`: {error}", plain(program)));
            return false;
        }
    };
    let table = String::from_utf8_lossy(&output.stdout);
    say(table.trim_end());
    if !check {
        return output.status.success();
    }
    let declared = match declared() {
        Ok(declared) => declared,
        Err(error) => {
            complain(&format!("the sources can't be read: {error}"));
            return false;
        }
    };
    let missing = missing(&declared, &table);
    for place in &missing {
        complain(&format!("{place}: a flag that the table lacks: name it in foundation-flags/examples/flags.rs"));
    }
    output.status.success() && missing.is_empty()
}

/// The places that are in no row's last column.
fn missing<'a>(declared: &'a [String], table: &str) -> Vec<&'a String> {
    let listed = |place: &str| table.lines().any(|row| row.split_whitespace().last() == Some(place));
    declared.iter().filter(|place| !listed(place)).collect()
}

/// Where the sources of the workspace's programs and libraries make flags: file and line.
fn declared() -> io::Result<Vec<String>> {
    let mut places = Vec::new();
    for entry in fs::read_dir(root())? {
        let sources = entry?.path().join("src");
        if sources.is_dir() {
            walk(&sources, &mut places)?;
        }
    }
    places.sort();
    Ok(places)
}

fn walk(directory: &Path, places: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "tests") {
                walk(&path, places)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            places.extend(flags_in(&fs::read_to_string(&path)?).into_iter().map(|line| format!("{file}:{line}")));
        }
    }
    Ok(())
}

/// The lines on which a source makes flags, but for comments and its tests, which come last or in a directory of theirs. A
/// flag's name is a text or a constant; what is made of a variable is whoever's gave it.
fn flags_in(source: &str) -> Vec<usize> {
    let named = |rest: &str| rest.starts_with(|first: char| first == '"' || first.is_uppercase()) || rest.is_empty();
    let makes = |line: &str| {
        let mut calls = [concat!("Flag::", "off("), concat!("Flag::", "on(")].into_iter();
        calls.any(|call| line.match_indices(call).any(|(at, _)| named(line[at + call.len()..].trim())))
    };
    let lines: Vec<_> = source.lines().collect();
    let tests = |at: &usize| {
        let next = lines.get(at + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        lines[*at].starts_with("#[cfg(test)]") && next
    };
    let end = (0..lines.len()).find(tests).unwrap_or(lines.len());
    let code = lines[..end].iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| makes(line)).map(|(at, _)| at + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_where_they_are_made_and_not_in_comments_and_tests() {
        let source = "#[cfg(test)]\nuse x;\n/// Flag::off(\"doc\")\npub const A: Flag = Flag::off(\"a\");\n\n    const B: Flag \
                      =\n        Flag::on(\"b\").owner(\"x\");\nlet c = Flag::off(name);\nlet d = Flag::off(\n    \"a long \
                      one\",\n);\nconst E: Flag = Flag::off(NAME);\n#[cfg(test)]\nmod tests {\nFlag::off(\"test\")\n";
        assert_eq!(flags_in(source), [4, 7, 9, 12]);
    }

    #[test]
    fn what_is_in_no_row_is_missing() {
        let declared = ["a/src/lib.rs:1".to_owned(), "a/src/lib.rs:10".to_owned()];
        let table = "name  default  declared at\na     off      a/src/lib.rs:10\n";
        assert_eq!(missing(&declared, table), [&declared[0]]);
    }
}
