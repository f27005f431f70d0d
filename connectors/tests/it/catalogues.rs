//! Roles that are shipped, against the lists that they are generated from; `WEFT_BLESS=1` writes them anew.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A list of roles, unpacked by the system's own `gzip`; `None` where it is not there.
fn reference(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/identity/reference").join(name);
    if !path.is_file() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    let unpacked = Command::new("gzip").args(["-dc"]).arg(path).stdout(Stdio::piped()).output().unwrap();
    Some(serde_json::from_slice(&unpacked.stdout).unwrap())
}

fn check(file: &str, wanted: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, body) = text.split_once('\n').unwrap();
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write(&path, format!("{head}\n{wanted}")).unwrap();
    } else {
        assert!(body == wanted, "{file} is not what it is generated from; run with WEFT_BLESS=1");
    }
}

#[test]
fn built_in_roles_are_those_of_the_list() {
    let Some(list) = reference("azure-built-in-roles.json.gz") else { return };
    assert!(list.as_array().unwrap().len() > 900);
    check("azure/entitlement/roles.txt", &weft_connectors::azure::entitlement::written_roles(&list));
}

#[test]
fn predefined_roles_are_those_of_the_list() {
    let Some(list) = reference("gcp-roles.json.gz") else { return };
    assert!(list.as_object().unwrap().len() > 2_400);
    check("gcp/entitlement/roles.txt", &weft_connectors::gcp::entitlement::written_roles(&list));
}
