//! The mesh under faults of its machine and its neighbours; each prints a line for
//! `cargo xtask faults`, and is longer with `WEFT_FAULTS=long`.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::mesh::{Mesh, until};
use crate::{count, events, text, weft};

fn long() -> bool {
    std::env::var("WEFT_FAULTS").is_ok_and(|value| value == "long")
}

fn report(fault: &str, done: &str, trials: usize, control: &str) {
    println!("fault|{fault}|{done}|{trials}|0|0|{control}");
}

/// Whether what this test needs is there; else one line says what was not looked at.
fn possible(fault: &str, possible: bool, needs: &str) -> bool {
    if !possible {
        println!("fault|{fault}|not tried here: it needs {needs}|0|0|0|none");
    }
    possible
}

/// Everything that was acknowledged is there, once, and the ledger balances.
fn whole(home: &Path, sent: usize) {
    assert_eq!(count(home, "SELECT count(*) FROM authentication") as usize, sent);
    assert_eq!(count(home, "SELECT count(DISTINCT message) FROM authentication") as usize, sent);
    let ledger = weft(home, &["ledger", "--deep", "--format", "csv"], "");
    assert_eq!(ledger.status.code(), Some(0), "{}{}", text(&ledger.stdout), text(&ledger.stderr));
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=20m", "tmpfs"]).arg(folder.path()).output();
    if !possible("full disk", mount.is_ok_and(|done| done.status.success()), "the right to mount a tmpfs") {
        return;
    }
    let _mounted = Mounted(folder.path().to_owned());
    let (home, ballast) = (folder.path().join("home"), folder.path().join("ballast"));
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("weft.toml"), "[budget]\ncommit_seconds = 1\n").unwrap();
    std::fs::write(&ballast, vec![1_u8; 10 << 20]).unwrap();
    let mut mesh = Mesh::start(&home);
    let mut sent = 0;
    // Until a body is not acknowledged: then the disk is full.
    while sent < 200_000 && mesh.send_within(events(sent..sent + 500), Duration::from_secs(3)).is_some() {
        sent += 500;
    }
    assert!(sent < 200_000, "the disk never filled up");
    assert!(mesh.is_running(), "it never exits");
    let seen = until("reads go on", || Some(count(&home, "SELECT count(*) FROM authentication")));
    assert!(seen > 0);
    std::fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    // The body that was refused, sent again by its client.
    until("it goes on", || mesh.send_within(events(sent..sent + 500), Duration::from_secs(2)));
    let resumed = freed.elapsed();
    sent += 500;
    mesh.stop();
    whole(&home, sent);
    report("full disk", "20 MB tmpfs filled up: never exits, reads go on", sent, &format!("goes on {:.1} s after space is freed", resumed.as_secs_f64()));
}

/// The library of libfaketime, which shifts the clock of one process.
fn faketime() -> Option<PathBuf> {
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
}

#[test]
fn clock_jumps() {
    let library = faketime();
    if !possible("clock jumps", library.is_some(), "libfaketime") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (home, clock) = (folder.path().join("home"), folder.path().join("clock"));
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("weft.toml"), "[budget]\ncommit_seconds = 1\n").unwrap();
    std::fs::write(&clock, "+0").unwrap();
    let clock_file = clock.display().to_string();
    let library = library.unwrap().display().to_string();
    let variables =
        [("LD_PRELOAD", library.as_str()), ("FAKETIME_TIMESTAMP_FILE", clock_file.as_str()), ("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    let (jumps, mut sent) = (["+366d", "-366d", "+0", "-1h", "+5m", "+3650d", "-20y", "+0"], 0);
    let mut mesh = Mesh::start_with(&home, &variables);
    for jump in jumps {
        std::fs::write(&clock, jump).unwrap();
        for _ in 0..if long() { 20 } else { 4 } {
            let body = events(sent..sent + 100);
            assert!(mesh.send(body.clone()).is_some(), "after a jump by {jump}");
            // What a client sends again after the jump is still known.
            assert!(mesh.send(body).is_some());
            sent += 100;
        }
    }
    assert!(mesh.is_running());
    mesh.stop();
    whole(&home, sent);
    report("clock jumps", "a year on and back, ten on, twenty back, an hour, each with repeats", jumps.len(), "ids and order do not come from the clock");
}

#[test]
fn a_flood_of_one_among_twenty() {
    let home = tempfile::tempdir().unwrap();
    let mut mesh = Mesh::start(home.path());
    let listed = weft(home.path(), &["check", "--streams", "--format", "csv"], "");
    let streams: Vec<String> =
        text(&listed.stdout).lines().skip(1).map(|line| line.trim().to_owned()).filter(|stream| stream != "ocsf/event").take(19).collect();
    assert_eq!(streams.len(), 19);
    let bodies = if long() { 60 } else { 12 };
    let flood: Vec<String> = (0..bodies).map(|n| events(n * 5000..(n + 1) * 5000)).collect();
    let (mut slowest, mut rounds) = (Duration::ZERO, 0);
    std::thread::scope(|scope| {
        let mesh = &mesh;
        let flooding = scope.spawn(move || flood.into_iter().for_each(|body| assert!(mesh.send(body).is_some())));
        while !flooding.is_finished() {
            for stream in &streams {
                let begun = Instant::now();
                let line = format!("{{\"number\":{rounds},\"of\":\"{stream}\"}}\n");
                assert!(mesh.send_to(&format!("/ingest/{stream}"), line, Duration::from_secs(30)).is_some(), "{stream} starves");
                slowest = slowest.max(begun.elapsed());
            }
            rounds += 1;
        }
    });
    assert!(rounds > 0 && mesh.is_running());
    mesh.stop();
    whole(home.path(), bodies * 5000);
    let received = ledger_of(home.path(), "received");
    assert_eq!(received as usize, bodies * 5000 + rounds * 19);
    report(
        "flood of one among twenty",
        &format!("{} records by one source, 19 others beside it", bodies * 5000),
        rounds * 19,
        &format!("slowest answer to a neighbour {:.2} s", slowest.as_secs_f64()),
    );
}

/// A figure of all accounts but our own.
fn ledger_of(home: &Path, figure: &str) -> u64 {
    let said = weft(home, &["ledger", "--format", "json"], "");
    let rows: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    rows.iter().filter(|row| row["source"] != "weft" && row["source"] != "total").filter_map(|row| row[figure].as_u64()).sum()
}

#[test]
fn a_stalled_consumer() {
    let home = tempfile::tempdir().unwrap();
    let mut mesh = Mesh::start(home.path());
    // Live tails that never read what they are sent.
    let stalled: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(mesh.host()).unwrap();
            let request = format!("GET /api/v1/events/tail HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n", mesh.host(), mesh.token());
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let bodies = if long() { 100 } else { 20 };
    for n in 0..bodies {
        assert!(mesh.send(events(n * 1000..(n + 1) * 1000)).is_some(), "a reader that does not read holds up the doors");
    }
    assert!(mesh.is_running());
    drop(stalled);
    mesh.stop();
    whole(home.path(), bodies * 1000);
    report("stalled consumer", "8 live tails that never read", bodies * 1000, "every body acknowledged meanwhile");
}

#[test]
fn a_memory_limit() {
    let group = Path::new("/sys/fs/cgroup/memory").join(format!("weft-test-{}", std::process::id()));
    if !possible("memory limit", std::fs::create_dir(&group).is_ok(), "the right to make a memory cgroup") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let megabytes = 700_u64;
    std::fs::write(group.join("memory.limit_in_bytes"), (megabytes << 20).to_string()).unwrap();
    let mut mesh = Mesh::start(home.path());
    std::fs::write(group.join("cgroup.procs"), mesh.pid().to_string()).unwrap();
    let bodies = if long() { 200 } else { 20 };
    for n in 0..bodies {
        assert!(mesh.send(events(n * 2000..(n + 1) * 2000)).is_some());
    }
    // One line that is longer than a record may be: kept by its beginning, with the reason.
    let line = format!("{{\"long\":\"{}\"}}\n", "x".repeat(if long() { 100 << 20 } else { 40 << 20 }));
    let _taken = mesh.send_within(line, Duration::from_secs(60));
    assert!(mesh.is_running(), "killed for its memory");
    let peak: u64 = std::fs::read_to_string(group.join("memory.max_usage_in_bytes")).unwrap().trim().parse().unwrap();
    mesh.stop();
    whole(home.path(), bodies * 2000);
    let _gone = std::fs::remove_dir(&group);
    report("memory limit", &format!("a cgroup of {megabytes} MB"), bodies * 2000, &format!("never killed; with its file cache at most {} MB", peak >> 20));
}

/// A home that the form before this one wrote, with a log that was never committed.
const FIRST_FORM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/home-of-form-1");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn an_upgrade_and_a_downgrade() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    copy(Path::new(FIRST_FORM), &home);
    assert_eq!(count(&home, "SELECT count(*) FROM authentication"), 50, "30 events in tables, 20 in the log alone: a home of the form before is read");
    let again = weft(&home, &["ingest", "ocsf/event", "-", "--format", "csv"], &events(0..60));
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(count(&home, "SELECT count(DISTINCT message) FROM authentication"), 60);
    let ledger = weft(&home, &["ledger", "--deep"], "");
    assert_eq!(ledger.status.code(), Some(0), "{}{}", text(&ledger.stdout), text(&ledger.stderr));
    std::fs::write(home.join("log/form"), "99").unwrap();
    for verb in [&["query", "SELECT 1"][..], &["ingest", "ocsf/event", "-"]] {
        let refused = weft(&home, verb, &events(0..1));
        let told = text(&refused.stderr);
        assert!(!refused.status.success() && told.lines().count() == 1 && told.contains("later version of weft"), "{told}");
    }
    report("upgrade and downgrade", "a home of the form before is read and written on; one of a later form is refused", 2, "one clear line names the version");
}
