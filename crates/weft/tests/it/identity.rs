//! `weft identity`: snapshots in, persons and reach out.

use std::path::Path;

use serde_json::Value;

use crate::incidents::finding;
use crate::mesh::{Mesh, until};
use crate::{text, weft};

const OKTA: &str = r#"[
    {"id": "00u1", "status": "ACTIVE", "profile": {"login": "ada@x.org", "email": "ada@x.org", "firstName": "Ada", "lastName": "Lovelace", "displayName": "Ada Lovelace"}},
    {"id": "00u2", "status": "ACTIVE", "profile": {"login": "grace@x.org", "email": "grace@x.org", "displayName": "Grace Hopper"}}]"#;
const CENTER: &str = r#"{"Users": [{"UserName": "ada", "UserId": "u1", "IdentityStoreId": "d-1", "ExternalIds": [{"Issuer": "okta", "Id": "00u1"}]}, {"UserName": "svc-backup", "UserId": "u9", "IdentityStoreId": "d-1"}]}"#;
const GROUPS: &str = r#"{"Groups": [{"GroupId": "g1", "DisplayName": "Admins", "IdentityStoreId": "d-1"}]}"#;
const MEMBERS: &str = r#"{"GroupMemberships": [{"IdentityStoreId": "d-1", "MembershipId": "m1", "GroupId": "g1", "MemberId": {"UserId": "u1"}}]}"#;
const OTHERS: &str = r#"{"GroupMemberships": [{"IdentityStoreId": "d-1", "MembershipId": "m2", "GroupId": "g1", "MemberId": {"UserId": "u9"}}]}"#;
const ASSIGNED: &str =
    r#"{"AccountAssignments": [{"AccountId": "42", "PermissionSetArn": "arn:aws:sso:::permissionSet/i/ps", "PrincipalType": "GROUP", "PrincipalId": "g1"}]}"#;

fn files(dir: &Path, files: &[(&str, &str)]) -> String {
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

/// Rows of a question, and what was said on standard error.
fn ask(home: &Path, arguments: &[&str]) -> (Vec<Value>, String) {
    let output = weft(home, &[&["identity"], arguments, &["--format", "ndjson"]].concat(), "");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    (text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect(), text(&output.stderr))
}

/// What a wrong question is told.
fn refused(home: &Path, arguments: &[&str]) -> String {
    let output = weft(home, &[&["identity"], arguments].concat(), "");
    assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(2), 1), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

fn keys(rows: &[Value]) -> Vec<&str> {
    let mut keys: Vec<&str> = rows.iter().map(|row| row["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    keys
}

fn home() -> tempfile::TempDir {
    let (home, snapshot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = files(
        snapshot.path(),
        &[
            ("okta/users.json", OKTA),
            ("center/users.json", CENTER),
            ("center/groups.json", GROUPS),
            ("center/members.json", MEMBERS),
            ("center/assigned.json", ASSIGNED),
        ],
    );
    let (rows, told) = ask(home.path(), &["import", &folder, "--at", "2026-01-10T00:00:00Z"]);
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert!(told.contains("7 nodes and 3 edges told, 3 edges begun, 0 ended"), "{told}");
    home
}

#[test]
fn one_person_with_evidence_and_what_it_reaches() {
    let home = home();
    let (persons, _) = ask(home.path(), &["list"]);
    assert_eq!(persons.len(), 2, "{persons:?}");
    let (ada, _) = ask(home.path(), &["show", "Ada Lovelace"]);
    let accounts: Vec<&Value> = ada.iter().filter(|row| row["relation"] == "account").collect();
    assert_eq!(accounts.len(), 2);
    assert_eq!(accounts[0]["detail"]["evidence"][0]["by"], "immutable");
    let (reached, _) = ask(home.path(), &["reach", "ada@x.org"]);
    assert_eq!(keys(&reached), ["arn:aws:sso:::permissionSet/i/ps@42", "aws:account:42", "aws:sso:g1"]);
    let (who, _) = ask(home.path(), &["reach", "aws:account:42", "--reverse", "--kind", "account"]);
    assert_eq!((keys(&who), &who[0]["person"]), (vec!["aws:sso:u1"], &persons.iter().find(|person| person["name"] == "Ada Lovelace").unwrap()["person"]));
    assert_eq!(
        who[0]["path"].as_array().unwrap().iter().map(|step| step["edge"].as_str().unwrap()).collect::<Vec<_>>(),
        ["member_of", "can_assume", "entitled_to"]
    );
    let (others, _) = ask(home.path(), &["list", "--others"]);
    assert_eq!((others.len(), &others[0]["account"], &others[0]["usage"]), (1, &"aws:sso:u9".into(), &"service".into()));
}

#[test]
fn who_could_on_a_date() {
    let (home, snapshot) = (home(), tempfile::tempdir().unwrap());
    let later = files(snapshot.path(), &[("members.json", OTHERS)]);
    let (_, told) = ask(home.path(), &["import", &later, "--at", "2026-02-10"]);
    assert!(told.contains("1 edges begun, 1 ended"), "{told}");
    let who = |at: &str| ask(home.path(), &["reach", "aws:account:42", "--reverse", "--kind", "account", "--at", at]).0;
    assert_eq!(keys(&who("2026-01-09")), Vec::<&str>::new());
    assert_eq!(keys(&who("2026-01-10")), ["aws:sso:u1"]);
    assert_eq!(keys(&who("2026-02-09T23:59:59Z")), ["aws:sso:u1"]);
    assert_eq!(keys(&who("2026-02-11")), ["aws:sso:u9"]);
    let again = weft(home.path(), &["identity", "import", &later, "--at", "2026-01-01"], "");
    assert!(text(&again.stderr).contains("import snapshots in the order in which they were taken"), "{}", text(&again.stderr));
}

#[test]
fn a_merge_is_remembered_and_taken_back() {
    let home = home();
    let persons = || ask(home.path(), &["list"]).0.len();
    assert_eq!(persons(), 2);
    let merged = weft(home.path(), &["identity", "merge", "Ada Lovelace", "grace@x.org"], "");
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    assert_eq!(persons(), 1);
    assert!(refused(home.path(), &["merge", "ada@x.org", "grace@x.org"]).contains("one person already"));
    let split = weft(home.path(), &["identity", "split", "ada@x.org"], "");
    assert_eq!(split.status.code(), Some(0), "{}", text(&split.stderr));
    assert_eq!(persons(), 2);
    assert!(refused(home.path(), &["split", "grace@x.org"]).contains("nothing to split"));
}

#[test]
fn who_decides_at_once_waits_for_its_turn() {
    let (home, snapshot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let line = |n: usize| format!("{{\"node\": \"door:{n}\", \"kind\": \"account\", \"source\": \"door\"}}\n");
    let folder = files(snapshot.path(), &[("door.ndjson", &(0..12).map(line).collect::<String>())]);
    ask(home.path(), &["import", &folder]);
    std::thread::scope(|scope| {
        for n in 0..6 {
            let home = home.path();
            scope.spawn(move || {
                let merged = weft(home, &["identity", "merge", &format!("door:{}", 2 * n), &format!("door:{}", 2 * n + 1)], "");
                assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
            });
        }
    });
    assert_eq!(ask(home.path(), &["list"]).0.len(), 6, "no decision was lost");
}

#[test]
fn a_torn_snapshot_is_used_as_far_as_it_goes() {
    let (home, snapshot) = (home(), tempfile::tempdir().unwrap());
    let folder = files(snapshot.path(), &[("users.json", OKTA.get(..OKTA.len() - 40).unwrap()), ("nothing.json", "{}"), ("broken.json", "hello")]);
    let (_, told) = ask(home.path(), &["import", &folder]);
    assert!(told.contains("users.json:3: ends early; what was whole in its first"), "{told}");
    assert!(told.contains("nothing.json: no record of it is of a form that is known"), "{told}");
    assert!(told.contains("broken.json: is neither JSON, nor JSON lines, nor LDIF"), "{told}");
    let (accounts, _) = ask(home.path(), &["list", "--kind", "account"]);
    assert!(accounts.iter().all(|account| account["until"].is_null()), "{accounts:?}");
}

/// Neutral lines of accounts with an address, each in a group of its own.
fn door(accounts: &[(&str, &str)]) -> String {
    let line = |(key, mail): &(&str, &str)| {
        format!(
            "{{\"node\": \"door:{key}\", \"kind\": \"account\", \"ids\": {{\"email\": [\"{mail}\"]}}, \"source\": \"door\"}}\n{{\"node\": \"door:g{key}\", \"kind\": \"group\", \"source\": \"door\"}}\n{{\"edge\": \"member_of\", \"from\": \"door:{key}\", \"to\": \"door:g{key}\", \"source\": \"door\"}}\n"
        )
    };
    accounts.iter().map(line).collect()
}

#[test]
fn an_address_that_was_given_to_another_leads_to_each_in_its_time() {
    let (home, snapshot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = files(&snapshot.path().join("1"), &[("door.ndjson", &door(&[("1", "ada@x.org"), ("2", "grace@x.org")]))]);
    let second = files(&snapshot.path().join("2"), &[("door.ndjson", &door(&[("2", "grace@x.org"), ("3", "ada@x.org")]))]);
    ask(home.path(), &["import", &first, "--at", "2026-01-10T00:00:00Z"]);
    ask(home.path(), &["import", &second, "--at", "2026-02-10T00:00:00Z"]);
    assert_eq!(ask(home.path(), &["list"]).0.len(), 3, "who has the address now is not who had it");
    let group =
        |at: &str| ask(home.path(), &["reach", "ada@x.org", "--at", at]).0.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((group("2026-01-20"), group("2026-02-20")), (vec!["door:g1".to_owned()], vec!["door:g3".to_owned()]));
    let (shown, _) = ask(home.path(), &["show", "ada@x.org"]);
    assert!(shown.iter().any(|row| row["key"] == "door:3") && !shown.iter().any(|row| row["key"] == "door:1"), "{shown:?}");
}

#[test]
fn of_what_nothing_is_left_is_said_where_no_file_says_it() {
    let (home, snapshot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = files(snapshot.path(), &[("door.ndjson", &door(&[("1", "ada@x.org")]))]);
    ask(home.path(), &["import", &folder, "--at", "2026-01-10"]);
    assert!(refused(home.path(), &["import", "--empty", "generic/edges@gate"]).contains("there are `generic/edges@door`"));
    assert!(refused(home.path(), &["import", "--empty", "okta/users"]).contains("nothing was ever told of `okta/users`"));
    assert!(refused(home.path(), &["import", "--empty", "planet/users"]).contains("is no part of a source"));
    let (_, told) = ask(home.path(), &["import", "--empty", "generic/edges@door", "--at", "2026-02-10"]);
    assert!(told.contains("0 edges begun, 1 ended"), "{told}");
    assert!(ask(home.path(), &["reach", "door:1"]).0.is_empty());
}

#[test]
fn what_could_not_be_read_ends_nothing() {
    let (home, snapshot) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = files(&snapshot.path().join("1"), &[("door.ndjson", &door(&[("1", "ada@x.org"), ("2", "grace@x.org")]))]);
    let second = files(&snapshot.path().join("2"), &[("door.ndjson", &door(&[("2", "grace@x.org")])), ("more.ndjson", "no JSON at all")]);
    ask(home.path(), &["import", &first, "--at", "2026-01-10"]);
    let (_, told) = ask(home.path(), &["import", &second, "--at", "2026-02-10"]);
    assert!(
        told.contains("0 ended") && told.contains("more.ndjson: is neither JSON, nor JSON lines, nor LDIF") && told.contains("nothing ends by this import"),
        "{told}"
    );
    std::fs::remove_file(snapshot.path().join("2/more.ndjson")).unwrap();
    std::os::unix::fs::symlink(snapshot.path().join("1/door.ndjson"), snapshot.path().join("2/link.ndjson")).unwrap();
    let (_, told) = ask(home.path(), &["import", &second, "--at", "2026-02-10"]);
    assert!(told.contains("0 ended") && told.contains("link.ndjson: is a link, which is not followed"), "{told}");
    std::fs::remove_file(snapshot.path().join("2/link.ndjson")).unwrap();
    let (_, told) = ask(home.path(), &["import", &second, "--at", "2026-02-11"]);
    assert!(told.contains("1 ended"), "{told}");
}

#[test]
fn wrong_questions_are_told_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(empty.path(), &["list"]).contains("`weft identity import PATH` takes snapshots in"));
    assert!(refused(empty.path(), &["import", "/nowhere/at/all"]).contains("is not there"));
    let home = home();
    assert!(refused(home.path(), &["show", "nobody"]).contains("`weft identity list`"));
    assert!(refused(home.path(), &["reach", "ada@x.org", "--at", "yesterday"]).contains("is not a time"));
    assert!(refused(home.path(), &["reach", "ada@x.org", "--kind", "planet"]).contains("is no kind of node; there are"));
    assert!(refused(home.path(), &["merge", "aws:sso:g1", "ada@x.org"]).contains("is a group and no person's account"));
}

#[test]
fn a_description_of_the_home_is_checked_and_used() {
    let home = tempfile::tempdir().unwrap();
    let form = "part = \"badges\"\ntitle = \"Badges\"\nwhen = [\"/badge\"]\n[[node]]\nkind = \"account\"\nkey = \"door:{/badge}\"\n";
    files(home.path(), &[("connectors/door/inventory/badges.toml", &form.replace("account", "planet"))]);
    let checked = weft(home.path(), &["check"], "");
    assert_eq!(checked.status.code(), Some(2));
    assert!(text(&checked.stderr).contains("connectors/door/inventory/badges.toml: `planet` is no kind"), "{}", text(&checked.stderr));
    files(home.path(), &[("connectors/door/inventory/badges.toml", form), ("badges.json", "[{\"badge\": 17}]")]);
    ask(home.path(), &["import", home.path().join("badges.json").to_str().unwrap()]);
    assert_eq!(keys(&ask(home.path(), &["list", "--kind", "account"]).0), ["door:17"]);
}

#[test]
fn other_engines_can_read_what_is_kept() {
    let home = home();
    let folder = home.path().join("lake/identity").join(std::fs::read_to_string(home.path().join("lake/identity/current")).unwrap());
    let edges: usize = weft_lake::read_plain(&folder.join("edges.parquet")).unwrap().map(|rows| rows.unwrap().num_rows()).sum();
    assert_eq!(edges, 3);
    // Tables of events are not disturbed.
    assert_eq!(weft(home.path(), &["tables"], "").status.code(), Some(0));
}

#[test]
fn findings_about_all_names_of_a_person_are_one_incident() {
    let story = [
        finding("f1", 0, 4, &[("user.email_addr", 5, "ada@x.org")]),
        finding("f2", 30, 4, &[("user.uid", 31, "00u1")]),
        finding("f3", 40, 4, &[("user.uid", 31, "00u2")]),
    ]
    .concat();
    let findings = |home: &Path| {
        let output = weft(home, &["incidents", "--from", "-", "--format", "ndjson"], &story);
        let mut counts: Vec<u64> =
            text(&output.stdout).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["unmapped"]["findings"].as_u64().unwrap()).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(findings(tempfile::tempdir().unwrap().path()), [1, 1, 1]);
    assert_eq!(findings(home().path()), [1, 2]);
}

#[test]
fn a_running_mesh_takes_new_names_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(home.path());
    let tell = |n: usize| {
        mesh.send(finding(&format!("f{n}"), n as i64, 4, &[("user.uid", 31, "00u1")])).unwrap();
        let incidents = mesh.get("/api/v1/incidents");
        let entities = incidents.as_array().unwrap().iter().flat_map(|incident| incident["entities"].as_array().unwrap());
        entities.map(|entity| entity["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(until("the incident is there, about an id", || Some(tell(0)).filter(|names| !names.is_empty())), ["uid:00u1"]);
    let snapshot = tempfile::tempdir().unwrap();
    ask(home.path(), &["import", &files(snapshot.path(), &[("okta/users.json", OKTA)])]);
    let mut n = 0;
    until("findings are told by the name of the person", || {
        n += 1;
        tell(n).contains(&"ada".to_owned()).then_some(())
    });
    mesh.stop();
}

const DIRECTORY: &str = "dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

dn: uid=ada,dc=corp,dc=example
objectClass: inetOrgPerson
uid: ada
cn: Ada Lovelace
givenName: Ada
sn: Lovelace
mail: ada@x.org

dn: uid=grace,dc=corp,dc=example
objectClass: inetOrgPerson
uid: grace
cn: Grace Hopper
sn: Hopper
mail: grace@x.org

dn: cn=operators,dc=corp,dc=example
objectClass: groupOfNames
cn: operators
member: uid=ada,dc=corp,dc=example
";

/// A tool of the directory; its standard output.
fn directory(tool: &str, address: &str, arguments: &[&str]) -> String {
    let url = format!("ldap://{address}");
    let output = std::process::Command::new(tool).args(["-x", "-H", &url]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_real_directory_tells_who_is_in_its_groups() {
    let configuration = |folder: &str, _port: &str| {
        let schemas: String = ["core", "cosine", "inetorgperson"].map(|name| format!("include /etc/ldap/schema/{name}.schema\n")).concat();
        let database = "modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nmaxsize 10485760\nsuffix dc=corp,dc=example\n";
        format!("{schemas}{database}rootdn cn=root,dc=corp,dc=example\nrootpw secret\ndirectory {folder}/data\n")
    };
    let Some(server) = weft_testkit::server::slapd(configuration) else { return };
    let home = home();
    let snapshot = tempfile::tempdir().unwrap();
    files(snapshot.path(), &[("entries.ldif", DIRECTORY)]);
    let entries = snapshot.path().join("entries.ldif").display().to_string();
    directory("ldapadd", &server.address, &["-D", "cn=root,dc=corp,dc=example", "-w", "secret", "-f", &entries]);
    let search = |filter: &str| directory("ldapsearch", &server.address, &["-LLL", "-b", "dc=corp,dc=example", filter, "*", "+"]);
    let folder =
        files(snapshot.path(), &[("now/people.ldif", &search("(objectClass=inetOrgPerson)")), ("now/groups.ldif", &search("(objectClass=groupOfNames)"))]);
    let (rows, told) = ask(home.path(), &["import", &format!("{folder}/now"), "--at", "2026-02-01T00:00:00Z"]);
    assert_eq!(rows.iter().map(|row| row["form"].as_str().unwrap()).collect::<Vec<_>>(), ["openldap/groups", "openldap/people"], "{told}");
    // The mail address joins her with the accounts that other systems have of her.
    let (ada, _) = ask(home.path(), &["show", "Ada Lovelace"]);
    assert_eq!(ada.iter().filter(|row| row["relation"] == "account").count(), 3, "{ada:?}");
    let (reached, _) = ask(home.path(), &["reach", "ada@x.org", "--kind", "group"]);
    let names = |rows: &[Value]| rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(["operators", "Admins"].iter().all(|name| names(&reached).contains(&(*name).to_owned())), "{reached:?}");
    // Who left the group is in it no more, and was before.
    let leave = "dn: cn=operators,dc=corp,dc=example\nchangetype: modify\nreplace: member\nmember: uid=grace,dc=corp,dc=example\n";
    files(snapshot.path(), &[("changes.ldif", leave)]);
    let changes = snapshot.path().join("changes.ldif").display().to_string();
    directory("ldapmodify", &server.address, &["-D", "cn=root,dc=corp,dc=example", "-w", "secret", "-f", &changes]);
    let folder = files(snapshot.path(), &[("later/groups.ldif", &search("(objectClass=groupOfNames)"))]);
    ask(home.path(), &["import", &format!("{folder}/later"), "--at", "2026-03-01T00:00:00Z"]);
    let operators = |who: &str, at: &str| names(&ask(home.path(), &["reach", who, "--kind", "group", "--at", at]).0).contains(&"operators".to_owned());
    assert!(operators("ada@x.org", "2026-02-15") && !operators("ada@x.org", "2026-03-02"));
    assert!(operators("grace@x.org", "2026-03-02") && !operators("grace@x.org", "2026-02-15"));
}
