//! The running mesh: started, killed, started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{count, events, text, weft};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mesh that runs for as long as this value lives.
pub struct Mesh {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Mesh {
    pub fn start(home: &Path) -> Self {
        Self::start_with(home, &[])
    }

    pub fn start_with(home: &Path, variables: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_weft"))
            .envs(variables.iter().copied())
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = u64::from(child.id());
        let run: Value = until("the mesh says where it listens", || {
            let run: Value = serde_json::from_slice(&std::fs::read(home.join("run.json")).ok()?).ok()?;
            (run["pid"] == pid).then_some(run)
        });
        let field = |name: &str| run[name].as_str().unwrap().to_owned();
        Self { child, address: field("address"), token: field("token") }
    }

    /// Sends a body; none when the connection broke.
    pub fn send(&self, body: String) -> Option<Value> {
        self.send_within(body, PATIENCE)
    }

    /// The same; none when no answer came in time, either.
    pub fn send_within(&self, body: String, time: Duration) -> Option<Value> {
        self.send_to("/ingest/ocsf/event", body, time)
    }

    pub fn send_to(&self, path: &str, body: String, time: Duration) -> Option<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = reqwest::Client::new().post(format!("{}{path}", self.address)).bearer_auth(&self.token).body(body).timeout(time);
            let response = request.send().await.ok()?;
            response.status().is_success().then_some(())?;
            response.json().await.ok()
        })
    }

    /// `POST` of a JSON document; gives the status.
    pub fn act(&self, path: &str, body: &Value) -> u16 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.post(path, &[("content-type", "application/json".to_owned())], body.to_string().into_bytes()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `GET` of a JSON document.
    pub fn get(&self, path: &str) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = reqwest::Client::new().get(format!("{}{path}", self.address)).bearer_auth(&self.token).timeout(PATIENCE);
            request.send().await.unwrap().json().await.unwrap()
        })
    }

    /// Sends bytes to a path; gives the status, 0 when the connection broke.
    pub async fn post(&self, path: &str, headers: &[(&str, String)], body: Vec<u8>) -> u16 {
        let mut request = reqwest::Client::new().post(format!("{}{path}", self.address)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.body(body).send().await.map_or(0, |response| response.status().as_u16())
    }

    /// What a statement answers.
    pub fn query(&self, sql: &str) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = reqwest::Client::new().post(format!("{}/api/v1/query", self.address)).bearer_auth(&self.token);
            let response = request.json(&serde_json::json!({"sql": sql, "limit_rows": 10_000})).send().await.unwrap();
            let status = response.status();
            let answer: Value = response.json().await.unwrap();
            assert!(status.is_success(), "{sql}: {answer}");
            answer
        })
    }

    /// Most memory that the process has had.
    pub fn memory_bytes_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
    }

    /// Asks it to end and waits.
    pub fn stop(mut self) {
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let status = until("the mesh ends", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: waited {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn acknowledged_events_survive_kills_and_are_not_doubled() {
    let home = tempfile::tempdir().unwrap();
    let mut sent = 0;
    for _ in 0..4 {
        let mesh = Mesh::start(home.path());
        for _ in 0..5 {
            let body = events(sent..sent + 200);
            // The second time it is as if the answer had been lost.
            assert_eq!(mesh.send(body.clone()).unwrap()["accepted"], 200);
            assert_eq!(mesh.send(body).unwrap()["accepted"], 200);
            sent += 200;
        }
        // Dropped, the process is killed as if the power had gone.
    }
    let mesh = Mesh::start(home.path());
    let now = until("the log is mapped again", || Some(count(home.path(), "SELECT count(*) FROM authentication")).filter(|now| *now as usize >= sent));
    assert_eq!(now as usize, sent);
    mesh.stop();
    assert_eq!(count(home.path(), "SELECT count(*) FROM authentication") as usize, sent);
    assert_eq!(count(home.path(), "SELECT count(DISTINCT message) FROM authentication") as usize, sent);
}

#[test]
fn the_command_line_asks_the_running_mesh() {
    let home = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(home.path());
    assert!(mesh.send(events(0..10)).is_some());
    let seen = until("ten events are visible", || Some(count(home.path(), "SELECT count(*) FROM events WHERE class_uid = 3002")).filter(|seen| *seen >= 10));
    assert_eq!(seen, 10);
    let refused = weft(home.path(), &["ingest", "ocsf/event", "-"], &events(0..1));
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("the mesh runs on"), "{}", text(&refused.stderr));
    for verb in [&["tables"][..], &["playbook", "list"], &["posture", "list"], &["metrics"], &["rejects", "list"]] {
        let output = weft(home.path(), verb, "");
        assert_ne!(output.status.code(), Some(2), "{verb:?}: {}", text(&output.stderr));
    }
    mesh.stop();
    assert!(!home.path().join("run.json").exists());
}
