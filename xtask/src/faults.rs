//! `faults`: what happens when the machine, the disk, the clock or a neighbour fails, as one table.
//!
//! Most faults are tests of the crates, in modules of [`MODULES`]; each prints a line
//! `fault|name|what was done|trials|lost|doubled|control`. `--long` makes them longer and adds what
//! takes minutes: kills over millions of events, and power cuts in a virtual machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::run::{cargo, command, say};

/// Modules whose tests are faults.
const MODULES: [&str; 4] = ["faults::", "damage::", "full::", "poison::"];
/// Numbered events and kills: short, long.
const KILLS: [(&str, &str); 2] = [("20000", "4"), ("10000000", "100")];
/// Power cuts of the long form.
const CUTS: &str = "20";

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    fault: String,
    done: String,
    trials: String,
    lost: String,
    doubled: String,
    control: String,
    seconds: f64,
}

impl Line {
    /// Reads what a test printed; none where it printed something else.
    fn of(text: &str) -> Option<Self> {
        let mut parts = text.get(text.find("fault|")?..)?.split('|').skip(1).map(|part| part.trim().to_owned());
        let mut next = || parts.next();
        Some(Self { fault: next()?, done: next()?, trials: next()?, lost: next()?, doubled: next()?, control: next()?, seconds: 0.0 })
    }

    fn failed(fault: &str, why: &str) -> Self {
        let text = |text: &str| text.to_owned();
        Self { fault: text(fault), done: text(why), trials: text("0"), lost: text("?"), doubled: text("?"), control: text("FAILED"), seconds: 0.0 }
    }

    fn holds(&self) -> bool {
        self.lost == "0" && self.doubled == "0" && self.control != "FAILED"
    }
}

/// Runs all faults, or those whose name contains one of the given ones, and prints the table.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let long = arguments.contains(&"--long");
    let names: Vec<&str> = arguments.iter().copied().filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |fault: &str| names.is_empty() || names.iter().any(|name| fault.contains(name));
    let mut lines = tests(root, &names, long)?;
    if wanted("kill -9") {
        lines.push(kills(root, long));
    }
    if long && wanted("power cut") {
        lines.extend(power_cuts(root));
    }
    lines.retain(|line| wanted(&line.fault));
    print(&lines);
    if lines.is_empty() {
        return Err(format!("there is no fault named {}", names.join(", ")));
    }
    let failed: Vec<&str> = lines.iter().filter(|line| !line.holds()).map(|line| line.fault.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("these did not hold: {}", failed.join(", "))) }
}

/// The faults that are tests, one after another: some use up the whole machine.
fn tests(root: &Path, names: &[&str], long: bool) -> Result<Vec<Line>, String> {
    let cargo = cargo();
    command(root, &cargo, &["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-run", "--quiet"])?;
    let mut lines = Vec::new();
    for name in fault_tests(root, &cargo)? {
        let mut test = Command::new(&cargo);
        test.current_dir(root).args(["test", "--locked", "--workspace", "--lib", "--tests", "--quiet", &name, "--", "--exact", "--nocapture"]);
        if long {
            test.env("WEFT_FAULTS", "long");
        }
        if !names.is_empty() && !names.iter().any(|wanted| name.replace('_', " ").contains(wanted)) {
            continue;
        }
        let begun = Instant::now();
        let output = test.stdin(Stdio::null()).stderr(Stdio::piped()).output().map_err(|error| error.to_string())?;
        let seconds = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stdout);
        let found: Vec<Line> = said.lines().filter_map(Line::of).map(|line| Line { seconds, ..line }).collect();
        if !output.status.success() {
            say(&format!("{name}:\n{said}{}", String::from_utf8_lossy(&output.stderr)));
            lines.push(Line::failed(&name, "the test failed, see above"));
        }
        lines.extend(found);
    }
    Ok(lines)
}

/// Names of all tests that are faults.
fn fault_tests(root: &Path, cargo: &str) -> Result<Vec<String>, String> {
    let listed = Command::new(cargo)
        .current_dir(root)
        .args(["test", "--locked", "--workspace", "--lib", "--tests", "--quiet", "--", "--list", "--format", "terse"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let mut names: Vec<String> = String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    names.retain(|name| MODULES.iter().any(|module| name.starts_with(module) || name.contains(&format!("::{module}"))));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn kills(root: &Path, long: bool) -> Line {
    let (events, kills) = if long { KILLS[1] } else { KILLS[0] };
    let program = if long { release(root, &["-p", "weft", "--bin", "weft"], "weft") } else { Ok(crate::up::binary("debug").display().to_string()) };
    let run = program.and_then(|program| python(root, &["xtask/checks/kills.py", &program, "--events", events, "--kills", kills, "--control"]));
    let (fault, done) = ("kill -9", format!("{events} numbered events over HTTP, {kills} kills, answers lost on purpose"));
    match run {
        Ok((said, seconds)) => outcome(fault, &done, &said, seconds),
        Err(message) => Line::failed(fault, &message),
    }
}

fn power_cuts(root: &Path) -> Vec<Line> {
    let fault = "power cut";
    let program = release(root, &["-p", "weft-lake", "--example", "power_cut"], "examples/power_cut").and_then(|program| copy(&program, "trial"));
    let control = program.clone().and_then(|_| {
        let built = release(root, &["-p", "weft-lake", "--example", "power_cut", "--features", "acknowledge-before-sync"], "examples/power_cut");
        built.and_then(|program| copy(&program, "control"))
    });
    let run = program.and_then(|program| control.map(|control| (program, control)));
    let run = run.and_then(|(program, control)| python(root, &["xtask/checks/power_cut.py", &program, "--control", &control, "--cuts", CUTS]));
    vec![match run {
        Ok((said, seconds)) => outcome(fault, &format!("{CUTS} cuts of a virtual machine (QEMU, ext4) while it acknowledges"), &said, seconds),
        Err(message) => Line::failed(fault, &message),
    }]
}

/// What a check printed, as a line: `… lost N, doubled N …`, and the same of its control.
fn outcome(fault: &str, done: &str, said: &str, seconds: f64) -> Line {
    let number = |text: &str, word: &str| {
        let rest = text.get(text.find(word)? + word.len()..)?.trim_start();
        Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>())
    };
    let trial = said.lines().find(|line| line.contains("lost ") && !line.starts_with("control")).unwrap_or_default();
    let control = said.lines().find(|line| line.starts_with("control")).unwrap_or("none");
    let figure = |word: &str| number(trial, word).unwrap_or_else(|| "?".to_owned());
    let trials = trial.split([',', ':']).find(|part| part.contains("events")).unwrap_or(trial).trim().to_owned();
    let control = match number(control, "lost ") {
        Some(lost) if lost == "0" => "FAILED".to_owned(),
        Some(lost) => format!("acknowledged too early: lost {lost}"),
        None => control.to_owned(),
    };
    Line { fault: fault.to_owned(), done: done.to_owned(), trials, lost: figure("lost "), doubled: figure("doubled "), control, seconds }
}

/// Builds for release and gives the program.
fn release(root: &Path, what: &[&str], program: &str) -> Result<String, String> {
    command(root, &cargo(), &[&["build", "--locked", "--release", "--quiet"], what].concat())?;
    let built = crate::up::binary("release");
    let folder = built.parent().ok_or("the build has no folder")?;
    Ok(folder.join(program).display().to_string())
}

/// Aside, because the next build writes over it.
fn copy(program: &str, name: &str) -> Result<String, String> {
    let to = format!("{program}-{name}");
    std::fs::copy(program, &to).map(|_| to).map_err(|error| format!("`{program}`: {error}"))
}

fn python(root: &Path, arguments: &[&str]) -> Result<(String, f64), String> {
    let begun = Instant::now();
    let output = Command::new("python3")
        .current_dir(root)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`python3` cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if said.contains("lost ") {
        return Ok((said, begun.elapsed().as_secs_f64()));
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(told.lines().last().unwrap_or("it said nothing").to_owned())
}

fn print(lines: &[Line]) {
    let heads = ["fault", "what was done", "trials", "lost", "doubled", "control", "seconds"];
    let cells: Vec<[String; 7]> = lines
        .iter()
        .map(|line| {
            let Line { fault, done, trials, lost, doubled, control, seconds } = line.clone();
            [fault, done, trials, lost, doubled, control, format!("{seconds:.1}")]
        })
        .collect();
    let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for row in &cells {
        // Writing to a text cannot fail.
        let _infallible = writeln!(text, "| {} |", row.join(" | "));
    }
    let _closed = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_test_is_read_and_others_are_not() {
        let line = Line::of("test x ... fault|torn log|cut|12|0|0|none").unwrap();
        assert_eq!((line.fault.as_str(), line.trials.as_str(), line.holds()), ("torn log", "12", true));
        assert_eq!(Line::of("running 1 test"), None);
        assert!(!Line::failed("x", "y").holds());
    }

    #[test]
    fn a_check_holds_when_it_loses_nothing_and_its_control_does() {
        let said = "trial: 20 power cuts, 5000 events acknowledged, 3 commits: lost 0, doubled 0, ledgers that did not balance 0; 9 s\ncontrol: 3 power cuts, 90 events acknowledged: lost 40, doubled 0; 9 s";
        let line = outcome("power cut", "", said, 1.0);
        assert!(line.holds() && line.control.ends_with("lost 40"), "{line:?}");
        assert!(!outcome("power cut", "", &said.replace("lost 40", "lost 0"), 1.0).holds(), "a control that loses nothing is no control");
    }
}
