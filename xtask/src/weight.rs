//! Weight is a promise: README states how many packages each crate brings along, and this counts them.

use std::collections::BTreeSet;

use crate::{
    ci::timed,
    run::{cargo_here, complain, root, say},
};

/// Holds README's table of crates against cargo's graph.
pub(crate) fn check() -> bool {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let promised = promises(&readme);
    if promised.is_empty() {
        complain("README.md: no row `| [foundation-..](..) | .. | N |` in the table of crates");
        return false;
    }
    say(
        "$ cargo tree --package CRATE --edges normal --prefix none --no-dedupe # counted, for each row of README's table",
    );
    let (kept, took) = timed(|| promised.iter().fold(true, |kept, (name, promise)| kept & holds(name, *promise)));
    let missing = crates().into_iter().filter(|name| promised.iter().all(|(promised, _)| promised != name));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        complain(&format!("README.md: the table of crates lacks {}", missing.join(", ")));
        return false;
    }
    say(&format!("   {} weights counted in {:.1} s", promised.len(), took.as_secs_f64()));
    kept
}

/// The crates of the workspace: the directories with our name.
fn crates() -> Vec<String> {
    let entries = std::fs::read_dir(root()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("foundation-")).collect()
}

fn holds(name: &str, promise: usize) -> bool {
    match count(name) {
        Some(counted) if counted == promise => true,
        Some(counted) => {
            complain(&format!("README.md: {name} is said to have {promise} dependencies, and has {counted}"));
            false
        }
        None => {
            complain(&format!("README.md: cargo knows no package {name}"));
            false
        }
    }
}

/// Rows of crates: the first cell is a link with the crate's name, the last one a number.
fn promises(readme: &str) -> Vec<(String, usize)> {
    let row = |line: &str| {
        let line = line.strip_prefix("| [")?;
        let (name, rest) = line.split_once(']')?;
        let number = rest.trim_end().strip_suffix('|')?.rsplit('|').next()?.trim().parse().ok()?;
        name.starts_with("foundation-").then(|| (name.to_owned(), number))
    };
    readme.lines().filter_map(row).collect()
}

/// How many packages besides itself a user of it builds: the normal dependencies, with default features.
fn count(name: &str) -> Option<usize> {
    let arguments = [
        "tree",
        "--locked",
        "--package",
        name,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--no-dedupe",
    ];
    let output = cargo_here(&arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let packages: BTreeSet<_> = text.lines().map(|line| line.split(" (").next().unwrap_or(line)).collect();
    Some(packages.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::promises;

    #[test]
    fn a_row_of_the_table_of_crates_is_read() {
        let readme = "| crate | is | needs |\n|---|---|--:|\n| [foundation-sync](foundation-sync) | the door | 12 |\n| a | b | 3 |\n";
        assert_eq!(promises(readme), [("foundation-sync".to_owned(), 12)]);
    }
}
