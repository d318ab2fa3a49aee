//! A stranger's project: `downstream/`, outside of the workspace, is checked as its owner would check it.

use std::collections::BTreeSet;

use crate::{
    ci::step,
    models::Project,
    run::{complain, root},
};

const AT: &str = "downstream";

/// Formatted, without a lint, tested for real and on both models' faces; what its failures print is typed in.
pub(crate) fn check(deep: bool) -> bool {
    let project = Project { at: AT, features: &[], typed: true };
    let run = |arguments: &[&str]| step(&mut project.cargo(arguments));
    same_versions()
        && run(&["fmt", "--check"])
        && run(&["clippy", "--locked", "--all-targets", "--", "-Dwarnings"])
        && run(&["test", "--locked"])
        && project.check(deep)
}

/// Whether its lock file has the versions of ours, so that they are built once.
fn same_versions() -> bool {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let (ours, theirs) = (read("Cargo.lock"), read("downstream/Cargo.lock"));
    let ours = packages(&ours);
    let others: Vec<_> = packages(&theirs).difference(&ours).map(|package| package.0).collect();
    // Its own package is in its file alone.
    if others.len() <= 1 && !theirs.is_empty() {
        return true;
    }
    complain(&format!("downstream/Cargo.lock has other versions than Cargo.lock, or none: {others:?}. The way back:"));
    complain("$ cp Cargo.lock downstream/ && cargo metadata --manifest-path downstream/Cargo.toml >/dev/null");
    false
}

/// The names and versions of a lock file.
fn packages(lock: &str) -> BTreeSet<(&str, &str)> {
    fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
        line.strip_prefix(key)?.strip_suffix('"')
    }
    fn package(text: &str) -> Option<(&str, &str)> {
        let mut lines = text.lines().skip(1);
        Some((value(lines.next()?, "name = \"")?, value(lines.next()?, "version = \"")?))
    }
    lock.split("\n\n").filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::packages;

    #[test]
    fn the_packages_of_a_lock_file_are_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\nsource = \"x\"\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        assert_eq!(packages(lock), [("a", "1.2.3"), ("b", "0.1.0")].into());
    }
}
