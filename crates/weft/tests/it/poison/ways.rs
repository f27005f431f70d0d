//! The ways in, and how each is given an input between two neighbours.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::inputs::{Input, Kind};
use crate::mesh::{Mesh, until};

const SECRET: &str = "a secret that is long enough";
/// Most that one datagram carries here.
const DATAGRAM_BYTES_MAX: usize = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Ndjson,
    HecEvent,
    HecRaw,
    Bulk,
    Otlp,
    Webhook,
    Udp,
    Tcp,
    Tls,
    Nats,
    File,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::HecEvent => "hec",
            Self::HecRaw => "hec_raw",
            Self::Bulk => "bulk",
            Self::Otlp => "otlp",
            Self::Webhook => "webhook",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Nats => "nats",
            Self::File => "file",
        }
    }

    /// The beginning of its sources' names.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Ndjson => "http/",
            Self::HecEvent | Self::HecRaw => "hec/",
            Self::Bulk => "bulk/",
            Self::Otlp => "otlp/",
            Self::Webhook => "webhook/",
            Self::Udp | Self::Tcp | Self::Tls => "syslog/",
            Self::Nats => "nats/",
            Self::File => "file:",
        }
    }

    pub(super) fn is_http(self) -> bool {
        matches!(self, Self::Ndjson | Self::HecEvent | Self::HecRaw | Self::Bulk | Self::Otlp | Self::Webhook)
    }

    /// Whether a record comes in as it is, whatever its length and form.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Self::Ndjson | Self::Tcp | Self::Tls | Self::File)
    }

    pub(super) fn takes(self, input: &Input) -> bool {
        match input.kind {
            // A server of others has its own limit and refuses what is longer.
            Kind::Line => self != Self::Nats || !(input.name.starts_with("long") || input.name.starts_with("million")),
            Kind::Body => !matches!(self, Self::Udp | Self::Nats),
            Kind::Packed(_) => self.is_http(),
            Kind::File(_) => self == Self::File,
        }
    }
}

/// All ways in of one mesh.
pub(super) struct Ways {
    folder: PathBuf,
    udp: SocketAddr,
    tcp: SocketAddr,
    tls: SocketAddr,
    trusted: Arc<rustls::ClientConfig>,
    nats: Option<Nats>,
    runtime: tokio::runtime::Runtime,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Ways {
    /// Writes the configuration of a mesh with all of them.
    pub(super) fn prepare(home: &Path) -> Self {
        let folder = home.join("followed");
        std::fs::create_dir_all(&folder).unwrap();
        let (udp, tcp, tls) = (free(), free(), free());
        let trusted = certificate(home);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let nats = Nats::start(&runtime);
        let queue = nats.iter().map(|nats| format!("[[nats]]\nurl = \"nats://{}\"\njetstream = \"POISON\"\n", nats.address())).collect::<String>();
        let path = home.display();
        let text = format!(
            "[syslog]\nudp = \"{udp}\"\ntcp = \"{tcp}\"\ntls = \"{tls}\"\ncertificate = \"{path}/server.pem\"\nkey = \"{path}/server.key\"\n\
             [[file]]\npath = \"{}\"\n[[webhook]]\nname = \"w\"\nconnector = \"github\"\nsecret = \"{SECRET}\"\nstream = \"auto\"\n{queue}",
            folder.display()
        );
        std::fs::write(home.join("weft.toml"), text).unwrap();
        Self { folder, udp, tcp, tls, trusted, nats, runtime }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Way> {
        const ALL: [Way; 11] =
            [Way::Ndjson, Way::HecEvent, Way::HecRaw, Way::Bulk, Way::Otlp, Way::Webhook, Way::Udp, Way::Tcp, Way::Tls, Way::Nats, Way::File];
        ALL.iter().filter(|way| **way != Way::Nats || self.nats.is_some())
    }

    /// Sends the input between its neighbours, as close together as the way in has it.
    pub(super) fn send(&self, way: &Way, mesh: &Mesh, input: &Input, neighbours: &[String; 2]) {
        let poison = input.bytes(&super::mark(way, input));
        let [before, after] = neighbours;
        match (way, input.kind) {
            (_, Kind::Packed(encoding)) => {
                for neighbour in [before, after] {
                    self.post(way, mesh, &[neighbour.as_bytes()], None);
                }
                let refused = self.post(way, mesh, &[&poison], Some(encoding));
                assert!((400..500).contains(&refused), "{} by {}: {refused}", input.name, way.name());
            }
            (Way::File, kind) => self.file(input.name, kind, before, &poison, after),
            (Way::Udp, _) => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                for datagram in [before.as_bytes(), &poison[..poison.len().min(DATAGRAM_BYTES_MAX)], after.as_bytes()] {
                    socket.send_to(datagram, self.udp).unwrap();
                    // Nobody tells the sender of a datagram to wait: the test does.
                    until("the datagram is read", || self.udp_is_read().then_some(()));
                }
            }
            (Way::Tcp, _) => self.lines(&mut TcpStream::connect(self.tcp).unwrap(), before, &poison, after),
            (Way::Tls, _) => {
                let connection = rustls::ClientConnection::new(Arc::clone(&self.trusted), "localhost".try_into().unwrap()).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, TcpStream::connect(self.tls).unwrap());
                self.lines(&mut stream, before, &poison, after);
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
            (Way::Nats, _) => {
                let Some(nats) = &self.nats else { return };
                [before.as_bytes(), &poison, after.as_bytes()].into_iter().for_each(|payload| nats.publish(&self.runtime, payload));
            }
            (Way::Webhook | Way::Otlp, _) => {
                for body in [before.as_bytes(), &poison, after.as_bytes()] {
                    self.post(way, mesh, &[body], None);
                }
            }
            _ => {
                self.post(way, mesh, &[before.as_bytes(), &poison, after.as_bytes()], None);
                // A body that is too large as a whole takes its neighbours with it: they are sent again.
                for neighbour in [before, after] {
                    self.post(way, mesh, &[neighbour.as_bytes()], None);
                }
            }
        }
    }

    /// Whether the kernel holds nothing for the listener.
    fn udp_is_read(&self) -> bool {
        let (table, port) = (std::fs::read_to_string("/proc/net/udp").unwrap(), format!(":{:04X} ", self.udp.port()));
        let line = table.lines().find(|line| line.contains(&port)).unwrap_or_default();
        line.split_whitespace().nth(4).is_some_and(|queues| queues.ends_with(":00000000"))
    }

    /// Octet counting around the input, lines for its neighbours.
    fn lines(&self, stream: &mut impl std::io::Write, before: &str, poison: &[u8], after: &str) {
        writeln!(stream, "{before}").unwrap();
        write!(stream, "{} ", poison.len()).unwrap();
        stream.write_all(poison).unwrap();
        writeln!(stream, "{after}").unwrap();
        stream.flush().unwrap();
    }

    fn file(&self, name: &str, kind: Kind, before: &str, poison: &[u8], after: &str) {
        let lines = |name: &str, parts: &[&[u8]]| {
            let mut text = parts.join(&b'\n');
            text.push(b'\n');
            // Whole at once: a file that grows under the reader is another story.
            let hidden = self.folder.join("..").join(name);
            std::fs::write(&hidden, text).unwrap();
            std::fs::rename(hidden, self.folder.join(name)).unwrap();
        };
        match kind {
            Kind::File(ending) => {
                lines(&format!("{name}.log"), &[before.as_bytes(), after.as_bytes()]);
                let hidden = self.folder.join("..").join(name);
                std::fs::write(&hidden, poison).unwrap();
                std::fs::rename(hidden, self.folder.join(format!("{name}.{ending}"))).unwrap();
            }
            _ => lines(&format!("{name}.log"), &[before.as_bytes(), poison, after.as_bytes()]),
        }
    }

    /// Sends parts in one request; gives the status.
    fn post(&self, way: &Way, mesh: &Mesh, parts: &[&[u8]], encoding: Option<&str>) -> u16 {
        let (path, body) = if encoding.is_some() { (path(way), parts.concat()) } else { wrapped(way, parts) };
        let mut headers = vec![];
        if let Some(encoding) = encoding {
            headers.push(("content-encoding", encoding.to_owned()));
        }
        if *way == Way::Otlp {
            headers.push(("content-type", "application/json".to_owned()));
        }
        if *way == Way::Webhook {
            let mac = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes()), &body);
            headers.push(("x-hub-signature-256", format!("sha256={}", mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())));
        }
        self.runtime.block_on(mesh.post(path, &headers, body))
    }
}

fn path(way: &Way) -> &'static str {
    match way {
        Way::HecEvent => "/services/collector/event",
        Way::HecRaw => "/services/collector/raw",
        Way::Bulk => "/ingest/elastic/things/_bulk",
        Way::Otlp => "/ingest/v1/logs",
        Way::Webhook => "/ingest/webhook/w",
        _ => "/ingest/ndjson",
    }
}

/// Parts in the form of the way in.
fn wrapped(way: &Way, parts: &[&[u8]]) -> (&'static str, Vec<u8>) {
    let around = |before: &[u8], part: &[u8], after: &[u8]| [before, part, after].concat();
    let each = |wrap: &dyn Fn(&[u8]) -> Vec<u8>| parts.iter().flat_map(|part| wrap(part)).collect::<Vec<u8>>();
    let body = match way {
        Way::HecEvent => each(&|part| around(b"{\"event\":", part, b"}")),
        Way::Bulk => each(&|part| around(b"{\"create\":{}}\n", part, b"\n")),
        Way::Otlp => each(&|part| match std::str::from_utf8(part) {
            Ok(text) => {
                json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1", "body": {"stringValue": text}}]}]}]}).to_string().into_bytes()
            }
            Err(_) => around(b"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":", part, b"}]}]}]}"),
        }),
        _ => parts.join(&b'\n'),
    };
    (path(way), body)
}

/// A NATS server with a stream.
#[cfg(feature = "nats")]
struct Nats {
    server: weft_testkit::server::Server,
    context: async_nats::jetstream::Context,
}

#[cfg(feature = "nats")]
impl Nats {
    fn start(runtime: &tokio::runtime::Runtime) -> Option<Self> {
        let server = weft_testkit::server::nats()?;
        let context = runtime.block_on(async {
            let context = async_nats::jetstream::new(async_nats::connect(&server.address).await.unwrap());
            let stream = async_nats::jetstream::stream::Config { name: "POISON".to_owned(), subjects: vec!["p".to_owned()], ..Default::default() };
            context.create_stream(stream).await.unwrap();
            context
        });
        Some(Self { server, context })
    }

    fn address(&self) -> &str {
        &self.server.address
    }

    fn publish(&self, runtime: &tokio::runtime::Runtime, payload: &[u8]) {
        runtime.block_on(async { self.context.publish("p", payload.to_vec().into()).await.unwrap().await.unwrap() });
    }
}

/// Not built in: there is none.
#[cfg(not(feature = "nats"))]
enum Nats {}

#[cfg(not(feature = "nats"))]
impl Nats {
    fn start(_: &tokio::runtime::Runtime) -> Option<Self> {
        None
    }

    fn address(&self) -> &str {
        match *self {}
    }

    fn publish(&self, _: &tokio::runtime::Runtime, _: &[u8]) {
        match *self {}
    }
}

/// A certificate for `localhost` in the home, and who trusts it.
fn certificate(home: &Path) -> Arc<rustls::ClientConfig> {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(home.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(home.join("server.key"), key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}
