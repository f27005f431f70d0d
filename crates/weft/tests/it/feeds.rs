//! Feeds that the mesh fetches by itself, from servers on loopback; time is an argument of each look.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use weft::config::{FeedConfig, FeedFrom};
use weft::intel::Shelf;
use weft::intel::feed::{self, Progress};
use weft_model::Timestamp;

use crate::mesh::{Mesh, until};
use crate::{text, weft};

const HOUR: i64 = 3_600_000;
/// 2026-11-29.
const NOW: i64 = 1_795_910_400_000;

/// Gives one answer after another (status and headers, body), and notes what was asked.
fn server(answers: Vec<(String, String)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (head, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines: Vec<String> = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            asked.push(lines.join("\n").to_lowercase());
            stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        }
        asked
    });
    (format!("http://{address}"), served)
}

fn feed(from: FeedFrom) -> FeedConfig {
    FeedConfig { name: "f".to_owned(), from, every_ms: HOUR, user: None, secret: None, kind: None, confidence: 50, valid_for_ms: None }
}

fn at(url: &str) -> FeedConfig {
    feed(FeedFrom::Url(url.parse().unwrap()))
}

/// One look at a time, and the state after it.
async fn look(home: &Path, feed: &FeedConfig, progress: Progress, now: i64) -> Progress {
    let looked = feed::look(&Shelf::of(home), feed, &progress, Timestamp(now)).await;
    progress.after(looked, feed.every_ms, Timestamp(now))
}

fn known(home: &Path, value: &str) -> bool {
    weft(home, &["intel", "match", value], "").status.code() == Some(1)
}

#[tokio::test]
async fn a_list_is_asked_for_by_its_tag_and_faults_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let good = |tag: &str| format!("200 OK\r\netag: \"{tag}\"\r\nlast-modified: Sun, 29 Nov 2026 00:00:00 GMT");
    let (url, served) = server(vec![
        (good("a"), "198.51.100.1\n".to_owned()),
        ("304 Not Modified".to_owned(), String::new()),
        (good("b"), "198.51.100.2\nnonsense\n".to_owned()),
        ("503 Service Unavailable\r\nretry-after: 7200".to_owned(), String::new()),
        ("302 Found\r\nlocation: http://elsewhere.example/".to_owned(), String::new()),
        (good("c"), "{\"broken\": ".to_owned()),
        (good("b"), "198.51.100.2\n".to_owned()),
    ]);
    let feed = at(&format!("{url}/list.txt?key=secret"));
    let first = look(home, &feed, Progress::of(None, &feed), NOW).await;
    assert_eq!((first.changed, first.error.as_deref(), first.next(HOUR)), (Some(Timestamp(NOW)), None, Timestamp(NOW + HOUR)));
    assert!(known(home, "198.51.100.1"));
    let stamp = Shelf::of(home).stamp();
    let same = look(home, &feed, first, NOW + HOUR).await;
    assert_eq!((same.changed, same.success), (Some(Timestamp(NOW)), Some(Timestamp(NOW + HOUR))));
    assert_eq!(Shelf::of(home).stamp(), stamp, "nothing new is no change");

    let other = look(home, &feed, same, NOW + 2 * HOUR).await;
    assert_eq!((known(home, "198.51.100.1"), known(home, "198.51.100.2")), (false, true), "a list replaces the one before");
    assert!(other.remarks.iter().any(|remark| remark.contains("nonsense")), "{:?}", other.remarks);

    let busy = look(home, &feed, other, NOW + 3 * HOUR).await;
    assert_eq!((busy.faults, busy.next(HOUR)), (1, Timestamp(NOW + 5 * HOUR)), "as long as the server wants");
    let moved = look(home, &feed, busy, NOW + 5 * HOUR).await;
    assert!(moved.error.as_deref().unwrap().contains("names another address") && moved.faults == 2, "{moved:?}");
    let broken = look(home, &feed, moved, NOW + 6 * HOUR).await;
    assert!(broken.error.as_deref().unwrap().starts_with("nothing could be taken"), "{broken:?}");
    assert!(!broken.error.as_deref().unwrap().contains("secret"), "an address may hold what is not to be told: {broken:?}");
    assert!(known(home, "198.51.100.2"), "what was there stays");

    // A day after the last import, what is still listed is taken in again, whatever its tag.
    let again = look(home, &feed, broken, NOW + 26 * HOUR).await;
    assert_eq!((again.changed, again.faults), (Some(Timestamp(NOW + 26 * HOUR)), 0));
    let asked = served.join().unwrap();
    let tags: Vec<bool> = asked.iter().map(|asked| asked.contains("if-none-match")).collect();
    assert_eq!(tags, [false, true, true, true, true, true, false], "{asked:#?}");
    assert!(asked[1].contains("if-none-match: \"a\"") && asked[1].contains("if-modified-since: sun, 29 nov 2026"), "{}", asked[1]);
    assert!(asked[3].contains("if-none-match: \"b\""), "{}", asked[3]);
}

#[tokio::test]
async fn a_collection_is_read_on_and_a_misp_feed_by_its_manifest() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let indicator = |n: usize| {
        json!({"type": "indicator", "spec_version": "2.1", "id": format!("indicator--{n}"), "pattern_type": "stix", "valid_from": "2026-11-01T00:00:00Z",
            "valid_until": "2100-01-01T00:00:00Z", "modified": "2026-11-01T00:00:00Z", "pattern": format!("[ipv4-addr:value = '198.51.100.{n}']")})
    };
    let last = "200 OK\r\nx-taxii-date-added-last: 2026-11-10T00:00:00.000001Z".to_owned();
    let (url, served) = server(vec![
        (last.clone(), json!({"objects": [indicator(1)]}).to_string()),
        ("200 OK".to_owned(), "{}".to_owned()),
        (last, json!({"objects": [indicator(2)]}).to_string()),
    ]);
    let secret = home.join("secret");
    std::fs::write(&secret, "token\n").unwrap();
    let collection = FeedConfig { secret: Some(weft::config::Secret::File { path: secret, at: None }), ..at(&format!("{url}/api/collections/c1/")) };
    let first = look(home, &collection, Progress::of(None, &collection), NOW).await;
    let stamp = Shelf::of(home).stamp();
    let same = look(home, &collection, first, NOW + HOUR).await;
    assert_eq!((same.changed, same.faults, Shelf::of(home).stamp()), (Some(Timestamp(NOW)), 0, stamp), "nothing was added");
    look(home, &collection, same, NOW + 2 * HOUR).await;
    assert!(known(home, "198.51.100.1") && known(home, "198.51.100.2"), "what is new is added to what was there");
    let asked = served.join().unwrap();
    assert!(asked.iter().all(|asked| asked.contains("authorization: bearer token")), "{asked:#?}");
    assert!(!asked[0].contains("added_after") && asked[1].contains("added_after=2026-11-10") && asked[2].contains("added_after"), "{asked:#?}");

    let event = json!({"Event": {"uuid": "5f0e4e0c-9a38-4f2f-8c1f-7d118b6b1d0c", "info": "a campaign", "date": "2026-11-01", "timestamp": "1793491200", "Attribute": [
        {"uuid": "5f0e4e0c-9a38-4f2f-8c1f-7d118b6b1d0d", "type": "domain", "category": "Network activity", "to_ids": true, "value": "evil.example.org", "timestamp": "1793491200"}]}});
    let manifest = json!({"5f0e4e0c-9a38-4f2f-8c1f-7d118b6b1d0c": {"info": "a campaign", "date": "2026-11-01", "timestamp": "1793491200"}});
    let (url, served) = server(vec![
        ("200 OK\r\netag: \"m\"".to_owned(), manifest.to_string()),
        ("200 OK".to_owned(), event.to_string()),
        ("304 Not Modified".to_owned(), String::new()),
    ]);
    let misp = FeedConfig { name: "misp".to_owned(), ..at(&format!("{url}/feed/")) };
    let first = look(home, &misp, Progress::of(None, &misp), NOW).await;
    assert!(first.error.is_none() && known(home, "a.evil.example.org"), "{first:?}");
    assert_eq!(look(home, &misp, first, NOW + HOUR).await.changed, Some(Timestamp(NOW)));
    let asked = served.join().unwrap();
    assert!(asked[0].starts_with("get /feed/manifest.json") && asked[2].contains("if-none-match: \"m\""), "{asked:#?}");
}

#[tokio::test]
async fn a_file_is_read_when_it_is_another_one() {
    let home = tempfile::tempdir().unwrap();
    let (home, file) = (&home.path().join("home"), home.path().join("list.txt"));
    let feed = feed(FeedFrom::Path(file.clone()));
    let missing = look(home, &feed, Progress::of(None, &feed), NOW).await;
    assert!(missing.error.as_deref().unwrap().contains("cannot be read") && missing.faults == 1, "{missing:?}");
    std::fs::write(&file, "198.51.100.1\n").unwrap();
    let first = look(home, &feed, missing, NOW + HOUR).await;
    let same = look(home, &feed, first, NOW + 2 * HOUR).await;
    assert_eq!((same.changed, same.success), (Some(Timestamp(NOW + HOUR)), Some(Timestamp(NOW + 2 * HOUR))));
    std::fs::write(&file, "198.51.100.1\n198.51.100.2\n").unwrap();
    assert_eq!(look(home, &feed, same, NOW + 3 * HOUR).await.changed, Some(Timestamp(NOW + 3 * HOUR)));
    assert!(known(home, "198.51.100.2"));
}

#[test]
fn the_running_mesh_fetches_matches_looks_back_and_says_how_it_is() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let event = |uid: &str, to: &str| {
        json!({"class_uid": 4001, "category_uid": 4, "activity_id": 1, "type_uid": 400_101, "severity_id": 1, "time": NOW,
            "metadata": {"version": "1.8.0", "uid": uid, "product": {"name": "Test", "vendor_name": "Test"}}, "src_endpoint": {"ip": "10.0.0.1"}, "dst_endpoint": {"ip": to}})
        .to_string()
            + "\n"
    };
    let before = weft(home, &["ingest", "ocsf/event", "-"], &event("before", "198.51.100.7"));
    assert!(before.status.success(), "{}", text(&before.stderr));
    let (url, served) = server(vec![("200 OK\r\netag: \"a\"".to_owned(), "198.51.100.7\n198.51.100.8\n".to_owned())]);
    // Where nobody listens: bound, and closed again.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(
        home.join("weft.toml"),
        format!(
            "[[feed]]\nname = \"good\"\nurl = \"{url}/list.txt\"\nevery = \"1h\"\n[[feed]]\nname = \"gone\"\nurl = \"http://{nobody}/x.csv\"\nevery = \"1h\"\n"
        ),
    )
    .unwrap();
    let mesh = Mesh::start(home);
    let state = until("both feeds were looked at", || {
        let state = mesh.get("/api/v1/intelligence");
        let done = state["feeds"].as_array()?.len() == 2 && state["feeds"][0]["error"].is_string() && state["exact"] == 2;
        done.then_some(state)
    });
    assert_eq!((&state["feeds"][0]["name"], &state["feeds"][1]["name"]), (&json!("gone"), &json!("good")));
    assert!(state["feeds"][0]["error"].as_str().unwrap().contains("no connection"), "{state}");
    assert!(state["feeds"][1]["success_ms"].is_i64() && state["feeds"][1]["error"].is_null(), "{state}");
    assert_eq!((&state["sources"][0]["name"], &state["sources"][0]["indicators"]), (&json!("good"), &json!(2)));
    served.join().unwrap();
    let found = |title: &str| {
        let table = mesh.query("SELECT table_name FROM information_schema.tables WHERE table_name = 'detection_finding'");
        if table["rows"].as_array().is_none_or(Vec::is_empty) {
            return 0;
        }
        let answer =
            mesh.query(&format!("SELECT count(*) FROM detection_finding WHERE finding_info['analytic']['uid'] LIKE 'intel/%' AND message LIKE '{title}'"));
        answer["rows"][0][0].as_u64().unwrap()
    };
    until("what was before is found", || (found("%in the past%") == 1).then_some(()));
    assert!(mesh.send(event("now", "198.51.100.8")).is_some());
    until("what comes is matched", || (found("%") == 2).then_some(()));
    mesh.stop();

    // It remembers when it looked: the server is asked no more, and what it brought is matched at once.
    let mesh = Mesh::start(home);
    let state =
        until("the feeds are shown", || Some(mesh.get("/api/v1/intelligence")).filter(|state| state["feeds"].as_array().is_some_and(|feeds| feeds.len() == 2)));
    assert!(state["feeds"][1]["success_ms"].is_i64() && state["feeds"][1]["next_ms"].is_i64(), "{state}");
    assert_eq!(state["exact"], 2);
    mesh.stop();
}
