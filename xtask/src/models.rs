//! The models: each loom model in a process of its own, then the shuttle ones, then every planted bug that a model says
//! it catches.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    ci::{flags, plain, step, timed},
    run::{cargo_here, complain, executable, say},
};

/// The packages that have a test target named `models`.
fn packages() -> Vec<String> {
    let output = cargo_here(&["metadata", "--no-deps", "--format-version=1"]).output();
    let metadata: Value =
        output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok()).unwrap_or_default();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let has_models = |package: &Value| {
        let targets = package["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().any(|target| target["name"] == "models" && target["kind"][0] == "test")
    };
    let named = packages.iter().filter(|package| has_models(package));
    named.filter_map(|package| package["name"].as_str().map(str::to_owned)).collect()
}

pub(crate) fn run(deep: bool) -> bool {
    let packages = packages();
    if packages.is_empty() {
        complain("no package has a test target `models`");
        return false;
    }
    let bound = if deep { "3" } else { "2" };
    let schedules = if deep { "100000" } else { "5000" };
    // All of them, also after a failure.
    packages.iter().fold(true, |passed, package| {
        passed
            & face(package, "loom", &[("LOOM_MAX_PREEMPTIONS", bound)])
            & face(package, "shuttle", &[("SHUTTLE_ITERATIONS", schedules)])
    })
}

/// All models of one package on one face.
fn face(package: &str, face: &str, settings: &[(&str, &str)]) -> bool {
    let mut build = cargo_here(&["test", "--locked", "--all-features", "--profile", "model"]);
    build.args(["--package", package, "--test", "models"]);
    build.env("RUSTFLAGS", flags(&format!("--cfg {face}")));
    settings.iter().for_each(|(name, value)| _ = build.env(name, value));
    build.arg("--no-run");
    if !step(&mut build) {
        return false;
    }
    build.arg("--message-format=json").arg("--quiet");
    let Some(program) = build.output().ok().and_then(|output| executable(&output, "models")) else {
        complain("cargo did not say where the models are");
        return false;
    };
    let models = list(&program);
    if models.is_empty() {
        complain(&format!("{package} has no model"));
        return false;
    }
    models.iter().fold(true, |passed, model| {
        let (output, took) = timed(|| one(&program, model, settings));
        let text = said(&output);
        // libtest has begun the line with the model's name.
        for line in text.lines().filter_map(|line| line.split_once("model: ")) {
            say(&format!("   {face}: {}", line.1));
        }
        if !output.as_ref().is_ok_and(|output| output.status.success()) {
            say(&text);
            complain(&format!("{face}: {package}: {model} FAILED after {:.1} s; again:", took.as_secs_f64()));
            complain(&again(package, model, face, settings));
            return false;
        }
        // Weak memory and rare schedules are loom's: it has to find every planted bug.
        if face != "loom" {
            return passed;
        }
        let bugs: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("catches: ")).collect();
        bugs.iter().fold(passed, |passed, bug| passed & catches(&program, package, model, bug, settings))
    })
}

/// The plain command that repeats one model.
fn again(package: &str, model: &str, face: &str, settings: &[(&str, &str)]) -> String {
    let mut command = cargo_here(&["test", "--all-features", "--profile", "model"]);
    command
        .args(["--package", package, "--test", "models", "--", "--exact", model, "--nocapture"])
        .env("RUSTFLAGS", flags(&format!("--cfg {face}")));
    settings.iter().for_each(|(name, value)| _ = command.env(name, value));
    format!("$ {}", plain(&command))
}

/// A loom model must fail when the bug that it catches is planted: by a panic, which a deadlock is to loom, too.
fn catches(program: &PathBuf, package: &str, model: &str, bug: &str, settings: &[(&str, &str)]) -> bool {
    let mut settings = settings.to_vec();
    settings.push(("FOUNDATION_PLANTED", bug));
    let output = one(program, model, &settings);
    let failed = output.as_ref().is_ok_and(|output| !output.status.success());
    let caught = failed && said(&output).contains("panicked at");
    match caught {
        true => say(&format!("   loom: {model} catches `{bug}`")),
        false => {
            complain(&format!("loom: {model} does not catch the planted bug `{bug}`:"));
            complain(&again(package, model, "loom", &settings));
        }
    }
    caught
}

/// Runs one model in a process of its own.
fn one(program: &PathBuf, model: &str, settings: &[(&str, &str)]) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    command.args(["--exact", model, "--nocapture", "--test-threads=1"]);
    command.env_remove("RUST_BACKTRACE");
    settings.iter().for_each(|(name, value)| _ = command.env(name, value));
    command.output()
}

fn list(program: &PathBuf) -> Vec<String> {
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
