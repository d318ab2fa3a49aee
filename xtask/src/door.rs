//! What the door costs: each primitive of foundation-sync beside the one that is behind it. Where valgrind is installed
//! it counts instructions, elsewhere it takes the time.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    ci::built,
    run::{complain, say},
};

/// How the cost is measured.
struct Ruler {
    unit: &'static str,
    /// How many times what the library takes ours may take.
    most: f64,
    /// A difference that says nothing, whatever the ratio.
    noise: f64,
    /// How often a row is measured before it fails: a machine may do something else for a while.
    looks: usize,
    /// What one takes, direct and ours.
    measure: fn(&Path, &Row) -> Option<(f64, f64)>,
}

/// They are the same in each run.
const INSTRUCTIONS: Ruler = Ruler { unit: "instructions", most: 1.03, noise: 0.0, looks: 1, measure: count };

const TIME: Ruler = Ruler { unit: "nanoseconds", most: 1.1, noise: 0.2, looks: 3, measure: time };

/// One line of the program's `list`.
struct Row {
    name: String,
    times: u64,
    /// Instructions that ours may take more, whatever the ratio; or nanoseconds, which is generous.
    allowance: f64,
    why: String,
}

pub(crate) fn run(_: bool) -> bool {
    let Some(program) = built(&["build", "--release", "--locked", "--package", "door"], "door") else {
        return false;
    };
    let Some(rows) = rows(&program) else {
        complain(&format!("{} does not list its rows as it should", program.display()));
        return false;
    };
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let ruler = if valgrind.is_ok_and(|status| status.success()) {
        say(&format!("   counted by `{} door run ROW ours|direct N`", CALLGRIND.join(" ")));
        INSTRUCTIONS
    } else {
        say(
            "   no valgrind here, so no instructions are counted: the time, by `door time ROW`, median of rounds by turns",
        );
        TIME
    };
    say(&format!("   {:<36} {:>10} {:>10} {:>7}   {}, each", "", "direct", "ours", "ratio", ruler.unit));
    // All of them, also after a failure.
    rows.iter().fold(true, |passed, row| passed & holds(row, &ruler, || (ruler.measure)(&program, row)))
}

/// Whether ours takes no more than it may.
fn holds(row: &Row, ruler: &Ruler, measure: impl Fn() -> Option<(f64, f64)>) -> bool {
    let most = ruler.most;
    let mut looks = ruler.looks;
    loop {
        let Some((direct, ours)) = measure() else {
            complain(&format!("{}: it could not be measured", row.name));
            return false;
        };
        let ratio = ours / direct;
        let (near, more) = (ratio <= most, ours - direct);
        let allowed = more <= ruler.noise + row.allowance;
        looks -= 1;
        if !near && !allowed && looks > 0 {
            continue;
        }
        let note = match (near, allowed) {
            (true, _) => String::new(),
            (false, true) if more <= ruler.noise => format!("a difference of {} says nothing", ruler.noise),
            (false, true) => format!("{} are allowed: {}", row.allowance, row.why),
            (false, false) => format!("MORE THAN {most}"),
        };
        say(format!("   {:<36} {direct:>10.1} {ours:>10.1} {ratio:>7.3}   {note}", row.name).trim_end());
        if near || allowed {
            return true;
        }
        complain(&format!(
            "{}: through foundation-sync it takes more than {most} times what the library behind it takes; look for a \
             call that is not inlined, a second check, or a copy (foundation-sync/src/face), and measure again with \
             `cargo xtask ci --only door`",
            row.name
        ));
        return false;
    }
}

const CALLGRIND: [&str; 3] = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// Instructions of one, direct and ours: the difference of two runs, so that starting the program does not count. All four
/// at once: what is counted does not depend on how long it takes.
fn count(program: &Path, row: &Row) -> Option<(f64, f64)> {
    let start = |way: &str, times: u64| {
        let mut command = Command::new(CALLGRIND[0]);
        command.args(&CALLGRIND[1..]).arg(program).args(["run", &row.name, way, &times.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
    };
    let runs = [("direct", 2), ("direct", 1), ("ours", 2), ("ours", 1)].map(|(way, n)| start(way, n * row.times));
    let counted = |run: Option<Child>| {
        let output = run?.wait_with_output().ok().filter(|output| output.status.success())?;
        collected(&String::from_utf8_lossy(&output.stderr))
    };
    let [direct_more, direct, ours_more, ours] = runs.map(counted);
    let each = |more: u64, base: u64| Some(more.checked_sub(base)? as f64 / row.times as f64);
    Some((each(direct_more?, direct?)?, each(ours_more?, ours?)?))
}

/// What callgrind says at its end: `==1== Collected : 1512563`.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

/// Nanoseconds of one, direct and ours.
fn time(program: &Path, row: &Row) -> Option<(f64, f64)> {
    let output = Command::new(program).args(["time", &row.name]).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let (ours, direct) = said.trim().split_once('\t')?;
    Some((direct.parse().ok()?, ours.parse().ok()?))
}

fn rows(program: &Path) -> Option<Vec<Row>> {
    let output = Command::new(program).arg("list").output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    let rows: Option<Vec<_>> = said.lines().map(row).collect();
    rows.filter(|rows| !rows.is_empty())
}

fn row(line: &str) -> Option<Row> {
    let mut cells = line.split('\t');
    let (name, times, allowance) = (cells.next()?.to_owned(), cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    Some(Row { name, times, allowance, why: cells.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{INSTRUCTIONS, Row, TIME, collected, holds, row};

    #[test]
    fn callgrind_is_understood() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 1512563\n==7== \n"), Some(1_512_563));
        assert_eq!(collected("valgrind: failed to start tool"), None);
    }

    #[test]
    fn three_percent_or_the_allowance() {
        let row = |allowance| Row { name: "lock".to_owned(), times: 1, allowance, why: "a gate".to_owned() };
        for (allowance, direct, ours, good) in
            [(0.0, 100.0, 103.0, true), (0.0, 100.0, 104.0, false), (2.0, 10.0, 12.0, true), (2.0, 10.0, 13.0, false)]
        {
            let measured = holds(&row(allowance), &INSTRUCTIONS, || Some((direct, ours)));
            assert_eq!(measured, good, "{allowance} {direct} {ours}");
        }
        assert!(!holds(&row(0.0), &INSTRUCTIONS, || None));
        assert!(holds(&row(0.0), &TIME, || Some((0.5, 0.6))), "less than can be told apart");
        let looks = std::cell::Cell::new(0.0);
        let better_each_time = || {
            looks.set(looks.get() + 1.0);
            Some((10.0, 13.0 - looks.get()))
        };
        assert!(holds(&row(0.0), &TIME, better_each_time), "it is given another look");
    }

    #[test]
    fn a_row_of_the_list_is_read() {
        let row = row("lock\t10000\t2\ta gate").expect("it is a row");
        assert_eq!((row.name.as_str(), row.times, row.allowance, row.why.as_str()), ("lock", 10_000, 2.0, "a gate"));
        assert!(super::row("lock\tmany").is_none());
    }
}
