//! The console's port.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use weft_analytics::incident::Decision;
use weft_analytics::risk::Preset;
use weft_console::api::{
    ApiError, DetectionState, EntityRisk, ErrorCode, EventDetail, IncidentAction, IncidentDetail, IncidentRow, IntelligenceState, LedgerAnswer, LoopState,
    QueryAnswer, QueryColumn, QueryRequest, RejectGroup, RunDecision, SourceState, TableInfo,
};
use weft_console::{Backend, TailEvent};
use weft_lake::{QueryError, QueryOptions};
use weft_model::ocsf;

use super::{Mesh, cells, detection, figures, incidents, intelligence, ledger, rejects, risks, sources};
use crate::respond::{self, RespondError};

/// Runs on the loop page.
const LOOP_RUNS_MAX: u32 = 100;
/// Whoever holds the console's token; persons come with the identity provider.
const PERSON: &str = "console";

#[async_trait]
impl Backend for Mesh {
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError> {
        let begun = Instant::now();
        let cancel = CancellationToken::new();
        if !request.id.is_empty() {
            self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(request.id.clone(), cancel.clone());
        }
        let options = QueryOptions { rows_max: request.limit_rows, time_max: Duration::from_millis(request.timeout_ms) };
        let session = self.pipeline.lake().session(options);
        let outcome = tokio::select! {
            () = cancel.cancelled() => Err(ApiError::new(ErrorCode::Cancelled, "the statement was stopped")),
            result = session.collect(&request.sql) => result.map_err(api_error),
        };
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.id);
        let result = outcome?;
        let column =
            |field: &std::sync::Arc<arrow::datatypes::Field>| QueryColumn { name: field.name().clone(), data_type: cells::type_name(field.data_type()) };
        Ok(QueryAnswer {
            columns: result.schema.fields().iter().map(column).collect(),
            rows: cells::rows(&result.batches),
            truncated: result.truncated.is_some(),
            elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            rows_scanned: None,
            files_read: Some((result.stats.files_read, result.stats.files)),
            warnings: result.warnings,
        })
    }

    async fn cancel(&self, id: &str) -> bool {
        let token = self.statements.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        token.is_some_and(|token| {
            token.cancel();
            true
        })
    }

    async fn tables(&self) -> Result<Vec<TableInfo>, ApiError> {
        let mut all: Vec<TableInfo> = Vec::new();
        let shared = self.pipeline.lake().session(QueryOptions::default()).rows("SELECT * FROM events LIMIT 0").await;
        if let Ok(shared) = shared {
            all.push(TableInfo { name: "events".to_owned(), class_uid: None, rows: None, columns: cells::columns(&shared.schema()) });
        }
        all.extend(self.pipeline.lake().tables().into_iter().map(|table| TableInfo {
            class_uid: class_of(&table.name).map(i64::from),
            rows: Some(table.rows + table.tail_rows),
            columns: cells::columns(&table.schema),
            name: table.name,
        }));
        Ok(all)
    }

    async fn event(&self, uid: &str) -> Result<Option<EventDetail>, ApiError> {
        let quoted = uid.replace('\'', "''");
        let session = self.pipeline.lake().session(QueryOptions { rows_max: 1, ..QueryOptions::default() });
        let found = session.collect(&format!("SELECT class_uid FROM events WHERE metadata['uid'] = '{quoted}' LIMIT 1")).await.map_err(api_error)?;
        let class = cells::rows(&found.batches).first().and_then(|row| row.first()?.as_u64());
        let Some(class) = class.and_then(|class| u32::try_from(class).ok()) else { return Ok(None) };
        let table = weft_lake::table_name(weft_model::ClassUid(class));
        let whole = session.collect(&format!("SELECT * FROM \"{table}\" WHERE metadata['uid'] = '{quoted}' LIMIT 1")).await.map_err(api_error)?;
        let Some(batch) = whole.batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
        let mut event = weft_model::event::row_to_json(batch, 0);
        let members = event.as_object_mut();
        let raw = members.and_then(|members: &mut Map<String, Value>| {
            members.remove("day");
            members.remove("raw_data")
        });
        Ok(Some(EventDetail { ocsf: event, raw: raw.map(|raw| raw.as_str().map_or_else(|| raw.to_string(), str::to_owned)) }))
    }

    fn tail(&self) -> broadcast::Receiver<TailEvent> {
        self.pipeline.tail()
    }

    async fn sources(&self) -> Result<Vec<SourceState>, ApiError> {
        Ok(sources::sources(self))
    }

    async fn rejects(&self) -> Result<Vec<RejectGroup>, ApiError> {
        rejects::groups(self.pipeline.lake()).await
    }

    async fn ledger(&self, deep: bool) -> Result<LedgerAnswer, ApiError> {
        let balance = self.pipeline.lake().balance(deep).await.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(ledger::answer(&balance))
    }

    async fn metrics(&self) -> String {
        figures::text(self).await
    }

    async fn loop_state(&self) -> Result<LoopState, ApiError> {
        let runs = self.state.runs(LOOP_RUNS_MAX).await.map_err(|error| ApiError::internal(error.to_string()))?;
        let mut items: Vec<_> = runs.iter().filter_map(respond::entry).collect();
        items.extend(
            self.posture.recent_findings().into_iter().filter(|found| !items.iter().any(|item| item.finding.uid == found.finding.uid)).collect::<Vec<_>>(),
        );
        items.sort_by_key(|item| std::cmp::Reverse(item.finding.time));
        items.truncate(LOOP_RUNS_MAX as usize);
        Ok(LoopState { items, posture: self.posture.checks(), metrics: self.posture.metrics(&self.metrics, &self.pipeline.waits()) })
    }

    async fn decide(&self, run: &str, decision: RunDecision) -> Result<(), ApiError> {
        self.respond.decide(run, PERSON, decision.approve, &decision.reason).await.map(drop).map_err(|error| respond_error(&error))
    }

    async fn incidents(&self) -> Result<Vec<IncidentRow>, ApiError> {
        incidents::list(self).await
    }

    async fn incident(&self, uid: &str) -> Result<Option<IncidentDetail>, ApiError> {
        incidents::one(self, uid).await
    }

    async fn act_on_incident(&self, action: IncidentAction) -> Result<(), ApiError> {
        incidents::act(self, action, PERSON).await
    }

    async fn decide_incident(&self, decision: Value) -> Result<(), ApiError> {
        let decision: Decision =
            serde_json::from_value(decision).map_err(|error| ApiError::new(ErrorCode::BadRequest, format!("not a decision about incidents: {error}")))?;
        incidents::decide(self, decision).await
    }

    async fn risks(&self, entity: Option<String>) -> Result<Vec<EntityRisk>, ApiError> {
        let pipeline = self.pipeline.clone();
        let all = tokio::task::spawn_blocking(move || pipeline.risks(Preset::Weft)).await.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(risks::answer(&all, entity.as_deref()))
    }

    async fn detection(&self) -> Result<DetectionState, ApiError> {
        detection::state(self).await
    }

    async fn intelligence(&self) -> Result<IntelligenceState, ApiError> {
        intelligence::state(self).await
    }

    async fn undo(&self, run: &str) -> Result<(), ApiError> {
        self.respond.undo(run, PERSON).await.map(drop).map_err(|error| respond_error(&error))
    }
}

fn class_of(table: &str) -> Option<u32> {
    ocsf::schema().class_by_name(table).map(|class| class.uid)
}

/// A fault of a statement in the console's words.
pub(crate) fn api_error(error: QueryError) -> ApiError {
    let code = match &error {
        QueryError::Sql { .. } => ErrorCode::BadRequest,
        QueryError::Time { .. } => ErrorCode::Timeout,
        QueryError::Memory { .. } => ErrorCode::Busy,
        QueryError::Failed { .. } | QueryError::Damaged { .. } => ErrorCode::Internal,
    };
    ApiError::new(code, error.to_string())
}

fn respond_error(error: &RespondError) -> ApiError {
    let code = match error {
        RespondError::NoRun(_) => ErrorCode::NotFound,
        RespondError::NotNow(_) => ErrorCode::Conflict,
        RespondError::State(_) => ErrorCode::Internal,
    };
    ApiError::new(code, error.to_string())
}
