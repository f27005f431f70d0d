//! An API that is pulled as its description says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use weft_ingest::pull::{self, Access, Answer, Body, Chunk, Fault, Request, Session, Settings, Taken, ToSign};
use weft_model::{Context, PortError, Position, RawBatch, Source, SourceId, StreamId, Timestamp};

use super::http::Http;
use super::{Pulled, secret};
use crate::config::Secret;
use crate::door::now;
use crate::state::StateStore;

/// What a source is made of.
pub(crate) struct Rest {
    pub(crate) source: SourceId,
    pub(crate) stream: StreamId,
    pub(crate) every_ms: i64,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) http: Http,
    session: Session,
    settings: Settings,
    access: Option<Access>,
    /// Chunks of the last answer that are not handed on yet.
    ready: VecDeque<Chunk>,
    /// The chunk that was handed on last; the next poll tells whether it is durable.
    handed: Option<Chunk>,
    started: bool,
    more: bool,
}

impl Rest {
    /// Asks nothing yet.
    pub(crate) fn new(
        settings: Settings,
        secrets: BTreeMap<String, Secret>,
        every_ms: Option<i64>,
        description: Arc<pull::Description>,
        state: Arc<dyn StateStore>,
        http: Http,
    ) -> Self {
        Self {
            source: settings.source.as_str().into(),
            stream: description.stream.as_str().into(),
            every_ms: every_ms.unwrap_or(description.every_ms),
            secrets,
            state,
            http,
            session: Session::new(description, settings.clone()),
            settings,
            access: None,
            ready: VecDeque::new(),
            handed: None,
            started: false,
            more: false,
        }
    }

    /// What was handed on is durable, or it is not and everything begins again at `position`.
    async fn settle(&mut self, position: &Position) -> Result<(), PortError> {
        match self.handed.take() {
            Some(chunk) if chunk.position() == *position => {
                self.session.stored(&chunk);
                if !chunk.keys.ids.is_empty() {
                    let before = Timestamp(self.session.oldest().unwrap_or(i64::MIN));
                    self.state.forget_keys(&self.source, self.session.oldest_number(), before).await.map_err(|error| self.unavailable(error.to_string()))?;
                }
            }
            None if self.started => {}
            _ => {
                let kept = self.state.keys(&self.source).await.map_err(|error| self.unavailable(error.to_string()))?;
                self.session.resume(position, kept);
                self.ready.clear();
                self.started = true;
            }
        }
        Ok(())
    }

    /// Keys first, then the records: see the module of sessions.
    async fn hand(&mut self, chunk: Chunk) -> Result<RawBatch, PortError> {
        if !chunk.keys.ids.is_empty() {
            self.state.keep_keys(&self.source, &chunk.keys).await.map_err(|error| self.unavailable(error.to_string()))?;
        }
        let batch = self.batch(chunk.records.clone(), chunk.position());
        self.handed = Some(chunk);
        Ok(batch)
    }

    fn batch(&self, records: Vec<weft_model::RawRecord>, next: Position) -> RawBatch {
        RawBatch { source: self.source.clone(), stream: self.stream.clone(), context: Context::default(), next, received: now(), records }
    }

    /// One request, with a fresh token when the old one is not valid any more.
    async fn ask(&mut self) -> Result<Taken, Fault> {
        match self.ask_once().await {
            Err(Fault::Unauthorised(_)) if self.access.take().is_some() => {}
            outcome => return outcome,
        }
        match self.ask_once().await {
            Err(Fault::Unauthorised(message)) => Err(Fault::Refused(message)),
            outcome => outcome,
        }
    }

    async fn ask_once(&mut self) -> Result<Taken, Fault> {
        let mut request = self.session.ask(now().0)?;
        self.enter().await?;
        let to_sign = self.session.authorize(&mut request, self.access.as_ref(), now().0);
        if let Some((user, password)) = to_sign.as_ref().and_then(secret::password) {
            request.headers.extend(pull::basic(Some(user), Some(password)));
        }
        let answer = self.send(&request).await?;
        self.session.take(now().0, &answer)
    }

    async fn send(&self, request: &Request) -> Result<Answer, Fault> {
        self.http.ask(request).await.map_err(|message| Fault::Later(message, None))
    }

    /// Gets an access token where the API wants one.
    async fn enter(&mut self) -> Result<(), Fault> {
        if self.access.as_ref().is_some_and(|access| access.until > now().0) {
            return Ok(());
        }
        let jwt = match pull::sign(&self.session, now().0) {
            Some(to_sign @ ToSign::Jwt { .. }) => Some(secret::token(&to_sign).map_err(Fault::Refused)?),
            _ => None,
        };
        let Some(request) = pull::token_request(&self.session, jwt.as_deref())? else { return Ok(()) };
        let request = Request { body: request.body.filter(|body| *body != Body::Form(String::new())), ..request };
        let answer = self.send(&request).await?;
        self.access = Some(pull::access_of(&mut self.session, now().0, &answer)?);
        Ok(())
    }

    fn unavailable(&self, message: String) -> PortError {
        PortError::Unavailable { tool: self.source.to_string(), message }
    }

    fn port_error(&mut self, fault: Fault) -> PortError {
        let tool = self.source.to_string();
        match fault {
            Fault::Later(message, wait) => {
                self.session.hold(now().0, wait.unwrap_or(0));
                PortError::Unavailable { tool, message }
            }
            // Secrets may be changed while we run.
            Fault::Unauthorised(message) | Fault::Refused(message) => {
                self.settings.secrets.clear();
                PortError::Refused { tool, message }
            }
            Fault::Protocol(message) => PortError::Protocol { tool, message },
        }
    }

    fn read_secrets(&mut self) -> Result<(), PortError> {
        if self.settings.secrets.len() == self.secrets.len() {
            return Ok(());
        }
        self.settings.secrets = secret::read(&self.secrets).map_err(|message| PortError::Refused { tool: self.source.to_string(), message })?;
        self.session.secrets(self.settings.secrets.clone());
        self.access = None;
        Ok(())
    }
}

#[async_trait]
impl Source for Rest {
    async fn poll(&mut self, position: &Position) -> Result<RawBatch, PortError> {
        self.settle(position).await?;
        if self.ready.is_empty() && self.session.pace().wait(now().0) == 0 {
            self.read_secrets()?;
            let taken = match self.ask().await {
                Ok(taken) => taken,
                Err(fault) => return Err(self.port_error(fault)),
            };
            self.more = taken.more;
            self.ready = taken.chunks.into();
        }
        match self.ready.pop_front() {
            Some(chunk) => self.hand(chunk).await,
            None => Ok(self.batch(Vec::new(), position.clone())),
        }
    }
}

#[async_trait]
impl Pulled for Rest {
    fn rest_ms(&self) -> u64 {
        let wait = self.session.pace().wait(now().0);
        let wait = match (self.ready.is_empty(), self.more) {
            (false, _) => 0,
            (true, true) => wait,
            (true, false) => wait.max(self.every_ms),
        };
        u64::try_from(wait).unwrap_or_default()
    }

    fn held_ms(&self) -> u64 {
        u64::try_from(self.session.pace().wait(now().0)).unwrap_or_default()
    }

    fn newest(&self) -> Option<Timestamp> {
        self.session.place().newest.map(Timestamp)
    }

    async fn stored(&mut self) -> Result<(), PortError> {
        Ok(())
    }
}
