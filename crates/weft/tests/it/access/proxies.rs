//! A real web server and a real SSH server ask the mesh, whose own policies decide.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::Pdp;
use crate::mesh::{Mesh, until};
use crate::{count, text, weft};

/// Everybody of the staff uses the server; its `/admin` and root on the host are for administrators.
fn furnish(home: &Path) {
    let named = |kind: &str, id: &str| json!({"type": kind, "id": id});
    let group = |id: &str| json!({"__entity": named("Group", id)});
    let entity = |kind: &str, id: &str, attrs: Value, parents: Vec<Value>| json!({"uid": named(kind, id), "attrs": attrs, "parents": parents});
    let entities = json!([
        entity("Group", "staff", json!({}), vec![]),
        entity("Group", "administrators", json!({}), vec![named("Group", "staff")]),
        entity("User", "ada", json!({}), vec![named("Group", "staff")]),
        entity("User", "bob", json!({}), vec![named("Group", "administrators")]),
        entity("User", "eve", json!({}), vec![]),
        entity("Route", "127.0.0.1", json!({"users": group("staff")}), vec![]),
        entity("Route", "127.0.0.1/admin", json!({"users": group("administrators")}), vec![]),
        entity("Host", "web-1", json!({"users": group("staff"), "administrators": group("administrators")}), vec![]),
    ]);
    std::fs::create_dir_all(home.join("access")).unwrap();
    std::fs::write(home.join("access/entities.json"), entities.to_string()).unwrap();
    std::fs::write(home.join("weft.toml"), "[access]\ntoken = \"enforcement-point-1\"\n").unwrap();
}

fn web(folder: &str, port: &str, mesh: &str) -> String {
    std::fs::create_dir_all(format!("{folder}/www")).unwrap();
    std::fs::write(format!("{folder}/www/page"), "inside").unwrap();
    let users: String = ["ada", "bob", "eve"].iter().map(|user| format!("{user}:{{PLAIN}}{user}\n")).collect();
    std::fs::write(format!("{folder}/users"), users).unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|kind| format!("{kind}_temp_path {folder}/{kind};\n")).collect();
    let user = if is_root() { "user root;" } else { "" };
    format!(
        "daemon off; master_process off; {user} pid {folder}/pid; error_log {folder}/error.log;
        events {{}}
        http {{
            access_log off; {temporary}
            server {{
                listen 127.0.0.1:{port};
                root {folder}/www;
                location / {{
                    auth_basic staff; auth_basic_user_file {folder}/users;
                    auth_request /_decide;
                    try_files /page =404;
                }}
                location = /_decide {{
                    internal;
                    proxy_pass http://{mesh}/access/v1/forward-auth;
                    proxy_pass_request_body off;
                    proxy_set_header Content-Length \"\";
                    proxy_set_header Authorization \"Bearer enforcement-point-1\";
                    proxy_set_header X-Original-URI $request_uri;
                    proxy_set_header X-Original-Method $request_method;
                    proxy_set_header X-Forwarded-Host $host;
                    proxy_set_header X-Forwarded-User $remote_user;
                    proxy_set_header X-Real-IP $remote_addr;
                }}
            }}
        }}"
    )
}

#[test]
fn a_web_server_lets_through_whom_the_policies_permit() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    let Some(server) = weft_testkit::server::nginx(|folder, port| web(folder, port, mesh.host())) else { return };
    let pdp = Pdp::of(&mesh);
    let get = |user: &str, path: &str| {
        let request = pdp.http.get(format!("http://{}{path}", server.address)).header("x-forwarded-user", "bob");
        pdp.send(if user.is_empty() { request } else { request.basic_auth(user, Some(user)) }).status
    };
    assert_eq!((get("ada", "/page"), get("bob", "/page"), get("eve", "/page")), (200, 200, 403));
    assert_eq!((get("ada", "/admin/keys"), get("bob", "/admin/keys")), (403, 200));
    assert_eq!(get("", "/page"), 401, "the header of a client is not believed");
    assert_eq!((get("ada", "/x%2f..%2fadmin"), get("bob", "/admin;x")), (403, 403), "what may be read in two ways");
    let risky = json!([{"uid": {"type": "User", "id": "ada"}, "attrs": {"risk": 90}, "parents": [{"type": "Group", "id": "staff"}]}]);
    assert_eq!(pdp.post("/access/v1/entities", &risky).status, 200);
    assert_eq!(get("ada", "/page"), 403, "a session ends with the risk of its person");
    until("the decision can be found", || {
        let sql = "SELECT count(*) FROM authorize_session WHERE status_detail = 'forbidden by no-access-at-high-risk'";
        (count(home.path(), sql) == 1).then_some(())
    });
    others(&pdp);
    drop(mesh);
    assert_eq!(get("bob", "/page"), 500, "without a decision there is no access");
}

/// The ways of two other proxies.
fn others(pdp: &Pdp) {
    let ask = |path: &str, headers: &[(&'static str, &str)]| {
        let request = pdp.http.get(format!("{}/access/v1/forward-auth{path}", pdp.base)).bearer_auth("enforcement-point-1");
        pdp.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).status
    };
    let forwarded = |user: &'static str, uri: &'static str| {
        ask("", &[("x-forwarded-user", user), ("x-forwarded-uri", uri), ("x-forwarded-method", "POST"), ("x-forwarded-host", "127.0.0.1")])
    };
    assert_eq!((forwarded("bob", "/admin/x?y=1"), forwarded("eve", "/admin/x"), forwarded("bob", "/a/../b")), (200, 403, 403));
    let below = |user: &'static str| ask("/admin/keys", &[("x-forwarded-user", user), ("host", "127.0.0.1")]);
    assert_eq!((below("bob"), below("eve")), (200, 403));
    assert_eq!(ask("/admin/keys", &[]), 401);
    assert_eq!(ask("", &[("x-forwarded-user", "bob")]), 403, "nothing is told of the original request");
    assert_eq!(ask("/admin", &[("x-forwarded-user", "eve"), ("x-forwarded-user", "bob")]), 403, "two users are none");
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A folder that sshd takes programs from: its owner is root, all the way up.
struct Safe(PathBuf);

impl Safe {
    fn new() -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os("HOME")?).join(format!(".cache/weft/ssh-{}", std::process::id()));
        std::fs::create_dir_all(&folder).ok()?;
        Some(Self(folder))
    }
}

impl Drop for Safe {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn keygen(arguments: &[&str]) {
    let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A certificate of a person, signed by the authority of `folder`.
fn certificate(folder: &str, person: &str) {
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &format!("{folder}/{person}")]);
    keygen(&["-q", "-s", &format!("{folder}/authority"), "-I", person, "-n", person, "-V", "+1h", &format!("{folder}/{person}.pub")]);
}

#[test]
fn an_ssh_server_asks_for_the_principals_of_an_account() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    let token = home.path().join("token");
    std::fs::write(&token, "enforcement-point-1\n").unwrap();
    let url = format!("http://{}", mesh.host());
    let ask = |login: &str, more: &[&str]| {
        let of = ["access", "ssh-principals", login, "--host", "web-1", "--url", &url, "--token-file", token.to_str().unwrap()];
        let output = weft(home.path(), &[&of, more].concat(), "");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(ask("root", &[]), "bob\n");
    assert_eq!(ask("ada", &[]), "ada\nbob\n");
    assert_eq!(
        (ask("root", &["--person", "ada"]), ask("root", &["--person", "bob"]), ask("web", &["--person", "eve"])),
        (String::new(), "bob\n".into(), String::new())
    );
    let gone = ["access", "ssh-principals", "root", "--url", "http://127.0.0.1:9", "--token-file", token.to_str().unwrap()];
    let gone = weft(home.path(), &gone, "");
    assert!(!gone.status.success() && gone.stdout.is_empty(), "closed when nobody answers");
    if !is_root() {
        return weft_testkit::say("not checked against sshd: it takes its program from root alone");
    }
    let Some(safe) = Safe::new() else { return };
    let program = safe.0.join("principals");
    let script = format!(
        "#!/bin/sh\nexec {} access ssh-principals \"$1\" --person \"$2\" --host web-1 --url {url} --token-file {}\n",
        env!("CARGO_BIN_EXE_weft"),
        token.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let keys = tempfile::tempdir().unwrap();
    let folder = keys.path().to_str().unwrap().to_owned();
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &format!("{folder}/authority")]);
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &format!("{folder}/host")]);
    ["ada", "bob"].iter().for_each(|person| certificate(&folder, person));
    let configuration = |_: &str, port: &str| {
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes yes\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nAuthorizedKeysFile none\nTrustedUserCAKeys {folder}/authority.pub\n\
             AuthorizedPrincipalsCommand {} %u %i\nAuthorizedPrincipalsCommandUser root\n",
            program.display()
        )
    };
    let Some(server) = weft_testkit::server::sshd(configuration) else { return };
    let (_, port) = server.address.split_once(':').unwrap();
    let log_in = |person: &str| {
        let key = format!("{folder}/{person}");
        let certificate = format!("CertificateFile={key}-cert.pub");
        let options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=20", &certificate];
        let options = options.iter().flat_map(|option| ["-o", option]);
        let output =
            Command::new("ssh").args(["-F", "none", "-p", port, "-i", &key]).args(options).args(["root@127.0.0.1", "echo", "inside"]).output().unwrap();
        text(&output.stdout).trim() == "inside"
    };
    assert!(log_in("bob"), "an administrator");
    assert!(!log_in("ada"), "of the staff only");
}
