//! A client of a decision point: what a Rust program needs to enforce decisions.
//!
//! Whatever goes wrong is an error, never a permit.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// Longest wait for an answer.
const ANSWER_SECONDS_MAX: u64 = 10;

/// A decision point that speaks AuthZEN.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    token: String,
    http: reqwest::Client,
}

/// Who or what a request is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entity {
    /// Type.
    pub kind: String,
    /// Identifier within the type.
    pub id: String,
    /// What the decision point may not know.
    pub properties: Map<String, Value>,
}

impl Entity {
    /// Without properties.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), properties: Map::new() }
    }

    fn json(&self) -> Value {
        json!({"type": self.kind, "id": self.id, "properties": self.properties})
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may be done.
    pub permit: bool,
    /// The determining policies.
    pub determining: Vec<String>,
    /// Why, for a person.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered in time.
    #[error("the decision point `{base}` does not answer: {reason}")]
    Unreachable {
        /// Its address.
        base: String,
        /// What happened.
        reason: String,
    },
    /// It answered, but not with a decision.
    #[error("the decision point refuses the request ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
}

impl Client {
    /// To the decision point at `base`, e.g. `https://pdp.example.com`.
    ///
    /// # Errors
    /// The system has no TLS for us.
    pub fn new(base: &str, token: &str) -> Result<Self, ClientError> {
        let base = base.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(ANSWER_SECONDS_MAX)).build();
        let http = http.map_err(|error| ClientError::Unreachable { base: base.clone(), reason: error.to_string() })?;
        Ok(Self { base, token: token.to_owned(), http })
    }

    /// May this subject do this on that?
    ///
    /// # Errors
    /// There is no answer.
    pub async fn evaluate(&self, subject: &Entity, action: &str, resource: &Entity, context: &Map<String, Value>) -> Result<Answer, ClientError> {
        let request = json!({"subject": subject.json(), "action": {"name": action}, "resource": resource.json(), "context": context});
        let answer = self.post("/access/v1/evaluation", &request).await?;
        let Some(permit) = answer.get("decision").and_then(Value::as_bool) else {
            return Err(ClientError::Refused { status: 200, message: "the answer holds no decision".to_owned() });
        };
        let determining = answer.pointer("/context/determining_policies").and_then(Value::as_array).into_iter().flatten();
        Ok(Answer {
            permit,
            determining: determining.filter_map(Value::as_str).map(str::to_owned).collect(),
            reason: answer.pointer("/context/reason").and_then(Value::as_str).unwrap_or_default().to_owned(),
        })
    }

    /// Ids of all subjects of a type that may do this on that; page after page.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn subjects(&self, kind: &str, action: &str, resource: &Entity, context: &Map<String, Value>) -> Result<Vec<String>, ClientError> {
        let (mut ids, mut token) = (Vec::new(), String::new());
        loop {
            let page = json!({"token": token});
            let request = json!({"subject": {"type": kind}, "action": {"name": action}, "resource": resource.json(), "context": context, "page": page});
            let answer = self.post("/access/v1/search/subject", &request).await?;
            let results = answer.get("results").and_then(Value::as_array).into_iter().flatten();
            ids.extend(results.filter_map(|one| one.get("id")?.as_str().map(str::to_owned)));
            let next = answer.pointer("/page/next_token").and_then(Value::as_str).unwrap_or_default();
            if next.is_empty() || next == token {
                return Ok(ids);
            }
            next.clone_into(&mut token);
        }
    }

    async fn post(&self, path: &str, request: &Value) -> Result<Value, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable { base: self.base.clone(), reason: error.to_string() };
        let response = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).json(request).send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason is given").to_owned();
        Err(ClientError::Refused { status: status.as_u16(), message })
    }
}
