//! A queue of messages, by the JSON protocol of SQS.
//!
//! Amazon SQS API reference, "Making query API requests using AWS JSON protocol": a POST with the name of
//! the action in `X-Amz-Target`, signed (Signature Version 4).

use std::collections::BTreeMap;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector as _, ReqwestConnector};
use serde_json::{Value, json};
use url::Url;

use super::{BucketError, short};

/// Messages of one answer, as the protocol allows.
const MESSAGES_MAX: u32 = 10;
/// Longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A message that was received and not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// By which it is removed.
    pub receipt: String,
    /// Its text.
    pub body: String,
}

/// One queue.
#[derive(Clone)]
pub struct Queue {
    url: Url,
    region: String,
    credentials: AwsCredentialProvider,
    client: HttpClient,
}

impl Queue {
    pub(super) fn new(url: &str, credentials: AwsCredentialProvider, options: &BTreeMap<String, String>) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("the queue `{url}` cannot be opened: {error}");
        let parsed = Url::parse(url).map_err(|error| told(&error))?;
        let host = parsed.host_str().unwrap_or_default();
        let named = host.strip_prefix("sqs.").and_then(|rest| rest.split('.').next()).map(str::to_owned);
        let given = ["region", "aws_region", "aws_default_region"].into_iter().find_map(|name| options.get(name).cloned());
        let region = given.or(named).ok_or_else(|| told(&"its region is not known; give `region` in `options`"))?;
        let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if parsed.scheme() != "https" && !here {
            return Err(told(&"only `https` leaves this machine"));
        }
        let client = ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(here)).map_err(|error| told(&error))?;
        Ok(Self { url: parsed, region, credentials, client })
    }

    /// Messages, if there are any within `wait_seconds` (20 at most). Nobody else receives them for as
    /// long as the queue says.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn receive(&self, wait_seconds: u32) -> Result<Vec<Message>, BucketError> {
        let asked = json!({"MaxNumberOfMessages": MESSAGES_MAX, "WaitTimeSeconds": wait_seconds.min(20)});
        let answer = self.call("ReceiveMessage", asked).await?;
        let messages = answer.get("Messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |message: &Value, name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(messages.iter().filter_map(|message| Some(Message { receipt: text(message, "ReceiptHandle")?, body: text(message, "Body")? })).collect())
    }

    /// Removes a message.
    ///
    /// # Errors
    /// [`BucketError`]; then it is received again.
    pub async fn delete(&self, receipt: &str) -> Result<(), BucketError> {
        self.call("DeleteMessage", json!({"ReceiptHandle": receipt})).await.map(drop)
    }

    /// Hides a message from others for so long from now on.
    ///
    /// # Errors
    /// [`BucketError`]; then it may be received again, which doubles nothing.
    pub async fn hide(&self, receipt: &str, seconds: u32) -> Result<(), BucketError> {
        self.call("ChangeMessageVisibility", json!({"ReceiptHandle": receipt, "VisibilityTimeout": seconds})).await.map(drop)
    }

    async fn call(&self, action: &str, mut body: Value) -> Result<Value, BucketError> {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("QueueUrl".to_owned(), self.url.as_str().into());
        }
        let credential = self.credentials.get_credential().await.map_err(|error| BucketError::Refused(short(&error)))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.url.origin().ascii_serialization()))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .body(body.to_string().into());
        let mut request = request.map_err(|error| BucketError::Refused(short(&error)))?;
        AwsAuthorizer::new(&credential, "sqs", &self.region).authorize(&mut request, None);
        let response = self.client.execute(request).await.map_err(|error| BucketError::Unavailable(format!("the queue does not answer: {}", short(&error))))?;
        let status = response.status();
        let limited = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let text =
            limited.collect().await.map_err(|error| BucketError::Unavailable(format!("the answer of the queue breaks off: {}", short(&error))))?.to_bytes();
        let answer: Value = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text).unwrap_or(Value::Null) };
        if status.is_success() {
            return Ok(answer);
        }
        let kind = answer.get("__type").and_then(Value::as_str).unwrap_or_default();
        let message = ["message", "Message"].into_iter().find_map(|name| answer.get(name)?.as_str()).unwrap_or_default();
        let told = format!("the queue answers {action} with status {}: {kind} {}", status.as_u16(), short(&message));
        let slow = kind.contains("Throttl") || status.is_server_error() || status.as_u16() == 429;
        Err(if slow { BucketError::Unavailable(told) } else { BucketError::Refused(told) })
    }
}
