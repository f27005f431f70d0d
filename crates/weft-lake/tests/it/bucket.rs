//! Buckets of others: a folder, and Azure Blob by Azurite, which `cargo xtask servers` installs.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{HttpConnector as _, ReqwestConnector};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _};
use weft_lake::bucket::{Bucket, BucketError};

async fn keys(bucket: &Bucket, after: Option<&str>) -> Vec<String> {
    let mut keys: Vec<String> = bucket.list(after).map_ok(|object| object.key).try_collect().await.unwrap();
    keys.sort();
    keys
}

#[tokio::test]
async fn a_folder_is_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    for (name, text) in [("logs/1.log", "one"), ("logs/2.log", "two"), ("other.log", "no")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let bucket = Bucket::open(&format!("file://{}/logs", folder.path().display()), &BTreeMap::new()).unwrap();
    let all = keys(&bucket, None).await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(keys(&bucket, Some(&all[0])).await, all[1..]);
    let bytes: Vec<_> = bucket.get(&all[1]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"two");
    assert!(bucket.holds(&all[0]) && !bucket.holds("other.log"));
    assert!(matches!(bucket.get("nothing/here").await.err(), Some(BucketError::NotFound(_))));
    assert!(bucket.queue("https://sqs.eu-west-1.amazonaws.com/1/q").is_err_and(|message| message.contains("only a bucket")));
}

#[test]
fn addresses_that_are_none_are_told() {
    let options = BTreeMap::from([("access_key_id".to_owned(), "a".to_owned()), ("secret_access_key".to_owned(), "b".to_owned())]);
    for url in ["nonsense", "gopher://x/", "s3:///"] {
        assert!(Bucket::open(url, &options).is_err(), "{url}");
    }
    let bucket = Bucket::open("s3://logs/AWSLogs/", &options).unwrap();
    assert_eq!(bucket.name(), "logs");
    assert!(bucket.queue("https://sqs.eu-west-1.amazonaws.com/1/q").is_ok());
    for (queue, words) in
        [("https://queue.example.com/q", "give `region`"), ("http://sqs.eu-west-1.amazonaws.com/1/q", "only `https`"), ("q", "cannot be opened")]
    {
        let told = bucket.queue(queue).err().unwrap_or_default();
        assert!(told.contains(words), "{queue}: {told}");
    }
}

struct Azurite(Child);

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

async fn create_container(endpoint: &str, key: &str) {
    let client = ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true)).unwrap();
    let uri = format!("{endpoint}/logs?restype=container");
    let mut request = http::Request::builder().method("PUT").uri(uri).header("content-length", "0").body(Vec::new().into()).unwrap();
    AzureAuthorizer::new(&AzureCredential::AccessKey(AzureAccessKey::try_new(key).unwrap()), "devstoreaccount1").authorize(&mut request);
    let status = client.execute(request).await.unwrap().status();
    assert!(status.is_success(), "the container cannot be made: {status}");
}

#[tokio::test]
async fn azure_blobs_are_listed_and_read() {
    let program = PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/weft/servers/node_modules/.bin/azurite-blob");
    if !program.exists() {
        println!("skipped: {} is not there, `cargo xtask servers` installs it", program.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = ["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--skipApiVersionCheck", "--silent", "--location"];
    let child = Command::new(program).args(arguments).arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _azurite = Azurite(child);
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "Azurite does not listen");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    // The account that every emulator has, <https://learn.microsoft.com/azure/storage/common/storage-use-azurite>.
    let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let endpoint = format!("http://127.0.0.1:{port}/devstoreaccount1");
    let options = [("account_name", "devstoreaccount1"), ("account_key", key), ("azure_storage_endpoint", endpoint.as_str()), ("allow_http", "true")];
    let options: BTreeMap<String, String> = options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut builder = MicrosoftAzureBuilder::new().with_container_name("logs").with_allow_http(true).with_endpoint(endpoint.clone());
    builder = builder.with_account("devstoreaccount1").with_access_key(key);
    let store = builder.build().unwrap();
    create_container(&endpoint, key).await;
    for number in 0..3 {
        store.put(&Path::from(format!("insights/{number}.json")), format!("{{\"n\":{number}}}").into()).await.unwrap();
    }
    store.put(&Path::from("elsewhere/x.json"), "{}".into()).await.unwrap();
    let bucket = Bucket::open("az://logs/insights/", &options).unwrap();
    assert_eq!(keys(&bucket, None).await, ["insights/0.json", "insights/1.json", "insights/2.json"]);
    assert_eq!(keys(&bucket, Some("insights/1.json")).await, ["insights/2.json"]);
    let bytes: Vec<_> = bucket.get("insights/2.json").await.unwrap().try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"{\"n\":2}");
    assert!(matches!(bucket.head("insights/9.json").await, Err(BucketError::NotFound(_))));
    assert_eq!(store.list(None).count().await, 4);
}
