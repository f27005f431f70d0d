//! Intelligence from files and servers to sightings, live and in the past.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::mesh::{Mesh, until};
use crate::{text, weft};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ti");
/// 2026-11-29, in milliseconds, as the events' time; indicators without one begin when they are imported.
const TIME: i64 = 1_795_910_400_000;

fn connection(n: usize, to: &str) -> String {
    json!({"class_uid": 4001, "category_uid": 4, "activity_id": 1, "type_uid": 400_101, "severity_id": 1, "time": TIME,
        "metadata": {"version": "1.8.0", "uid": format!("c{n}"), "product": {"name": "Test", "vendor_name": "Test"}},
        "src_endpoint": {"ip": "10.0.0.1"}, "dst_endpoint": {"ip": to, "hostname": format!("h{n}.www.example.net")}})
    .to_string()
        + "\n"
}

fn rows(home: &Path, arguments: &[&str], code: i32) -> Vec<Value> {
    let output = weft(home, &[arguments, &["--format", "ndjson"]].concat(), "");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one number that a query answers; 0 while there is no such table.
fn seen(home: &Path, sql: &str) -> u64 {
    let output = weft(home, &["query", sql, "--format", "csv"], "");
    text(&output.stdout).lines().nth(1).map_or(0, |number| number.trim().parse().unwrap())
}

fn import(home: &Path, name: &str, content: &str, more: &[&str]) -> Vec<Value> {
    let file = home.join(name);
    std::fs::create_dir_all(home).unwrap();
    std::fs::write(&file, content).unwrap();
    rows(home, &[&["intel", "import", file.to_str().unwrap()], more].concat(), 0)
}

fn what<'r>(rows: &'r [Value], what: &str) -> &'r Value {
    rows.iter().find(|row| row["what"] == what).map_or(&Value::Null, |row| &row["count"])
}

const LIST: &str = r#"{"name": "resolvers", "type": "cidr", "version": 1, "list": ["8.8.8.8"], "matching_attributes": ["ip-dst"]}"#;

#[test]
fn imported_listed_matched_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let home = &home.path().join("home");
    let first = import(home, "bad.txt", "198.51.100.7 3\n8.8.8.8\nevil.example.org\nnonsense\n", &["--valid-for", "30"]);
    assert_eq!((what(&first, "indicators"), what(&first, "gaps"), what(&first, "ip")), (&json!(3), &json!(1), &json!(2)));
    assert_eq!(rows(home, &["intel", "match", "8.8.8.8"], 1)[0]["state"], "matches");
    // A list that comes later is asked for what is there.
    import(home, "resolvers.json", LIST, &[]);
    let suppressed = &rows(home, &["intel", "match", "8.8.8.8"], 0)[0];
    assert_eq!((&suppressed["state"], &suppressed["suppressed_by"]), (&json!("suppressed"), &json!("resolvers")));
    let met = rows(home, &["intel", "match", "a.evil.example.org", "https://198.51.100.7/x", "198.51.100.8"], 1);
    assert_eq!(met.iter().map(|row| row["state"].as_str().unwrap()).collect::<Vec<_>>(), ["matches", "matches", "not known"]);
    assert_eq!((&met[1]["confidence"], &met[1]["source"]), (&json!(88), &json!("bad")));
    let listed = rows(home, &["intel", "list"], 0);
    let ip = listed.iter().find(|row| row["kind"] == "ip").unwrap();
    assert_eq!((&ip["indicators"], &ip["matched"], &ip["suppressed"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(rows(home, &["intel", "list", "--gaps"], 0)[0]["place"], "line 4");
    assert_eq!(rows(home, &["intel", "list", "--value", "evil.example.org"], 0).len(), 1);
    // Replaced as a whole, unless it is added.
    import(home, "bad.txt", "198.51.100.9\n", &["--add"]);
    assert_eq!(rows(home, &["intel", "match", "198.51.100.7"], 1).len(), 1);
    import(home, "bad.txt", "198.51.100.9\n", &[]);
    rows(home, &["intel", "match", "198.51.100.7"], 0);
    rows(home, &["intel", "remove", "bad"], 0);
    rows(home, &["intel", "match", "198.51.100.9"], 0);
    for (arguments, reason) in [
        (&["intel", "import", "/nowhere/at/all"][..], "cannot be read"),
        (&["intel", "import", home.join("resolvers.json").to_str().unwrap(), "--source", "../x"], "no name for a source"),
        (&["intel", "match", "not a value"], "of no kind"),
        (&["intel", "remove", "bad"], "neither a source"),
        (&["intel", "match", "x", "--kind", "nose"], "no kind of indicator"),
    ] {
        let output = weft(home, arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(reason), "{}", text(&output.stderr));
    }
}

#[test]
fn archives_are_bounded_and_lead_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let bomb = home.path().join("bomb.gz");
    let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(&bomb).unwrap(), flate2::Compression::best());
    gz.write_all(b"PK\x03\x04no archive").unwrap();
    gz.finish().unwrap();
    let output = weft(home.path(), &["intel", "import", bomb.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let mut nested = b"198.51.100.7\n".to_vec();
    for _ in 0..8 {
        nested = zstd::encode_all(nested.as_slice(), 1).unwrap();
    }
    std::fs::write(home.path().join("deep.zst"), nested).unwrap();
    let output = weft(home.path(), &["intel", "import", home.path().join("deep.zst").to_str().unwrap()], "");
    assert!(text(&output.stderr).contains("packed more than"), "{}", text(&output.stderr));
}

#[test]
fn a_running_mesh_matches_what_is_imported_and_looks_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = &folder.path().join("home");
    let mesh = Mesh::start(home);
    assert!(mesh.send((0..50).map(|n| connection(n, if n % 10 == 0 { "198.51.100.7" } else { "203.0.113.1" })).collect()).is_some());
    until("events are visible", || Some(()).filter(|()| seen(home, "SELECT count(*) FROM network_activity") == 50));
    import(home, "bad.txt", "198.51.100.7\nwww.example.net\n", &["--source", "feed"]);
    let past = "SELECT count(*) FROM detection_finding WHERE finding_info.title LIKE '%in the past%'";
    until("what was before is found", || Some(()).filter(|()| seen(home, past) == 2));
    assert_eq!(seen(home, &format!("{past} AND has_observable(observables, '198.51.100.7')")), 1);
    let live = "SELECT count(*) FROM detection_finding WHERE finding_info.title = 'Indicator of feed seen: 198.51.100.7'";
    assert_eq!(seen(home, live), 0);
    assert!(mesh.send(connection(100, "198.51.100.7")).is_some());
    until("what comes is matched", || Some(()).filter(|()| seen(home, live) == 1));
    // Once more, as if the answer had been lost: nothing is told twice.
    assert!(mesh.send(connection(100, "198.51.100.7")).is_some());
    rows(home, &["intel", "remove", "feed"], 0);
    mesh.stop();
    assert_eq!((seen(home, live), seen(home, past)), (1, 2));
}

#[test]
fn the_past_is_asked_through_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let home = &folder.path().join("home");
    for day in 0..6 {
        let events: String = (0..20)
            .map(|n| connection(day * 100 + n, &format!("198.51.100.{day}")).replace(&TIME.to_string(), &(TIME + day as i64 * 86_400_000).to_string()))
            .collect();
        assert!(weft(home, &["ingest", "ocsf/event", "-"], &events).status.success());
    }
    let ask = |arguments: &[&str]| {
        let output = weft(home, &[&["intel", "retro"], arguments, &["--format", "ndjson"]].concat(), "");
        let first = text(&output.stdout).lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap()).unwrap_or_default();
        (output.status.code(), first["events"].clone(), text(&output.stderr))
    };
    let (code, events, told) = ask(&["198.51.100.3"]);
    assert_eq!((code, events), (Some(1), json!(20)), "{told}");
    assert!(told.contains("6 of 6 files were read, 6 of them to make their index"), "{told}");
    for (value, found, files) in
        [("198.51.100.3", json!(20), 1), ("198.51.100.0/24", json!(120), 6), ("example.net", json!(120), 6), ("203.0.113.1", Value::Null, 0)]
    {
        let (_, events, told) = ask(&[value]);
        assert_eq!(events, found, "{value}: {told}");
        assert!(told.contains(&format!("{files} of 6 files were read, 0 of them to make")), "{value}: {told}");
    }
    // A damaged index costs a reading; merged files get another one, and the old ones go.
    let index = |home: &Path| {
        let found = std::process::Command::new("find").arg(home).args(["-name", "*.idx"]).output().unwrap();
        text(&found.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let files = index(home);
    assert_eq!(files.len(), 6);
    std::fs::write(&files[0], b"WEFTOBS1 broken").unwrap();
    assert_eq!(ask(&["198.51.100.0/24"]).1, json!(120));
    assert!(weft(home, &["lake", "forget", "--entity", "dst_endpoint.hostname=h100.www.example.net"], "").status.success());
    assert_eq!(index(home).len(), 5, "the index of a file that is gone is gone");
    let (_, events, told) = ask(&["198.51.100.1"]);
    assert_eq!(events, json!(19), "{told}");
}

/// Serves one page after another of a collection that wants a password, and notes what it was asked.
fn server(pages: Vec<(&'static str, String, &'static str)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, body, last) in pages {
            let (mut stream, _) = listener.accept().unwrap();
            let lines: Vec<String> = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let header = |name: &str| lines.iter().find(|line| line.to_lowercase().starts_with(name)).cloned().unwrap_or_default();
            asked.push(format!("{} {} {}", lines[0], header("authorization"), header("accept:")));
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/taxii+json;version=2.1\r\nx-taxii-date-added-last: {last}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    (format!("http://{address}/api/collections/c1/"), served)
}

fn indicator(n: usize, address: &str, more: &Value) -> Value {
    let mut object = json!({"type": "indicator", "spec_version": "2.1", "id": format!("indicator--{n}"), "pattern_type": "stix",
        "valid_from": "2026-11-01T00:00:00Z", "valid_until": "2100-01-01T00:00:00Z", "modified": "2026-11-01T00:00:00Z", "pattern": format!("[ipv4-addr:value = '{address}']")});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

#[test]
fn a_collection_is_read_page_by_page_and_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let home = &folder.path().join("home");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let none = json!({});
    let (url, served) = server(vec![
        ("200 OK", json!({"more": true, "next": "p 2", "objects": [indicator(1, "198.51.100.1", &none)]}).to_string(), "2026-11-10T00:00:00.000001Z"),
        // The same name for another page, as some servers give it.
        ("200 OK", json!({"more": true, "next": "p 2", "objects": [indicator(4, "198.51.100.4", &none)]}).to_string(), "2026-11-10T00:00:00.000001Z"),
        ("200 OK", json!({"objects": [indicator(2, "198.51.100.2", &none)]}).to_string(), "2026-11-11T00:00:00.000001Z"),
        ("200 OK", json!({"objects": [indicator(3, "198.51.100.3", &none), indicator(1, "198.51.100.1", &json!({"revoked": true, "modified": "2026-11-12T00:00:00Z"}))]}).to_string(), "2026-11-12T00:00:00.000001Z"),
        ("200 OK", "{}".to_owned(), ""),
        ("401 Unauthorized", "{}".to_owned(), ""),
        ("200 OK", json!({"more": true, "objects": []}).to_string(), ""),
        ("200 OK", json!({"more": true, "next": "x", "objects": []}).to_string(), ""),
        ("200 OK", json!({"more": true, "next": "x", "objects": []}).to_string(), ""),
    ]);
    let import = |code| {
        let output = weft(home, &["intel", "import", &url, "--source", "cti", "--user", "ali", "--secret", secret.to_str().unwrap()], "");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let known = || ["198.51.100.1", "198.51.100.2", "198.51.100.3"].map(|value| weft(home, &["intel", "match", value], "").status.code() == Some(1));
    import(0);
    assert_eq!(known(), [true, true, false]);
    import(0);
    assert_eq!(known(), [false, true, true]);
    import(0);
    assert_eq!(known(), [false, true, true]);
    assert!(import(2).contains("refuses (401)"));
    assert!(import(2).contains("says that there is more and not where"));
    assert!(import(2).contains("gives the same page again and again"));
    let asked = served.join().unwrap();
    assert!(asked.iter().all(|asked| asked.contains("Basic YWxpOm9wZW4gc2VzYW1l") && asked.contains("application/taxii+json;version=2.1")), "{asked:#?}");
    assert!(asked[0].starts_with("GET /api/collections/c1/objects/?limit=1000 "), "{asked:#?}");
    assert!(asked[1].contains("next=p+2") && asked[2].contains("next=p+2"));
    assert!(asked[3].contains("added_after=2026-11-11T00%3A00%3A00.000001Z"), "{asked:#?}");
    assert!(asked[4].contains("added_after=2026-11-12"), "{asked:#?}");
}

#[test]
fn public_data_is_taken_in_as_it_is_published() {
    if !Path::new(DATA).is_dir() {
        println!("skipped: {DATA} is not here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = &folder.path().join("home");
    let at = |file: &str| Path::new(DATA).join(file).display().to_string();
    let taken = rows(home, &["intel", "import", &at("misp-warninglists.tar.xz"), &at("ipsum.txt.gz"), &at("enterprise-attack-18.1.bundle.json.xz")], 0);
    let of = |source: &str| taken.iter().filter(|row| row["source"] == source).cloned().collect::<Vec<_>>();
    assert_eq!(what(&of("ipsum"), "gaps"), &json!(0));
    let suppressed: u64 =
        of("ipsum").iter().filter(|row| row["what"].as_str().unwrap().starts_with("suppressed by")).map(|row| row["count"].as_u64().unwrap()).sum();
    let matched = what(&of("ipsum"), "ip").as_u64().unwrap();
    assert_eq!(matched + suppressed, what(&of("ipsum"), "indicators").as_u64().unwrap());
    assert!(suppressed > 1_000 && matched > 60_000, "{matched} matched, {suppressed} suppressed");
    assert_eq!(what(&of("enterprise-attack-18"), "indicators"), &json!(0));
    assert!(what(&of("enterprise-attack-18"), "no indicator: attack-pattern").as_u64().unwrap() > 800);
    assert!(rows(home, &["intel", "list"], 0).iter().filter(|row| row["kind"] == "warning list").count() > 100);
    import(home, "mine.txt", "8.8.8.8\n", &[]);
    assert_eq!(rows(home, &["intel", "match", "8.8.8.8"], 0)[0]["state"], "suppressed");
}
