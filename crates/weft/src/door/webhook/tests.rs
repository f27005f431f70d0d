use std::collections::BTreeSet;

use axum::http::Request;
use tower::ServiceExt;
use weft_model::{RawBatch, Reject};

use super::*;
use crate::door::Limits;
use crate::door::records::refused;
use crate::queue::{Bounds, Delivery, Queue};

const SECRET: &str = "It's a Secret to Everybody";

fn configured(connector: &str, secret: &str) -> WebhookConfig {
    WebhookConfig { name: connector.to_owned(), connector: connector.to_owned(), secrets: vec!["an older secret".to_owned(), secret.to_owned()], stream: None }
}

struct Door {
    router: Router,
    queue: Queue,
    log: tokio::task::JoinHandle<Vec<RawBatch>>,
}

impl Door {
    /// Webhooks of every connector that can be signed, as their manifests say.
    fn new() -> Self {
        let registry = weft_testkit::registry().0;
        let able = registry.connectors.iter().filter(|connector| connector.webhook.is_some());
        let configs: Vec<WebhookConfig> = able.map(|connector| configured(&connector.name, SECRET)).collect();
        assert!(configs.len() >= 5, "the manifests were not read");
        let queue = Queue::new(Bounds::default());
        let ingress = Ingress { queue: queue.clone(), limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
        let router = routes(Webhooks::new(ingress, hooks(&configs, &registry).unwrap(), registry));
        let log = tokio::spawn({
            let queue = queue.clone();
            async move {
                let mut all = Vec::new();
                while let Some(group) = queue.next(1 << 20).await {
                    all.extend(group.into_iter().map(Delivery::acknowledge));
                }
                all
            }
        });
        Self { router, queue, log }
    }

    async fn send(&self, name: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
        self.request(Request::post(format!("/ingest/webhook/{name}")), headers, body).await
    }

    async fn request(&self, mut request: axum::http::request::Builder, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (status, body) = (response.status(), axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap());
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn written(self) -> (Vec<RawBatch>, Vec<Reject>) {
        self.queue.close();
        let (bad, good): (Vec<_>, Vec<_>) = self.log.await.unwrap().into_iter().partition(|batch| refused(batch).is_some());
        (good, bad.iter().filter_map(refused).flatten().collect())
    }
}

fn sign(message: &str) -> String {
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_example_of_the_vendor_is_good_and_a_changed_body_is_not() {
    let door = Door::new();
    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries, "Testing the webhook payload validation"
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let (status, answer) = door.send("github", &[("x-hub-signature-256", signature)], "Hello, World!").await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#"{"accepted":1,"rejected":0}"#));
    for (shown, body) in [(signature, "Hello, World?"), ("sha256=00", "Hello, World!"), ("757107ea", "Hello, World!")] {
        let (status, answer) = door.send("github", &[("x-hub-signature-256", shown)], body).await;
        assert_eq!((status, answer.as_str()), (StatusCode::UNAUTHORIZED, r#"{"error":"the signature in `x-hub-signature-256` does not fit the body"}"#));
    }
    assert_eq!(door.send("github", &[], "{}").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(door.send("nobody", &[], "{}").await.0, StatusCode::NOT_FOUND);
    let (good, rejects) = door.written().await;
    assert_eq!(good.len(), 1);
    assert!(rejects.iter().all(|reject| reject.cause == RejectCause::Unauthenticated), "{rejects:?}");
    assert_eq!(rejects.iter().map(|reject| &*reject.raw).collect::<Vec<_>>(), [&b"Hello, World?"[..], b"Hello, World!", b"Hello, World!", b"{}"]);
    assert_eq!(rejects[3].message, "the header `x-hub-signature-256` is missing or not readable");
}

#[tokio::test]
async fn a_delivery_keeps_its_headers_and_the_same_one_again_is_one() {
    let door = Door::new();
    let body = r#"{"action":"created","repository":{"full_name":"o/r"},"sender":{"login":"ada"}}"#;
    let signature = format!("sha256={}", sign(body));
    for (delivery, event) in [("1", "star"), ("1", "star"), ("2", "star")] {
        let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-delivery", delivery), ("x-github-event", event)];
        assert_eq!(door.send("github", &headers, body).await.0, StatusCode::OK);
    }
    let form = format!("payload={}", url::form_urlencoded::byte_serialize(body.as_bytes()).collect::<String>());
    let signature = format!("sha256={}", sign(&form));
    let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-event", "star"), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(door.send("github", &headers, &form).await.0, StatusCode::OK);
    let (good, rejects) = door.written().await;
    assert!(rejects.is_empty(), "{rejects:?}");
    let ids: Vec<_> = good.iter().flat_map(|batch| batch.records.iter().map(|record| record.id)).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (4, 3));
    assert!(good.iter().all(|batch| &*batch.stream.0 == "github/webhook"));
    let last: serde_json::Value = serde_json::from_slice(&good[3].records[0].bytes).unwrap();
    assert_eq!((last["x-github-event"].as_str(), last["sender"]["login"].as_str()), (Some("star"), Some("ada")));
}

#[tokio::test]
async fn a_signed_time_has_a_window_and_a_question_its_answer() {
    let door = Door::new();
    let send = async |age: i64, body: &str| {
        let time = (now().0 / 1000 - age).to_string();
        let signature = format!("v0={}", sign(&format!("v0:{time}:{body}")));
        door.send("slack", &[("x-slack-request-timestamp", &time), ("x-slack-signature", &signature)], body).await
    };
    let (status, answer) = send(0, r#"{"type":"url_verification","challenge":"3eZbrw1a","token":"x"}"#).await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, "3eZbrw1a"));
    let event = r#"{"type":"event_callback","team_id":"T1","event":{"type":"team_join"}}"#;
    assert_eq!(send(60, event).await.0, StatusCode::OK);
    let (status, answer) = send(3600, event).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(answer.contains("seconds from now, at most 300 are taken"), "{answer}");
    assert_eq!(send(-3600, event).await.0, StatusCode::UNAUTHORIZED);
    // Another time than the one that was signed.
    let signature = format!("v0={}", sign(&format!("v0:1:{event}")));
    let time = (now().0 / 1000).to_string();
    assert_eq!(door.send("slack", &[("x-slack-request-timestamp", &time), ("x-slack-signature", &signature)], event).await.0, StatusCode::UNAUTHORIZED);
    let (good, rejects) = door.written().await;
    assert_eq!((good.len(), rejects.len()), (1, 3), "the question is no event");
}

#[tokio::test]
async fn a_secret_in_a_header_and_a_challenge_by_get() {
    let door = Door::new();
    let challenge = [("x-okta-verification-challenge", "a\"b")];
    let (status, answer) = door.request(Request::get("/ingest/webhook/okta"), &challenge, "").await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#"{"verification":"a\"b"}"#));
    assert_eq!(door.request(Request::get("/ingest/webhook/okta"), &[], "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    let body = r#"{"eventType":"com.okta.event_hook","data":{"events":[{"uuid":"1","eventType":"a"},{"uuid":"2","eventType":"b"}]}}"#;
    let (status, answer) = door.send("okta", &[("authorization", SECRET)], body).await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#"{"accepted":2,"rejected":0}"#));
    assert_eq!(door.send("okta", &[("authorization", "an older secret")], body).await.0, StatusCode::OK);
    assert_eq!(door.send("okta", &[("authorization", "wrong")], body).await.0, StatusCode::UNAUTHORIZED);
    let (good, rejects) = door.written().await;
    assert!(good.iter().all(|batch| &*batch.stream.0 == "okta/system_log"));
    assert_eq!(rejects[0].message, "the secret in `authorization` is not known");
}

#[tokio::test]
async fn who_is_not_known_cannot_fill_the_disk() {
    let door = Door::new();
    let long = "x".repeat(100_000);
    for _ in 0..REFUSED_A_MINUTE + 40 {
        assert_eq!(door.send("github", &[], &long).await.0, StatusCode::UNAUTHORIZED);
    }
    let (_, rejects) = door.written().await;
    // A minute may have ended in between.
    assert!(rejects.len() <= 2 * REFUSED_A_MINUTE as usize && rejects.len() >= REFUSED_A_MINUTE as usize, "{}", rejects.len());
    assert!(rejects.iter().all(|reject| reject.raw.len() == REFUSED_BYTES_MAX));
}

#[test]
fn schemes_of_other_forms() {
    let registry = weft_testkit::registry().0;
    let scheme = |name: &str| Scheme(registry.connectors.iter().find(|connector| connector.name == name).unwrap().webhook.clone().unwrap());
    let headers = |pairs: &[(&str, &str)]| {
        let named = pairs.iter().map(|(name, value)| (axum::http::HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()));
        named.collect::<HeaderMap>()
    };
    // https://github.com/standard-webhooks/standard-webhooks, example of the specification.
    let (secret, body) = ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(), br#"{"event_type":"ping","data":{"success":true}}"#);
    let shown = [("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"), ("webhook-timestamp", "1649367553")];
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, "C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let message = [b"msg_27UH4WbU6Z5A5EzD8u03UvzRbpk.1649367553.", body.as_slice()].concat();
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key), &message);
    let code = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
    let signed = headers(&[shown[0], shown[1], ("webhook-signature", &format!("v1,AAAA v1,{code}"))]);
    let now = Timestamp(1_649_367_600_000);
    assert_eq!(scheme("standard_webhooks").verify(&signed, body, std::slice::from_ref(&secret), now), Ok(()));
    assert!(scheme("standard_webhooks").verify(&signed, b"{}", std::slice::from_ref(&secret), now).is_err());
    let signature = format!("t=1649367553,v1={}", sign("1649367553.{}"));
    let stamped = headers(&[("tailscale-webhook-signature", &signature)]);
    assert_eq!(scheme("tailscale").verify(&stamped, b"{}", &[SECRET.to_owned()], now), Ok(()));
    assert!(scheme("tailscale").verify(&stamped, b"{}", &[secret], now).is_err());
    let question = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"q"}}"#;
    let answer = scheme("zoom").challenged(&HeaderMap::new(), "", question, Some(&SECRET.to_owned())).unwrap();
    assert_eq!(answer, format!(r#"{{"plainToken":"q","encryptedToken":"{}"}}"#, sign("q")));
}

#[test]
fn a_webhook_that_cannot_be_checked_is_a_fault() {
    let registry = weft_testkit::registry().0;
    let faults =
        hooks(&[configured("nothing", SECRET), configured("zeek", SECRET), configured("github", SECRET), configured("github", SECRET)], &registry).unwrap_err();
    assert_eq!(faults[0], "webhook `nothing`: there is no connector `nothing`");
    assert!(faults[1].starts_with("webhook `zeek`: the connector `zeek` does not say how deliveries are signed; these do: "), "{}", faults[1]);
    assert_eq!(faults[2], "webhook `github` is there twice");
}
