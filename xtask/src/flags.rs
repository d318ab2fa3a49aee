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

/// The lines on which a source makes flags, but for comments and its tests, which come last or in a directory of theirs.
fn flags_in(source: &str) -> Vec<usize> {
    let makes =
        |line: &str| [concat!("Flag::", "off(\""), concat!("Flag::", "on(\"")].iter().any(|make| line.contains(make));
    let lines = source.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//") && makes(line)).map(|(at, _)| at + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_where_they_are_made_and_not_in_comments_and_tests() {
        let source = "/// Flag::off(\"doc\")\npub const A: Flag = Flag::off(\"a\");\n\n    const B: Flag =\n        \
                      Flag::on(\"b\").owner(\"x\");\nlet c = Flag::off(name);\n#[cfg(test)]\nFlag::off(\"test\")\n";
        assert_eq!(flags_in(source), [2, 5]);
    }

    #[test]
    fn what_is_in_no_row_is_missing() {
        let declared = ["a/src/lib.rs:1".to_owned(), "a/src/lib.rs:10".to_owned()];
        let table = "name  default  declared at\na     off      a/src/lib.rs:10\n";
        assert_eq!(missing(&declared, table), [&declared[0]]);
    }
}
