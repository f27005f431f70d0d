//! Two network namespaces joined by a wire: a gateway with a door, and a peer that can be any
//! address. For demonstrations and tests: real packets, no other machine.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weft_model::PortError;

use super::exec::{absent, outcome};
use super::netns;

const TOOL: &str = "network namespaces";
/// Names begin so; what follows is the process, by which left-overs are found.
const GATEWAY: &str = "weft-gw-";
const PEER: &str = "weft-peer-";
/// How long an attempt waits: the wire answers within a millisecond, a first packet that was
/// dropped would be sent again only after a second.
const ANSWER_MS_MAX: u64 = 600;
/// Addresses for documentation (RFC 5737, RFC 3849): they are nobody's.
const GATEWAY_ADDRESSES: [&str; 2] = ["192.0.2.1", "2001:db8:77::1"];

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The two namespaces; removed when dropped.
pub struct Topology {
    gateway: String,
    peer: String,
    doors: Vec<TcpListener>,
}

/// What became of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the gateway answered.
    pub reached: bool,
    /// What was tried and seen, for a person.
    pub observed: String,
}

impl Topology {
    /// Makes the namespaces, the wire, and a door (a listening socket) on the gateway.
    ///
    /// # Errors
    /// [`PortError::Refused`] with what to do, where the process may not.
    pub fn new() -> Result<Self, PortError> {
        Self::clean();
        let id = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Dropping it half made removes what is there.
        let mut made = Self { gateway: format!("{GATEWAY}{id}"), peer: format!("{PEER}{id}"), doors: Vec::new() };
        let (gateway, peer) = (made.gateway.clone(), made.peer.clone());
        ip(&["netns", "add", &gateway])?;
        ip(&["netns", "add", &peer])?;
        ip(&["link", "add", "gw0", "netns", &gateway, "type", "veth", "peer", "name", "peer0", "netns", &peer])?;
        for (namespace, link, addresses) in [(&gateway, "gw0", ["192.0.2.1/24", "2001:db8:77::1/64"]), (&peer, "peer0", ["192.0.2.2/24", "2001:db8:77::2/64"])]
        {
            for address in addresses {
                ip(&address_arguments(namespace, address, link))?;
            }
            ip(&["-n", namespace, "link", "set", link, "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        for address in GATEWAY_ADDRESSES {
            let door = netns::inside(TOOL, &gateway, move || {
                let door = TcpListener::bind((address, 0))?;
                door.set_nonblocking(true)?;
                Ok(door)
            })?;
            made.doors.push(door);
        }
        Ok(made)
    }

    /// Namespace of the gateway.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Tries to connect to the gateway from `source`, which the peer takes as its own.
    ///
    /// # Errors
    /// When the attempt itself could not be made; that it was not answered is no error.
    pub fn attempt(&self, source: IpAddr) -> Result<Attempt, PortError> {
        let source = source.to_canonical();
        self.assume(source)?;
        let door = self.doors.iter().find_map(|door| door.local_addr().ok().filter(|at| at.is_ipv4() == source.is_ipv4()).map(|at| (door, at)));
        let Some((door, to)) = door else { return Err(PortError::Unavailable { tool: TOOL.to_owned(), message: "the gateway has no door".to_owned() }) };
        let outcome = netns::inside(TOOL, &self.peer, move || connect(source, to))?;
        // Taken off the queue, so that it never fills: a full queue would look like a block.
        while door.accept().is_ok() {}
        let seen = match &outcome {
            Outcome::Answered => "was answered".to_owned(),
            Outcome::Silent => format!("was not answered within {ANSWER_MS_MAX} ms"),
            Outcome::Rejected(reason) => format!("was rejected: {reason}"),
        };
        Ok(Attempt { reached: matches!(outcome, Outcome::Answered), observed: format!("a connection from {source} to {to} {seen}") })
    }

    /// Lets the peer be `address`, and the gateway find its way back to it.
    fn assume(&self, address: IpAddr) -> Result<(), PortError> {
        if GATEWAY_ADDRESSES.iter().any(|own| own.parse() == Ok(address)) || address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(PortError::Refused { tool: TOOL.to_owned(), message: format!("`{address}` cannot be the address of a peer") });
        }
        let host = format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
        ip(&address_arguments(&self.peer, &host, "peer0"))?;
        ip(&["-n", &self.gateway, "route", "replace", &host, "dev", "gw0"])
    }

    /// Removes what processes that are gone have left behind.
    pub fn clean() {
        let Ok(names) = std::fs::read_dir("/var/run/netns") else { return };
        for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let Some(rest) = name.strip_prefix(GATEWAY).or_else(|| name.strip_prefix(PEER)) else { continue };
            let process = rest.split('-').next().and_then(|process| process.parse::<u32>().ok());
            if process.is_some_and(|process| !std::path::Path::new("/proc").join(process.to_string()).exists()) {
                let _next_start_tries_again = ip(&["netns", "del", &name]);
            }
        }
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        self.doors.clear();
        for name in [&self.peer, &self.gateway] {
            if netns::path(name).exists() {
                // What cannot be removed now is found by the next start.
                let _next_start_tries_again = ip(&["netns", "del", name]);
            }
        }
    }
}

enum Outcome {
    Answered,
    Silent,
    Rejected(String),
}

fn address_arguments<'a>(namespace: &'a str, address: &'a str, link: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["-n", namespace, "addr", "replace", address, "dev", link];
    if address.contains(':') {
        // Without it the address cannot be used until the kernel has listened for a second.
        arguments.push("nodad");
    }
    arguments
}

fn ip(arguments: &[&str]) -> Result<(), PortError> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output().map_err(|error| absent(TOOL, "ip", &error))?;
    outcome(TOOL, "ip", output).map(|_quiet| ())
}

/// A connection with a chosen source, which the standard library cannot make.
fn connect(source: IpAddr, to: SocketAddr) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = if source.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(source, 0))?;
        match tokio::time::timeout(Duration::from_millis(ANSWER_MS_MAX), socket.connect(to)).await {
            Err(_) => Ok(Outcome::Silent),
            Ok(Ok(_stream)) => Ok(Outcome::Answered),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(Outcome::Rejected(error.to_string())),
            Ok(Err(error)) => Err(error),
        }
    })
}
