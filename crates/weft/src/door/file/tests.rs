use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use weft_model::RawBatch;

use super::*;
use crate::door::Limits;
use crate::queue::{Bounds, Delivery, Queue};

/// A folder, a follower of `app.log`, and what has reached the log.
struct Stand {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    queue: Queue,
    log: Arc<Mutex<Vec<RawBatch>>>,
    follow: Follow,
    followed: BTreeMap<PathBuf, Follower>,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (queue, log) = (Queue::new(Bounds::default()), Arc::new(Mutex::new(Vec::new())));
        let (reading, into) = (queue.clone(), Arc::clone(&log));
        runtime.spawn(async move {
            while let Some(group) = reading.next(1 << 20).await {
                for delivery in group {
                    // Kept before it is acknowledged, as the log does it.
                    into.lock().unwrap().push(delivery.batch.clone());
                    Delivery::acknowledge(delivery);
                }
            }
        });
        let follow = follow(&queue, folder.path().join("app.log"), BTreeMap::new());
        Self { folder, runtime, queue, log, follow, followed: BTreeMap::new() }
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn look(&mut self) {
        let found = files(&self.follow.path).unwrap_or_default();
        while self.follow.look(found.clone(), &mut self.followed, self.runtime.handle()) {}
    }

    /// Forgets everything but the positions that the log has, like a new process.
    fn restart(&mut self) {
        let positions = self.log.lock().unwrap().iter().filter(|b| !b.next.0.is_empty()).map(|b| (b.source.clone(), b.next.clone())).collect();
        self.follow = follow(&self.queue, self.follow.path.clone(), positions);
        self.followed.clear();
    }

    fn records(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().flat_map(|b| b.records.iter().map(|r| String::from_utf8_lossy(&r.bytes).into_owned())).collect()
    }

    fn ids(&self) -> usize {
        self.log.lock().unwrap().iter().flat_map(|b| b.records.iter().map(|r| r.id)).collect::<BTreeSet<_>>().len()
    }
}

fn follow(queue: &Queue, path: PathBuf, positions: BTreeMap<SourceId, Position>) -> Follow {
    let limits = Limits { record_bytes_max: 32, ..Limits::default() };
    let ingress = Ingress { queue: queue.clone(), limits, streams: Arc::default() };
    Follow { ingress, path, stream: "auto".into(), positions, stop: CancellationToken::new(), whole: Box::new(|_| Ok(())) }
}

#[test]
fn lines_arrive_when_they_are_whole() {
    let mut stand = Stand::new();
    stand.write("app.log", "one\r\ntwo\nthr");
    stand.look();
    assert_eq!(stand.records(), ["one", "two"]);
    stand.write("app.log", "ee\n\nfour\n");
    stand.look();
    assert_eq!(stand.records(), ["one", "two", "three", "four"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning() {
    let mut stand = Stand::new();
    stand.write("app.log", "one\n");
    stand.look();
    stand.write("app.log", "two\nlast without end");
    fs::rename(stand.folder.path().join("app.log"), stand.folder.path().join("app.log.1")).unwrap();
    stand.write("app.log", "three\n");
    stand.look();
    assert_eq!(stand.records(), ["one", "two", "last without end", "three"]);
}

#[test]
fn a_rotation_while_the_mesh_was_down_loses_nothing() {
    let mut stand = Stand::new();
    stand.write("app.log", "one\n");
    stand.look();
    stand.restart();
    stand.write("app.log", "two\n");
    fs::rename(stand.folder.path().join("app.log"), stand.folder.path().join("app.log.1")).unwrap();
    stand.write("app.log", "three\n");
    stand.look();
    assert_eq!(stand.records(), ["one", "two", "three"]);
}

#[test]
fn a_truncated_file_begins_again_and_equal_lines_are_new_events() {
    let mut stand = Stand::new();
    stand.write("app.log", "one\nsame\n");
    stand.look();
    fs::OpenOptions::new().write(true).truncate(true).open(stand.folder.path().join("app.log")).unwrap();
    stand.write("app.log", "new\nsame\nmore\n");
    stand.look();
    assert_eq!(stand.records(), ["one", "same", "new", "same", "more"]);
    assert_eq!(stand.ids(), 5);
}

#[test]
fn after_a_restart_it_goes_on_and_what_is_read_again_has_the_same_ids() {
    let mut stand = Stand::new();
    stand.write("app.log", "one\ntwo\n");
    stand.look();
    stand.restart();
    stand.write("app.log", "three\n");
    stand.look();
    assert_eq!(stand.records(), ["one", "two", "three"]);
    stand.follow.positions.clear();
    stand.followed.clear();
    stand.look();
    assert_eq!((stand.records().len(), stand.ids()), (6, 3));
}

#[test]
fn a_line_that_is_too_long_leaves_its_neighbours() {
    let mut stand = Stand::new();
    stand.write("app.log", &format!("one\n{}", "x".repeat(40)));
    stand.look();
    stand.write("app.log", &format!("{}\ntwo\n", "x".repeat(40)));
    stand.look();
    let records = stand.records();
    assert_eq!((records.first().map(String::as_str), records.last().map(String::as_str), records.len()), (Some("one"), Some("two"), 3));
}

#[test]
fn patterns_and_folders() {
    let stand = Stand::new();
    for name in ["a.log", "b.log", "c.txt"] {
        stand.write(name, "x\n");
    }
    let names = |path: &str| files(&stand.folder.path().join(path)).unwrap().len();
    assert_eq!((names("*.log"), names("a*"), names(""), names("a.log")), (2, 1, 3, 1));
    assert!(files(&stand.folder.path().join("none")).is_err());
    assert!(matches("a*b*c", "aXXbYYc") && !matches("a*b", "acd") && matches("*", ""));
}
