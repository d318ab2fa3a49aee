//! What the operating system shows of a universe's threads.

mod census;
mod conditions;
mod rest;

use std::{collections::BTreeMap, env, fs, process::Command};

/// Says that this is the process of one test.
const ALONE: &str = "FOUNDATION_TEST_ALONE";

/// Runs the test in a process of its own, where no other test has threads. `test` is its path in this program.
fn alone(test: &str, body: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return body();
    }
    let program = env::current_exe().expect("it runs");
    let output = Command::new(program).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output();
    let output = output.expect("it can be started once more");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
}

/// A thread, as the system shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    name: String,
    /// How often it has been given a processor, or rather lost one, by itself or not.
    switches: u64,
    /// Its time on processors, in the system's ticks.
    ticks: u64,
    nice: i64,
    cpus: String,
    blocked: String,
}

impl Shown {
    /// `None`: it has gone.
    fn read(task: &str) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{task}/status")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{task}/stat")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        // Behind the name, which may have anything in it: the third field of proc(5) comes first.
        let numbers: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| numbers.get(field - 3)?.parse::<i64>().ok();
        let switches = field("voluntary_ctxt_switches:")?.parse::<u64>().ok()?;
        Some(Self {
            name: field("Name:")?,
            switches: switches + field("nonvoluntary_ctxt_switches:")?.parse::<u64>().ok()?,
            ticks: u64::try_from(number(14)? + number(15)?).ok()?,
            nice: number(19)?,
            cpus: field("Cpus_allowed:")?,
            blocked: field("SigBlk:")?,
        })
    }

    /// The calling thread.
    fn own() -> Self {
        Self::read("thread-self").expect("it is there")
    }

    /// All of this process, by their numbers.
    fn all() -> BTreeMap<String, Self> {
        let tasks = fs::read_dir("/proc/self/task").expect("Linux has it").flatten();
        let numbers = tasks.filter_map(|task| task.file_name().into_string().ok());
        numbers.filter_map(|number| Some((number.clone(), Self::read(&format!("self/task/{number}"))?))).collect()
    }
}
