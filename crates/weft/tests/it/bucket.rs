//! Objects of buckets: told of by a queue, listed, and in a folder; the server is moto (S3 and SQS over
//! HTTP), which `cargo xtask servers` installs.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::mesh::{Mesh, until};
use crate::{count, text, weft};

/// Objects of each source, and records of each object.
const OBJECTS: usize = 12;
const RECORDS: usize = 25;

struct Server {
    child: Child,
    address: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Server {
    /// None, with one line, when it is not installed.
    fn start() -> Option<Self> {
        let program = PathBuf::from(std::env::var_os("HOME")?).join(".cache/weft/servers/venv/bin/moto_server");
        if !program.exists() {
            println!("skipped: {} is not there, `cargo xtask servers` installs it", program.display());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program).args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = Self { child, address: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new(), runtime };
        let url = format!("{}/moto-api/data.json", server.address);
        until("moto answers", || server.runtime.block_on(server.client.get(&url).send()).ok());
        Some(server)
    }

    fn put(&self, path: &str, body: Vec<u8>) {
        let sent = self.runtime.block_on(self.client.put(format!("{}/{path}", self.address)).body(body).send()).unwrap();
        assert!(sent.status().is_success(), "{path}: {}", sent.status());
    }

    fn sqs(&self, action: &str, body: &Value) -> Value {
        let request = self
            .client
            .post(format!("{}/", self.address))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"));
        // Neither is checked, but the server looks at them to tell its services apart.
        let request = request.header("authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=x");
        self.runtime.block_on(async { request.body(body.to_string()).send().await.unwrap().json().await }).unwrap_or_default()
    }

    fn left(&self, queue: &str) -> u64 {
        let attributes = self.sqs("GetQueueAttributes", &json!({"QueueUrl": queue, "AttributeNames": ["All"]}));
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            .iter()
            .map(|name| attributes["Attributes"][*name].as_str().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// An object as CloudTrail delivers it.
fn trail(mark: &str, object: usize) -> Vec<u8> {
    let record = |number: usize| {
        json!({"eventVersion": "1.08", "eventTime": "2026-03-02T08:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "awsRegion": "eu-west-1",
            "sourceIPAddress": "198.51.100.23", "userAgent": "aws-cli", "eventID": format!("numbered-{mark}-{:05}", object * RECORDS + number), "eventType": "AwsApiCall",
            "recipientAccountId": "123456789012", "userIdentity": {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::123456789012:user/alice", "accountId": "123456789012"}})
    };
    gzip(&json!({"Records": (0..RECORDS).map(record).collect::<Vec<_>>()}).to_string())
}

fn stored(home: &Path, mark: &str, distinct: &str) -> usize {
    usize::try_from(count(home, &format!("SELECT count({distinct}) FROM events WHERE raw_data LIKE '%numbered-{mark}-%'"))).unwrap()
}

fn key(object: usize) -> String {
    format!("AWSLogs/123456789012/CloudTrail/eu-west-1/2026/03/02/trail {object:03}.json.gz")
}

/// Everything that the queue tells, of which much is told twice and in other envelopes.
fn tell(server: &Server, queue: &str) {
    let filter = "<Filter><S3Key><FilterRule><Name>prefix</Name><Value>AWSLogs/</Value></FilterRule></S3Key></Filter>";
    let configured = format!(
        "<NotificationConfiguration><QueueConfiguration><Id>1</Id><Queue>arn:aws:sqs:us-east-1:123456789012:events</Queue><Event>s3:ObjectCreated:*</Event>{filter}</QueueConfiguration></NotificationConfiguration>"
    );
    server.put("logs?notification", configured.into_bytes());
    for object in 0..OBJECTS {
        server.put(&format!("logs/{}", key(object).replace(' ', "%20")), trail("queue", object));
    }
    let s3 =
        json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "logs"}, "object": {"key": key(1).replace(' ', "+")}}}]}).to_string();
    let bridge = json!({"version": "0", "detail-type": "Object Created", "detail": {"bucket": {"name": "logs"}, "object": {"key": key(2)}}}).to_string();
    let both = json!({"s3Bucket": "logs", "s3ObjectKey": [key(3), key(4)]}).to_string();
    let messages = [json!({"Type": "Notification", "Message": s3}).to_string(), s3, bridge, both, "no notice at all: numbered-strange-1".to_owned()];
    for message in messages {
        server.sqs("SendMessage", &json!({"QueueUrl": queue, "MessageBody": message}));
    }
}

fn configure(home: &Path, server: &Server, queue: &str, folder: &Path) {
    let options = format!("options = {{ region = \"us-east-1\", endpoint = \"{}\", allow_http = \"true\" }}\n", server.address);
    for name in ["id", "secret"] {
        std::fs::write(home.join(name), "test\n").unwrap();
    }
    let secrets = format!(
        "secrets = {{ access_key_id = {{ file = \"{}\" }}, secret_access_key = {{ file = \"{}\" }} }}\n",
        home.join("id").display(),
        home.join("secret").display()
    );
    let text = format!(
        "[[source]]\nname = \"trail\"\nbucket = \"s3://logs/AWSLogs/\"\nstream = \"aws/cloudtrail\"\nqueue = \"{queue}\"\n{options}{secrets}\
         [[source]]\nname = \"listed\"\nbucket = \"s3://logs/listed/\"\nstream = \"aws/cloudtrail\"\nevery = \"100ms\"\n{options}{secrets}\
         [[source]]\nname = \"folder\"\nbucket = \"file://{}\"\nstream = \"aws/vpcflow\"\nevery = \"100ms\"\norder = \"key\"\n",
        folder.display()
    );
    std::fs::write(home.join("weft.toml"), text).unwrap();
}

fn flows(folder: &Path, object: usize) {
    let line =
        |number: usize| format!("2 123456789012 eni-numbered-folder-{number} 192.0.2.1 198.51.100.2 443 49152 6 10 840 1772438400 1772438460 ACCEPT OK\n");
    let head = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
    let lines: String = (0..RECORDS).map(|number| line(object * RECORDS + number)).collect();
    std::fs::write(folder.join(format!("{object:03}.log.gz")), gzip(&(head.to_owned() + &lines))).unwrap();
}

#[test]
fn objects_are_read_once_whatever_tells_of_them() {
    let Some(server) = Server::start() else { return };
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    server.put("logs", Vec::new());
    let queue = server.sqs("CreateQueue", &json!({"QueueName": "events", "Attributes": {"VisibilityTimeout": "2"}}))["QueueUrl"].as_str().unwrap().to_owned();
    tell(&server, &queue);
    for object in 0..OBJECTS / 2 {
        server.put(&format!("logs/listed/{object:03}.json.gz"), trail("listed", object));
        flows(folder.path(), object);
    }
    configure(home.path(), &server, &queue, folder.path());
    let checked = weft(home.path(), &["check"], "");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let all = || ["queue", "listed", "folder"].map(|mark| stored(home.path(), mark, "*"));
    let mesh = Mesh::start(home.path());
    until("some objects are read", || (all().iter().sum::<usize>() > RECORDS * 3).then_some(()));
    // Killed as if the power had gone; what the queue gave comes again.
    drop(mesh);
    for object in OBJECTS / 2..OBJECTS {
        server.put(&format!("logs/listed/{object:03}.json.gz"), trail("listed", object));
        flows(folder.path(), object);
    }
    let mesh = Mesh::start(home.path());
    until("all objects are read", || all().iter().all(|count| *count >= OBJECTS * RECORDS).then_some(()));
    until("the queue is empty", || (server.left(&queue) == 0).then_some(()));
    mesh.stop();
    for mark in ["queue", "listed", "folder"] {
        let (all, distinct) = (stored(home.path(), mark, "*"), stored(home.path(), mark, "DISTINCT raw_data"));
        println!("{mark}: of {} numbered records stored {all}, doubled {}", OBJECTS * RECORDS, all - distinct);
        assert_eq!((all, distinct), (OBJECTS * RECORDS, OBJECTS * RECORDS), "{mark}");
    }
    let rejects = count(home.path(), "SELECT count(*) FROM rejects WHERE message LIKE '%no notice%' OR message LIKE '%no JSON%'");
    assert_eq!(rejects, 1, "the message that is no notice is kept with its reason");
}
