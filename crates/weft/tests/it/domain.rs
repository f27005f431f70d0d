//! A real domain controller: what its directory tells is the graph.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use weft_testkit::server::{self, Server};

use crate::{text, weft};

const ADMINISTRATOR: &str = "Administrator@corp.example";
const BASE: &str = "DC=corp,DC=example";

/// A change of the domain, as an administrator makes it.
fn change(domain: &Server, arguments: &[&str]) {
    let database = domain.folder().join("private/sam.ldb").display().to_string();
    let output = Command::new("samba-tool").args(arguments).args(["-H", &database]).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// What a search over LDAP gives, in pages, as LDIF.
fn search(domain: &Server, filter: &str) -> String {
    let url = format!("ldap://{}", domain.address);
    let arguments = ["-LLL", "-x", "-H", &url, "-D", ADMINISTRATOR, "-w", server::PASSWORD, "-E", "pr=20/noprompt", "-b", BASE, filter];
    let output = Command::new("ldapsearch").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn ask(home: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = weft(home, &[&["identity"], arguments, &["--format", "json"]].concat(), "");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Takes the domain as it is now.
fn import(home: &Path, domain: &Server, at: &str) {
    for (name, filter) in [("users", "(objectClass=user)"), ("groups", "(objectClass=group)")] {
        std::fs::write(home.join(format!("{name}.ldif")), search(domain, filter)).unwrap();
    }
    let of = |name: &str| home.join(format!("{name}.ldif")).display().to_string();
    ask(home, &["import", &of("users"), &of("groups"), "--at", at]);
}

/// Names of the groups that a principal reaches on a date.
fn groups(home: &Path, who: &str, at: &str) -> Vec<String> {
    let rows = ask(home, &["reach", who, "--kind", "group", "--at", at]);
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_real_domain_controller_tells_who_is_in_its_groups() {
    let Some(domain) = server::samba() else { return };
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    for (name, given, family) in [("ada", "Ada", "Lovelace"), ("eve", "Eve", "Moneypenny")] {
        let mail = format!("--mail-address={name}@corp.example");
        change(&domain, &["user", "create", name, server::PASSWORD, &format!("--given-name={given}"), &format!("--surname={family}"), &mail]);
    }
    change(&domain, &["group", "add", "Operators"]);
    change(&domain, &["group", "addmembers", "Operators", "ada"]);
    change(&domain, &["group", "addmembers", "Domain Admins", "Operators"]);
    change(&domain, &["computer", "create", "loom"]);
    import(home, &domain, "2030-01-01T00:00:00Z");

    let has = |groups: &[String], wanted: &[&str]| wanted.iter().all(|name| groups.iter().any(|group| group == name));
    let of_ada = groups(home, "ada@corp.example", "2030-01-02");
    // A member of a member of a member, and the primary group, which no group lists.
    assert!(has(&of_ada, &["Operators", "Domain Admins", "Administrators", "Domain Users", "Users"]), "{of_ada:?}");
    let of_eve = groups(home, "eve@corp.example", "2030-01-02");
    assert!(has(&of_eve, &["Domain Users", "Users"]) && !has(&of_eve, &["Administrators"]), "{of_eve:?}");
    // Well-known groups are known by their SID, which comes as bytes.
    let reached = ask(home, &["reach", "ad:CORP.EXAMPLE-S-1-5-32-544", "--reverse", "--at", "2030-01-02"]);
    assert!(reached.iter().any(|row| row["name"] == "Ada Lovelace"), "{reached:?}");
    assert!(ask(home, &["list", "--kind", "device"]).iter().any(|row| row["name"].as_str().unwrap().eq_ignore_ascii_case("loom")), "a computer is a device");

    change(&domain, &["group", "removemembers", "Operators", "ada"]);
    change(&domain, &["user", "disable", "eve"]);
    import(home, &domain, "2030-02-01T00:00:00Z");
    assert!(!has(&groups(home, "ada@corp.example", "2030-02-02"), &["Administrators"]));
    assert!(has(&groups(home, "ada@corp.example", "2030-01-15"), &["Administrators"]), "the past stays");
    let eve = ask(home, &["show", "eve@corp.example"]);
    let account = eve.iter().find(|row| row["relation"] == "account").unwrap();
    assert_eq!(account["detail"]["active"], false, "{account}");
}
