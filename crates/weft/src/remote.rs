//! The running mesh, asked over its own API by the command line.

use serde_json::Value;

use crate::cli::Fault;
use crate::home::RunFile;

/// A client of one mesh.
pub struct Remote {
    run: RunFile,
    client: reqwest::Client,
}

impl Remote {
    /// To the mesh of this run file.
    pub fn new(run: RunFile) -> Self {
        Self { run, client: reqwest::Client::new() }
    }

    /// `GET` of a JSON document.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.answer(self.client.get(format!("{}{path}", self.run.address))).await
    }

    /// `POST` of a JSON document.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.answer(self.client.post(format!("{}{path}", self.run.address)).json(body)).await
    }

    /// `POST` of raw records.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn send(&self, path: &str, records: Vec<u8>) -> Result<Value, Fault> {
        self.answer(self.client.post(format!("{}{path}", self.run.address)).body(records)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Fault> {
        let response = request
            .bearer_auth(&self.run.token)
            .send()
            .await
            .map_err(|error| Fault::failed(format!("the mesh at {} does not answer: {error}", self.run.address)))?;
        let success = response.status().is_success();
        let body = response.bytes().await.map_err(Fault::failed)?;
        let answer: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap_or(Value::Null) };
        if success {
            return Ok(answer);
        }
        let message = answer.pointer("/error/message").or_else(|| answer.get("error")).and_then(Value::as_str).unwrap_or("refused").to_owned();
        let misuse = matches!(answer.pointer("/error/code").and_then(Value::as_str), Some("bad_request" | "not_found" | "conflict"));
        Err(if misuse { Fault::misuse(message) } else { Fault::failed(message) })
    }
}
