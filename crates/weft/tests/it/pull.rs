//! Pulling from APIs in the shapes of four vendors while everything goes wrong.

use std::path::Path;
use std::process::Command;

use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::api::{SHAPES, Server};
use crate::mesh::{Mesh, until};
use crate::{count, text, weft};

/// Numbered events of each API.
const EVENTS: usize = 400;

/// Secrets in files; gives the public key of the service account.
fn keys(home: &Path) -> Vec<u8> {
    let made = Command::new("openssl").args(["genpkey", "-quiet", "-algorithm", "RSA"]).output().unwrap();
    let pem = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success() && pem.contains("PRIVATE KEY"), "openssl makes no key: {}", text(&made.stderr));
    std::fs::write(home.join("account.json"), serde_json::json!({"type": "service_account", "private_key": pem}).to_string()).unwrap();
    for (name, secret) in [("okta", "okta-token\n"), ("github", "github-token"), ("graph", "graph-secret\n")] {
        std::fs::write(home.join(name), secret).unwrap();
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap().public_key().as_ref().to_vec()
}

fn configure(home: &Path, server: &Server, look_back: &str) {
    let file = |name: &str| home.join(name).display().to_string();
    let source = |name: &str, pull: &str, rest: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\npull = \"{pull}\"\norigin = \"http://{}\"\nevery = \"50ms\"\nsince = \"1h\"\nlook_back = \"{look_back}\"\n{rest}\n",
            server.address
        )
    };
    let text = [
        source("okta", "okta/system_log", &format!("settings = {{ domain = \"acme.okta.com\" }}\nsecrets = {{ token = {{ file = \"{}\" }} }}", file("okta"))),
        source("github", "github/audit", &format!("settings = {{ organisation = \"acme\" }}\nsecrets = {{ token = {{ file = \"{}\" }} }}", file("github"))),
        source(
            "graph",
            "entra/signin",
            &format!("settings = {{ tenant = \"t1\", client_id = \"c1\" }}\nsecrets = {{ client_secret = {{ file = \"{}\" }} }}", file("graph")),
        ),
        source(
            "reports",
            "google_workspace/activity",
            &format!(
                "settings = {{ account = \"s@x\", administrator = \"a@x\", application = \"login\" }}\nsecrets = {{ key = {{ file = \"{}\", at = \"/private_key\" }} }}",
                file("account.json")
            ),
        ),
    ];
    std::fs::write(home.join("weft.toml"), text.concat()).unwrap();
}

fn stored(home: &Path, shape: &str, distinct: &str) -> usize {
    let sql = format!("SELECT count({distinct}) FROM events WHERE raw_data LIKE '%numbered-{shape}-%'");
    usize::try_from(count(home, &sql)).unwrap()
}

#[test]
fn every_numbered_event_is_stored_once_whatever_happens() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(EVENTS, true, &keys(home.path()));
    configure(home.path(), &server, "15m");
    let checked = weft(home.path(), &["check"], "");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let mut kills = 0;
    for requests in [9, 30, 55, 85] {
        let _mesh = Mesh::start(home.path());
        until("the APIs are asked", || (server.requests() >= requests).then_some(()));
        kills += 1;
        // Dropped, the process is killed as if the power had gone.
    }
    let mesh = Mesh::start(home.path());
    until("everything was shown and polled once more", || server.answered().iter().all(|answered| *answered > 33).then_some(()));
    mesh.stop();
    println!("{kills} kills, {} requests, faults: {:?}", server.requests(), server.faults());
    for shape in SHAPES {
        let (all, distinct) = (stored(home.path(), shape.name(), "*"), stored(home.path(), shape.name(), "DISTINCT raw_data"));
        println!("{}: of {EVENTS} numbered events stored {all}, lost {}, doubled {}", shape.name(), EVENTS - distinct.min(EVENTS), all - distinct);
        assert_eq!((all, distinct), (EVENTS, EVENTS), "{}", shape.name());
    }
    let faults = server.faults();
    assert!(faults.len() >= 8, "not every fault was done: {faults:?}");
}

#[test]
fn without_look_back_late_events_are_lost() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(EVENTS, false, &keys(home.path()));
    configure(home.path(), &server, "0s");
    let mesh = Mesh::start(home.path());
    until("everything was shown and polled once more", || server.answered().iter().all(|answered| *answered > 33).then_some(()));
    mesh.stop();
    let lost: Vec<usize> = SHAPES.iter().map(|shape| EVENTS - stored(home.path(), shape.name(), "DISTINCT raw_data")).collect();
    println!("without look-back lost of {EVENTS} events each: {:?} of {SHAPES:?}", lost);
    assert_eq!(lost[0], 0, "a cursor in order of arrival needs no look-back");
    assert!(lost[1..].iter().all(|lost| *lost > 0), "the control loses nothing, so the test sees nothing: {lost:?}");
}
