//! Requests over HTTPS, and over HTTP to this machine alone.

use std::error::Error as _;
use std::time::Duration;

use bytes::BytesMut;
use weft_ingest::pull::{Answer, Body, Method, Request};

use crate::door::inflate::Inflate;

/// Longest answer, unpacked.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Unpacked bytes for each packed one.
const RATIO_MAX: u64 = 200;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for the next bytes of an answer.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest wait for a whole answer.
const WHOLE: Duration = Duration::from_secs(300);

/// Asks; clones share connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the next bytes.
    pub(crate) silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: SILENCE }
    }
}

impl Http {
    /// Redirects are not followed: they would take secrets elsewhere.
    ///
    /// # Errors
    /// No TLS can be set up.
    pub(crate) fn new(patience: Patience) -> Result<Self, String> {
        let agent = concat!("weft/", env!("CARGO_PKG_VERSION"));
        let client = reqwest::Client::builder()
            .user_agent(agent)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(patience.silence)
            .timeout(WHOLE)
            .build()
            .map_err(|error| words(&error))?;
        Ok(Self { client })
    }

    /// The whole answer, whatever its status.
    ///
    /// # Errors
    /// For a person; without the address, which may hold what is not for logs.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Answer, String> {
        if request.url.scheme() != "https" && !is_here(&request.url) {
            return Err(format!("`{}` is not asked: only `https` leaves this machine", request.url.origin().ascii_serialization()));
        }
        let mut asked = match request.method {
            Method::Get => self.client.get(request.url.as_str()),
            Method::Post => self.client.post(request.url.as_str()),
        };
        asked = asked.header("accept-encoding", "gzip");
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        asked = match &request.body {
            Some(Body::Json(text)) => asked.header("content-type", "application/json").body(text.clone()),
            Some(Body::Form(text)) => asked.header("content-type", "application/x-www-form-urlencoded").body(text.clone()),
            None if request.method == Method::Post => asked.body(""),
            None => asked,
        };
        let mut response = asked.send().await.map_err(|error| words(&error))?;
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let encoding = response.headers().get("content-encoding").map(text);
        let mut inflate = Inflate::new(encoding.as_deref(), RATIO_MAX).map_err(|error| error.to_string())?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| words(&error))? {
            inflate.push(chunk, |piece| body.extend_from_slice(&piece)).map_err(|error| error.to_string())?;
            bounded(&body)?;
        }
        body.extend_from_slice(&inflate.finish().map_err(|error| error.to_string())?.unwrap_or_default());
        bounded(&body)?;
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

fn bounded(body: &BytesMut) -> Result<(), String> {
    if body.len() <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    Err(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes: ask for smaller pages or a shorter window"))
}

/// Whether an address is of this machine.
pub fn is_here(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The innermost cause says what a person can act on.
fn words(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    let mut cause = error.source();
    let mut last = None;
    while let Some(inner) = cause {
        last = Some(inner.to_string());
        cause = inner.source();
    }
    last.map_or_else(|| kind.to_owned(), |last| format!("{kind}: {last}"))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn request(address: &str) -> Request {
        Request { method: Method::Get, url: url::Url::parse(address).unwrap(), headers: Vec::new(), body: None }
    }

    #[tokio::test]
    async fn silence_ends_and_plain_text_stays_here() {
        let http = Http::new(Patience { silence: Duration::from_millis(50) }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        assert!(http.ask(&request(&address)).await.unwrap_err().starts_with("no answer in time"));
        let refused = http.ask(&request("http://192.0.2.1/")).await.unwrap_err();
        assert_eq!(refused, "`http://192.0.2.1` is not asked: only `https` leaves this machine");
    }

    #[tokio::test]
    async fn a_packed_answer_is_unpacked_and_a_bomb_is_not() {
        let http = Http::new(Patience::default()).unwrap();
        for (length, good) in [(1000, true), (ANSWER_BYTES_MAX + 1, false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{}/", listener.local_addr().unwrap());
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&vec![b'x'; length]).unwrap();
            let packed = packed.finish().unwrap();
            let served = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = BufReader::new(stream.try_clone().unwrap()).lines();
                while asked.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
                let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&packed));
            });
            let answer = http.ask(&request(&address)).await;
            assert_eq!(answer.is_ok_and(|answer| answer.body.len() == length), good);
            served.join().unwrap();
        }
    }
}
