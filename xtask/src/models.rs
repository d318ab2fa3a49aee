//! The models: each in a process of its own, under loom, then under shuttle; then every planted bug that a model says it
//! catches, and each of those again in the one schedule that failed. As many processes at a time as there are cores.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;

use crate::{
    ci::{flags, plain, step, timed},
    pool,
    run::{cargo_here, command, complain, executables, root, say},
};

/// What plants a bug.
const PLANTED: &str = "FOUNDATION_PLANTED";

/// Where cargo builds.
const TARGET: &str = "CARGO_TARGET_DIR";

/// Where the system keeps files in memory, if it does.
const MEMORY: &str = "/dev/shm";

/// A workspace with models.
pub(crate) struct Project {
    /// Its directory in ours; nothing for ours itself.
    pub(crate) at: &'static str,
    /// What cargo is told besides, so that everything is built that has models.
    pub(crate) features: &'static [&'static str],
    /// What a failure prints is run as a person would run it, from the shell: the slow proof, for few models.
    pub(crate) typed: bool,
}

/// A package with a test target `models`.
struct Package {
    name: String,
    manifest: String,
}

/// A model on one face.
struct Model<'a> {
    project: &'a Project,
    package: &'a str,
    face: &'a str,
    settings: &'a [(&'a str, &'a str)],
    program: &'a Path,
    name: String,
}

/// What came of a model, as it is or with a bug.
struct Verdict {
    passed: bool,
    /// What the reader is told, of which the last part is a complaint where it did not pass.
    said: String,
    took: Duration,
    /// The bugs that it says it catches.
    bugs: BTreeSet<String>,
}

/// What came of planting a bug.
enum Planted {
    Replayed,
    NotMet,
    /// What to complain of.
    Wrong(String),
}

/// How many of the slowest are named.
const SLOWEST: usize = 5;

pub(crate) fn run(deep: bool) -> bool {
    Project { at: "", features: &["--all-features"], typed: false }.check(deep)
}

impl Project {
    /// Runs all models on both faces.
    pub(crate) fn check(&self, deep: bool) -> bool {
        let packages = self.packages();
        if packages.is_empty() {
            complain("no package has a test target `models`");
            return false;
        }
        let bound = if deep { "3" } else { "2" };
        let schedules = if deep { "100000" } else { "5000" };
        // All of them, also after a failure.
        self.face(&packages, "loom", &[("LOOM_MAX_PREEMPTIONS", bound)])
            & self.face(&packages, "shuttle", &shuttle(schedules, deep))
    }

    /// Cargo, told to do this there, so that it can be repeated from our directory.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo_here(&arguments[..1]);
        if !self.at.is_empty() {
            command.args(["--manifest-path", &format!("{}/Cargo.toml", self.at)]);
            // What is built for ours is built for it, too, and not once more.
            if std::env::var_os(TARGET).is_none() {
                command.env(TARGET, "target");
            }
        }
        command.args(&arguments[1..]);
        command
    }

    /// The packages that have a test target named `models`.
    fn packages(&self) -> Vec<Package> {
        let output = self.cargo(&["metadata", "--no-deps", "--format-version=1"]).output();
        let metadata: Value =
            output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok()).unwrap_or_default();
        let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
        let has_models = |package: &Value| {
            let targets = package["targets"].as_array().cloned().unwrap_or_default();
            targets.iter().any(|target| target["name"] == "models" && target["kind"][0] == "test")
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let named = packages.iter().filter(|package| has_models(package));
        named
            .filter_map(|package| {
                Some(Package { name: text(&package["name"])?, manifest: text(&package["manifest_path"])? })
            })
            .collect()
    }

    /// All models on one face. They are built at once, so that what they depend on has the same features for all, and is
    /// compiled once.
    fn face(&self, packages: &[Package], face: &str, settings: &[(&str, &str)]) -> bool {
        let Some(programs) = self.build(packages, face, settings) else {
            return false;
        };
        let mut models = Vec::new();
        for (package, program) in packages.iter().zip(&programs) {
            let names = list(program);
            if names.is_empty() {
                complain(&format!("{} has no model", package.name));
                return false;
            }
            let model = |name| Model { project: self, package: &package.name, face, settings, program, name };
            models.extend(names.into_iter().map(model));
        }
        let (checked, took) = timed(|| pool::each(&models, |model| (model, model.check().tell())));
        say(&format!("   {face}: {} models in {:.1} s", models.len(), took.as_secs_f64()));
        let bugs = checked.iter().flat_map(|(model, verdict)| verdict.bugs.iter().map(|bug| (*model, bug)));
        let bugs: Vec<_> = bugs.collect();
        let (caught, took) = timed(|| pool::each(&bugs, |&(model, bug)| (model, model.catches(bug).tell())));
        say(&format!("   {face}: {} planted bugs in {:.1} s", bugs.len(), took.as_secs_f64()));
        let mut all: Vec<_> = checked.iter().map(|all| ("", all)).collect();
        all.extend(caught.iter().map(|all| (" with a planted bug", all)));
        all.sort_by_key(|(_, (_, verdict))| std::cmp::Reverse(verdict.took));
        for (how, (model, verdict)) in all.iter().take(SLOWEST) {
            let (package, name, took) = (model.package, &model.name, verdict.took.as_secs_f64());
            say(&format!("   {face}: slow: {took:.1} s: {package}: {name}{how}"));
        }
        all.iter().all(|(_, (_, verdict))| verdict.passed)
    }

    /// The programs with the models, one for each package.
    fn build(&self, packages: &[Package], face: &str, settings: &[(&str, &str)]) -> Option<Vec<PathBuf>> {
        let mut build = self.cargo(&["test", "--locked", "--profile", "model"]);
        build.args(self.features).args(["--test", "models"]);
        packages.iter().for_each(|package| _ = build.args(["--package", &package.name]));
        build.env("RUSTFLAGS", flags(&format!("--cfg {face}")));
        settings.iter().for_each(|(name, value)| _ = build.env(name, value));
        build.arg("--no-run");
        if !step(&mut build) {
            return None;
        }
        build.arg("--message-format=json").arg("--quiet");
        let built = build.output().ok().map(|output| executables(&output, "models")).unwrap_or_default();
        let program = |package: &Package| {
            let program = built.iter().find(|(manifest, _)| *manifest == package.manifest);
            if program.is_none() {
                complain(&format!("cargo did not say where the models of {} are", package.name));
            }
            program.map(|(_, program)| program.clone())
        };
        packages.iter().map(program).collect()
    }
}

/// How many schedules shuttle takes, and where chance begins.
fn shuttle(schedules: &str, deep: bool) -> Vec<(&str, &str)> {
    let anywhere = deep && std::env::var_os("SHUTTLE_RANDOM_SEED").is_none();
    let seed = anywhere.then_some(("SHUTTLE_RANDOM_SEED", "any"));
    [("SHUTTLE_ITERATIONS", schedules)].into_iter().chain(seed).collect()
}

impl Verdict {
    /// Tells it, all in one, for others are told meanwhile.
    fn tell(self) -> Self {
        if self.passed {
            say(&self.said)
        } else {
            complain(&self.said)
        }
        self
    }
}

impl Model<'_> {
    /// Runs it.
    fn check(&self) -> Verdict {
        let Self { face, name, package, .. } = self;
        let (output, took) = timed(|| self.run(&[]));
        let text = said(&output);
        // libtest has begun the line with the model's name.
        let counts: Vec<_> = text.lines().filter_map(|line| line.split_once("model: ")).collect();
        let mut lines: Vec<_> = counts.iter().map(|(_, count)| format!("   {face}: {count}")).collect();
        let succeeded = output.as_ref().is_ok_and(|output| output.status.success());
        let passed = succeeded && !counts.is_empty();
        if !passed {
            let why = if succeeded { "does not say how many schedules ran" } else { "FAILED" };
            lines.push(text.clone());
            lines.push(format!("{face}: {package}: {name} {why} after {:.1} s; again:", took.as_secs_f64()));
            lines.push(self.again(&replay(&text)));
        }
        let bugs = text.lines().filter_map(|line| line.strip_prefix("catches: ")).filter(|_| passed);
        Verdict { passed, said: lines.join("\n"), took, bugs: bugs.map(str::to_owned).collect() }
    }

    /// It must fail when the bug that it catches is planted, and again when the schedule that failed is replayed. Weak
    /// memory and rare schedules are loom's: only loom has to find every bug.
    fn catches(&self, bug: &str) -> Verdict {
        let Self { face, name, .. } = self;
        let (planted, took) = timed(|| self.plant(bug));
        let (passed, said) = match planted {
            Planted::Replayed => (true, format!("   {face}: {name} catches `{bug}`, and again when replayed")),
            Planted::NotMet if *face == "shuttle" => (true, format!("   shuttle: {name} did not meet `{bug}`")),
            Planted::NotMet => {
                let again = self.again(&[(PLANTED.to_owned(), bug.to_owned())]);
                (false, format!("{face}: {name} does not catch the planted bug `{bug}`:\n{again}"))
            }
            Planted::Wrong(said) => (false, said),
        };
        Verdict { passed, said, took, bugs: BTreeSet::new() }
    }

    fn plant(&self, bug: &str) -> Planted {
        let planted = (PLANTED.to_owned(), bug.to_owned());
        let output = self.run(std::slice::from_ref(&planted));
        let text = said(&output);
        // By a panic, which a deadlock is to both checkers, too.
        let failed = output.is_ok_and(|output| !output.status.success());
        let Some(failure) = failed_as(&text).filter(|_| failed) else {
            return Planted::NotMet;
        };
        let mut settings = replay(&text);
        settings.push(planted);
        let again = said(&self.run(&settings));
        let typed = if self.project.typed { self.type_in(&text) } else { again.clone() };
        if [&again, &typed].iter().all(|text| failed_as(text).as_ref() == Some(&failure)) {
            return Planted::Replayed;
        }
        let (face, name, settings) = (self.face, &self.name, self.again(&settings));
        Planted::Wrong(format!(
            "{again}\n{face}: {name} with `{bug}` fails thus:\n{failure}\nand not in the same way when that schedule is \
             replayed:\n{settings}"
        ))
    }

    /// Runs it in a process of its own, which is told what cargo would tell it.
    fn run(&self, settings: &[(String, String)]) -> std::io::Result<Output> {
        let mut command = Command::new(self.program);
        command.args(["--exact", &self.name, "--nocapture"]).current_dir(root().join(self.project.at));
        ["RUST_BACKTRACE", PLANTED, "FOUNDATION_SCHEDULE"].iter().for_each(|name| _ = command.env_remove(name));
        command.env("CARGO_PKG_NAME", self.package);
        // A file that is replaced in each of thousands of schedules need not reach a disk.
        if std::env::var_os("TMPDIR").is_none() && Path::new(MEMORY).is_dir() {
            command.env("TMPDIR", MEMORY);
        }
        command.envs(self.settings.iter().copied());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.output()
    }

    /// Types in what the failure says.
    fn type_in(&self, text: &str) -> String {
        let Some(line) = text.lines().rev().find_map(|line| line.strip_prefix("replay: ")) else {
            return String::new();
        };
        say(&format!("   {}$ {line}", self.project.at));
        let mut shell = command("sh");
        shell.args(["-c", line]).current_dir(root().join(self.project.at)).env_remove("RUST_BACKTRACE");
        shell.env(TARGET, root().join(std::env::var_os(TARGET).unwrap_or_else(|| "target".into())));
        said(&shell.output())
    }

    /// The plain command that repeats it.
    fn again(&self, settings: &[(String, String)]) -> String {
        let mut command = self.project.cargo(&["test", "--profile", "model"]);
        command
            .args(self.project.features)
            .args(["--package", self.package, "--test", "models", "--", "--exact", &self.name, "--nocapture"])
            .env("RUSTFLAGS", flags(&format!("--cfg {}", self.face)))
            .envs(self.settings.iter().copied())
            .envs(settings.iter().map(|(name, value)| (name, value)));
        format!("$ {}", plain(&command))
    }
}

/// What a failure was, and in which schedule: the place of the first panic, and what the scenario says of it.
fn failed_as(text: &str) -> Option<String> {
    let place = text.lines().find_map(|line| Some(line.split_once("panicked at ")?.1));
    let schedule = text.lines().rev().find(|line| line.starts_with("failed: "));
    Some(format!("{}\n{}", place?, schedule?))
}

/// The settings with which a failure says that it can be replayed: the numbers before the command.
fn replay(text: &str) -> Vec<(String, String)> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("replay: ")).unwrap_or_default();
    let words = line.split(' ').filter_map(|word| word.split_once('='));
    let numbers = words.filter(|(_, value)| value.parse::<u64>().is_ok());
    numbers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn list(program: &Path) -> Vec<String> {
    let output = Command::new(program).args(["--list", "--format=terse"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

fn said(output: &std::io::Result<Output>) -> String {
    match output {
        Ok(output) => {
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).join("\n")
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{failed_as, replay};

    const SAID: &str = "\
thread 'a' (12) panicked at src/queue.rs:12:1:
not so
failed: a stop wakes a reader: schedule 12 under loom
replay: FOUNDATION_SCHEDULE=12 LOOM_MAX_PREEMPTIONS=2 FOUNDATION_PLANTED=\"no 1\" cargo test -- --exact a
";

    #[test]
    fn what_a_failure_says_is_read() {
        let settings = [("FOUNDATION_SCHEDULE", "12"), ("LOOM_MAX_PREEMPTIONS", "2")];
        assert_eq!(replay(SAID), settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let expected = "src/queue.rs:12:1:\nfailed: a stop wakes a reader: schedule 12 under loom";
        assert_eq!(failed_as(SAID).as_deref(), Some(expected));
        assert_eq!(failed_as("test result: ok"), None);
    }
}
