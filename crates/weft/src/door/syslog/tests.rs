use std::collections::BTreeSet;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use weft_model::RawBatch;

use super::*;
use crate::door::Limits;
use crate::door::tls::TlsFiles;
use crate::queue::{Bounds, Delivery, Queue};

fn door() -> (Syslog, Queue) {
    let queue = Queue::new(Bounds::default());
    let ingress = Ingress { queue: queue.clone(), limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
    (Syslog { ingress, stream: "auto".into(), stop: CancellationToken::new() }, queue)
}

async fn read(queue: &Queue, records: usize) -> Vec<RawBatch> {
    let mut all: Vec<RawBatch> = Vec::new();
    while all.iter().map(|b| b.records.len()).sum::<usize>() < records {
        all.extend(queue.next(1 << 20).await.unwrap().into_iter().map(Delivery::acknowledge));
    }
    all
}

#[tokio::test]
async fn tcp_reads_on_after_the_write_and_equal_messages_are_two() {
    let (door, queue) = door();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = door.stop.clone();
    let running = tokio::spawn(door.tcp(listener, None));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"<13>same\n<13>same\n12 <13>counted!").await.unwrap();
    client.shutdown().await.unwrap();
    let batches = read(&queue, 3).await;
    let ids: BTreeSet<_> = batches.iter().flat_map(|b| b.records.iter().map(|r| r.id)).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(batches[0].context.peer.as_deref(), Some("127.0.0.1"));
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn udp_takes_each_datagram() {
    let (door, queue) = door();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (socket.local_addr().unwrap(), door.stop.clone());
    let running = tokio::spawn(door.udp(socket));
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for text in ["<13>a\n", "<13>a", "<13>b"] {
        client.send_to(text.as_bytes(), address).await.unwrap();
    }
    let batches = read(&queue, 3).await;
    let texts: Vec<_> = batches.iter().flat_map(|b| b.records.iter().map(|r| r.bytes.clone())).collect();
    assert_eq!(texts, ["<13>a", "<13>a", "<13>b"].map(Bytes::from));
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// An authority and what it signs, as PEM files in a folder.
struct Authority {
    folder: tempfile::TempDir,
    signer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, signer: rcgen::Issuer::new(parameters, key) }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key for `localhost`, valid in these years.
    fn sign(&self, name: &str, years: (i32, i32)) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (parameters.not_before, parameters.not_after) = (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
        let certificate = parameters.signed_by(&key, &self.signer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn files(&self, certificate: &str, key: &str, client_ca: Option<&str>) -> TlsFiles {
        TlsFiles { certificate: self.path(certificate), key: self.path(key), client_ca: client_ca.map(|name| self.path(name)) }
    }

    /// A sender that trusts the authority, and shows this certificate.
    fn client(&self, shown: Option<&str>) -> tokio_rustls::TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap()).unwrap()
            }
        };
        Arc::new(config).into()
    }
}

const NOW: weft_model::Timestamp = weft_testkit::RECEIVED;

#[tokio::test]
async fn tls_takes_both_framings_and_asks_for_a_certificate_when_it_is_told_to() {
    let authority = Authority::new();
    authority.sign("server", (2020, 2200));
    authority.sign("sender", (2020, 2200));
    let acceptor = TlsAcceptor::from(authority.files("server.pem", "server.key", Some("ca.pem")).load(NOW).unwrap());
    let (door, queue) = door();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), door.stop.clone());
    let running = tokio::spawn(door.tcp(listener, Some(acceptor)));
    let connect = async |shown| {
        let socket = TcpStream::connect(address).await.unwrap();
        authority.client(shown).connect("localhost".try_into().unwrap(), socket).await
    };
    // Without a certificate the handshake fails, at the latest when something is read.
    let refused = match connect(None).await {
        Err(_) => true,
        Ok(mut stream) => tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await.is_err(),
    };
    assert!(refused, "who shows no certificate is not let in");
    let mut client = connect(Some("sender")).await.unwrap();
    client.write_all(b"7 <13>one\n8 <13>t\xc3\xb6o<13>line\n").await.unwrap();
    client.shutdown().await.unwrap();
    let batches = read(&queue, 3).await;
    let texts: Vec<_> = batches.iter().flat_map(|b| b.records.iter().map(|r| String::from_utf8(r.bytes.to_vec()).unwrap())).collect();
    assert_eq!(texts, ["<13>one", "<13>töo", "<13>line"]);
    assert_eq!(&*batches[0].source.0, "syslog/tls:127.0.0.1");
    // Somebody who speaks no TLS disturbs nobody.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"<13>plain\n").await.unwrap();
    let mut rest = Vec::new();
    let _closed = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut rest).await;
    assert_eq!(queue.waiting_bytes(), 0);
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[test]
fn what_is_wrong_with_the_files_is_told_before_anything_listens() {
    let authority = Authority::new();
    authority.sign("good", (2020, 2200));
    authority.sign("old", (2010, 2015));
    authority.sign("young", (2150, 2200));
    let told = |files: TlsFiles| files.load(NOW).unwrap_err().join("\n").replace(&authority.folder.path().display().to_string(), "");
    assert!(authority.files("good.pem", "good.key", None).load(NOW).is_ok());
    assert_eq!(told(authority.files("good.pem", "old.key", None)), "`/old.key` is not the key of the certificate `/good.pem`");
    let old = told(authority.files("old.pem", "old.key", None));
    assert!(old.contains("`/old.pem`: the certificate of") && old.contains("expired on 2015-01-01T00:00:00Z"), "{old}");
    assert!(told(authority.files("young.pem", "young.key", None)).contains("is not valid before"));
    let both = told(authority.files("none.pem", "good.pem", Some("good.key")));
    assert_eq!(
        both,
        "`/none.pem` cannot be read: No such file or directory (os error 2)\n`/good.pem` holds no private key: PEM without a password is expected\n`/good.key` holds no certificate: PEM (`-----BEGIN CERTIFICATE-----`) is expected"
    );
}
