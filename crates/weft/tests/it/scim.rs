//! A directory of persons pushes to the running mesh, and the identity graph follows.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::mesh::{Mesh, until};
use crate::{text, weft};

const SECRET: &str = "a secret of the directory";

/// A home into which two directories may push.
fn furnish(home: &Path) {
    let config = format!("[[scim]]\nname = \"hr\"\nsecret = \"{SECRET}\"\n[[scim]]\nname = \"other\"\nsecret = \"another secret, of another one\"\n");
    std::fs::write(home.join("weft.toml"), config).unwrap();
}

/// A request; gives the status, the answer and its headers.
fn ask(mesh: &Mesh, method: Method, path: &str, secret: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value, reqwest::header::HeaderMap) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut request = reqwest::Client::new().request(method, format!("http://{}/scim/v2{path}", mesh.host())).bearer_auth(secret);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(), headers)
    })
}

fn send(mesh: &Mesh, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (status, answer, _) = ask(mesh, method, path, SECRET, &[("content-type", "application/scim+json")], &body.to_string());
    (status, answer)
}

#[test]
fn what_scimmy_makes_of_it_the_mesh_makes_of_it() {
    let entry = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/weft/servers/node_modules/scimmy/dist/scimmy.js");
    if !entry.exists() {
        println!("skipped: {} is not there, `cargo xtask servers` installs it", entry.display());
        return;
    }
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scim/roundtrip.mjs");
    let address = format!("http://{}/scim/v2", mesh.host());
    let output = Command::new("node").arg(script).args([entry.to_str().unwrap(), &address, SECRET]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).trim(), r#"{"schemas":3,"users":25,"patches":11,"filters":11,"groups":1}"#);
}

#[test]
fn what_is_pushed_is_in_the_graph() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    let user = |name: &str| json!({"userName": format!("{name}@corp.example"), "displayName": name, "emails": [{"value": format!("{name}@corp.example")}]});
    let ids: Vec<String> = ["ada", "eve"].map(|name| send(&mesh, Method::POST, "/Users", &user(name)).1["id"].as_str().unwrap().to_owned()).to_vec();
    let (status, group) = send(&mesh, Method::POST, "/Groups", &json!({"displayName": "Admins", "members": [{"value": ids[0]}, {"value": ids[1]}]}));
    assert_eq!(status, 201, "{group}");
    let in_group = |name: &str| {
        let output = weft(home.path(), &["identity", "show", &format!("{name}@corp.example"), "--format", "json"], "");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        told.as_array().into_iter().flatten().any(|one| one["name"] == "Admins" && one["until"].is_null())
    };
    until("the graph has what was pushed", || (in_group("ada") && in_group("eve")).then_some(()));

    // Who leaves the directory leaves the graph.
    let path = format!("/Groups/{}", group["id"].as_str().unwrap());
    let leave = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "Remove", "path": format!("members[value eq \"{}\"]", ids[1])}]});
    assert_eq!(send(&mesh, Method::PATCH, &path, &leave).0, 200);
    until("who left is not in the group", || (in_group("ada") && !in_group("eve")).then_some(()));
    assert_eq!(send(&mesh, Method::PUT, &format!("/Users/{}", ids[1]), &json!({"userName": "eve@corp.example", "active": false})).0, 200);

    // Everything that happened is in the lake.
    let told = |sql: &str| mesh.query(sql)["rows"].to_string();
    until("changes are events", || told("SELECT activity_name, user.name FROM account_change ORDER BY time").contains("Disable").then_some(()));
    let accounts = told("SELECT activity_name, user.name, user.uid FROM account_change");
    assert!(accounts.contains("Create") && accounts.contains("ada@corp.example") && accounts.contains(&ids[1]), "{accounts}");
    let groups = told("SELECT activity_name, user.uid FROM group_management WHERE activity_id = 4");
    assert!(groups.contains(&ids[1]) && !groups.contains(&ids[0]), "{groups}");
    mesh.stop();
}

#[test]
fn each_directory_sees_its_own_and_versions_are_kept_apart() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    let kind = ("content-type", "application/json");
    let (status, made, headers) = ask(&mesh, Method::POST, "/Users", SECRET, &[kind], r#"{"userName": "ada"}"#);
    assert_eq!((status, headers["etag"].to_str().unwrap()), (201, "W/\"1\""));
    let path = format!("/Users/{}", made["id"].as_str().unwrap());
    let of_other = ask(&mesh, Method::GET, "/Users", "another secret, of another one", &[], "").1;
    assert_eq!(of_other["totalResults"], 0);
    assert_eq!(ask(&mesh, Method::GET, &path, "another secret, of another one", &[], "").0, 404);
    assert_eq!(ask(&mesh, Method::GET, &path, SECRET, &[("if-none-match", "W/\"1\"")], "").0, 304);

    let renamed = r#"{"userName": "ada", "title": "Countess"}"#;
    assert_eq!(ask(&mesh, Method::PUT, &path, SECRET, &[kind, ("if-match", "W/\"1\"")], renamed).1["meta"]["version"], "W/\"2\"");
    assert_eq!(ask(&mesh, Method::PUT, &path, SECRET, &[kind, ("if-match", "W/\"1\"")], r#"{"userName": "eve"}"#).0, 412);
    assert_eq!(ask(&mesh, Method::PUT, &path, SECRET, &[kind], renamed).1["meta"]["version"], "W/\"2\"", "what changes nothing is no version");
    assert_eq!(ask(&mesh, Method::DELETE, &path, SECRET, &[("if-match", "W/\"1\"")], "").0, 412);
    assert_eq!(ask(&mesh, Method::DELETE, &path, SECRET, &[], "").0, 204);
    assert_eq!(ask(&mesh, Method::GET, &path, SECRET, &[], "").0, 404);
}

#[test]
fn pages_searches_and_bad_requests() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    for n in 0..7 {
        assert_eq!(send(&mesh, Method::POST, "/Users", &json!({"userName": format!("u{n}")})).0, 201);
    }
    let get = |path: &str| ask(&mesh, Method::GET, path, SECRET, &[], "").1;
    let names =
        |page: &Value| -> Vec<String> { page["Resources"].as_array().unwrap().iter().map(|user| user["userName"].as_str().unwrap().to_owned()).collect() };
    let page = get("/Users?startIndex=3&count=2");
    assert_eq!((&page["totalResults"], &page["startIndex"], names(&page)), (&json!(7), &json!(3), vec!["u2".to_owned(), "u3".to_owned()]));
    assert_eq!((get("/Users?count=0")["totalResults"].clone(), names(&get("/Users?count=-1&startIndex=-5"))), (json!(7), Vec::new()));
    let page = get("/Users?filter=userName%20ge%20%22u2%22&startIndex=2&count=3&attributes=userName");
    assert_eq!((&page["totalResults"], names(&page)), (&json!(5), vec!["u3".to_owned(), "u4".to_owned(), "u5".to_owned()]));
    assert!(page["Resources"][0].get("meta").is_none(), "{page}");
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "userName eq \"U6\"", "attributes": ["userName"]});
    assert_eq!(names(&send(&mesh, Method::POST, "/Users/.search", &search).1), ["u6"]);

    let kind = ("content-type", "application/scim+json");
    for (method, path, secret, headers, body, status, said) in [
        (Method::GET, "/Users", "wrong", &[][..], "", 401, "`[[scim]]` entry"),
        (Method::GET, "/Users?filter=userName", SECRET, &[], "", 400, "is expected"),
        (Method::GET, "/Users?startIndex=x", SECRET, &[], "", 400, "`startIndex` has to be a number"),
        (Method::GET, "/Nothing", SECRET, &[], "", 501, "are served"),
        (Method::GET, "/Schemas/urn:nothing", SECRET, &[], "", 404, "there is no `urn:nothing`"),
        (Method::POST, "/Users", SECRET, &[kind], "{", 400, "the body is not JSON"),
        (Method::POST, "/Users", SECRET, &[kind], "[]", 400, "an object of JSON"),
        (Method::POST, "/Users", SECRET, &[kind], "{\"userName\": 1e400}", 400, ""),
        (Method::POST, "/Users", SECRET, &[("content-type", "text/plain")], "{}", 415, "Content-Type"),
        (Method::POST, "/Groups", SECRET, &[kind], "{}", 400, "needs a `displayName`"),
        (Method::POST, "/Users/.search", SECRET, &[kind], "{}", 400, "SearchRequest"),
        (Method::PATCH, "/Users/nobody", SECRET, &[kind], "{}", 400, "`schemas`"),
        (Method::PUT, "/Users/nobody", SECRET, &[kind], "{\"userName\": \"x\"}", 404, "there is no User `nobody`"),
    ] {
        let (got, answer, _) = ask(&mesh, method.clone(), path, secret, headers, body);
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(got == status && detail.contains(said) && answer["status"].as_str() == Some(&*status.to_string()), "{method} {path} {body}: {got} {answer}");
    }
}
