//! The loop's hands: a finding proposes runs, and each run is driven as far as policies and
//! persons let it.
//!
//! What to do next is decided in `weft-response`; what may be done by the decision point. Here
//! the answers are fetched: every step is saved before the next one is taken, and kept as an
//! event.

mod view;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;
use weft_identity::facts::{self, Networks};
use weft_model::{
    AccessRequest, Approved, Command, Decision, DecisionPoint, EntityUid, Facts, Finding, PortError, Proposal, Responder, Timestamp, TraceId, authorize,
};
use weft_response::{Action, Event, Phase, Playbook, Run, events, step};

use crate::door::now;
use crate::state::{KeptRun, StateError, StateStore};

pub use view::{entry, finding_view, run_state};

/// Runs that are looked at when the mesh starts again.
const RESUME_RUNS_MAX: u32 = 10_000;
/// Latest runs whose effect is looked at again when the mesh starts.
const STAND_BY_RUNS_MAX: u32 = 200;
/// Roles of whoever holds the console's token.
const ROLES: &[&str] = &["responder"];

/// Where events of our own go; they are durable when the call comes back.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Keeps events.
    async fn keep(&self, events: Vec<Value>) -> Result<(), String>;
}

/// Everything that a run needs.
pub struct Respond {
    /// Where runs are kept.
    pub state: Arc<dyn StateStore>,
    /// Who decides.
    pub pdp: Arc<dyn DecisionPoint>,
    /// What may be proposed.
    pub playbooks: Vec<Playbook>,
    /// The tool that does it.
    pub responder: Arc<dyn Responder>,
    /// Its name as a target of commands.
    pub target: String,
    /// What the organisation says of its networks.
    pub networks: Networks,
    /// Where events go.
    pub journal: Arc<dyn Journal>,
    /// One run is driven at a time: two approvals of one run must not race.
    pub turn: Mutex<()>,
}

/// Why a person's wish was not met.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// There is no such run.
    #[error("there is no run `{0}`; `weft playbook list` shows those that are")]
    NoRun(String),
    /// Not in this phase, or not by this person.
    #[error("{0}")]
    NotNow(String),
    /// The store.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Respond {
    /// A finding came: propose what the playbooks say, and drive it.
    ///
    /// # Errors
    /// The state store failed; the finding is in the lake and can be replayed.
    pub async fn finding(&self, finding: &Finding) -> Result<(), RespondError> {
        let _turn = self.turn.lock().await;
        for playbook in &self.playbooks {
            for run in playbook.proposals(finding, &self.target) {
                if self.state.run(&run.id).await?.is_none() {
                    self.save(&run, Some(finding)).await?;
                    let action = run.resume(&facts::automation());
                    self.drive(run, action).await?;
                }
            }
        }
        Ok(())
    }

    /// Goes on with every run that a stop or crash cut off.
    ///
    /// # Errors
    /// The state store failed.
    pub async fn resume(&self) -> Result<usize, RespondError> {
        let _turn = self.turn.lock().await;
        let mut resumed = 0;
        for kept in self.state.runs(RESUME_RUNS_MAX).await? {
            let Some(run) = view::run_of(&kept) else { continue };
            let action = run.resume(&facts::automation());
            if !matches!(action, Action::Rest | Action::AskPerson) {
                resumed += 1;
                self.drive(run, action).await?;
            }
        }
        Ok(resumed)
    }

    /// Looks whether what was done before a restart is still there, and does it again where it is
    /// not: an enforcement point may have been restarted with the mesh.
    pub async fn stand_by(&self) {
        let kept = match self.state.runs(STAND_BY_RUNS_MAX).await {
            Ok(kept) => kept,
            Err(error) => return tracing::error!(%error, "runs could not be looked at again"),
        };
        for id in kept.iter().filter_map(view::run_of).filter(|run| run.phase == Phase::Verified).map(|run| run.id) {
            // One turn a run: findings that come meanwhile are answered in between.
            let _turn = self.turn.lock().await;
            if let Err(error) = self.restore(&id).await {
                tracing::error!(%error, run = id, "a run could not be looked at again");
            }
        }
    }

    async fn restore(&self, id: &str) -> Result<(), RespondError> {
        let run = self.load(id).await?;
        if run.phase != Phase::Verified || run.command.target != self.target {
            return Ok(());
        }
        match self.responder.probe(&run.command).await {
            Ok(probe) if !probe.effective => self.take(run, Event::Gone(probe)).await.map(drop),
            // Without a way to look, what is known stays as it was.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// A person says yes or no to a run that waits.
    ///
    /// # Errors
    /// No such run, not waiting, or the person may not.
    pub async fn decide(&self, id: &str, person: &str, approve: bool, reason: &str) -> Result<Phase, RespondError> {
        let _turn = self.turn.lock().await;
        let run = self.load(id).await?;
        let person = EntityUid::new("User", person);
        self.may(&person, "approve_run", &run).await?;
        let event = if approve { Event::ApprovedBy(person) } else { Event::RejectedBy(person, reason.to_owned()) };
        self.take(run, event).await
    }

    /// A person wants an applied run taken back.
    ///
    /// # Errors
    /// No such run, or nothing to take back.
    pub async fn undo(&self, id: &str, person: &str) -> Result<Phase, RespondError> {
        let _turn = self.turn.lock().await;
        let run = self.load(id).await?;
        self.take(run, Event::UndoAsked(EntityUid::new("User", person))).await
    }

    async fn load(&self, id: &str) -> Result<Run, RespondError> {
        let kept = self.state.run(id).await?;
        kept.as_ref().and_then(view::run_of).ok_or_else(|| RespondError::NoRun(id.to_owned()))
    }

    async fn take(&self, run: Run, event: Event) -> Result<Phase, RespondError> {
        let (run, action) = self.advance(run, event).await?;
        Ok(self.drive(run, action).await?.phase)
    }

    /// Asks for a right of a person that is not a command of a playbook.
    async fn may(&self, person: &EntityUid, action: &str, run: &Run) -> Result<(), RespondError> {
        let resource = facts::run(&run.id, &run.playbook);
        let request = AccessRequest { principal: person.clone(), action: action.to_owned(), resource: resource.uid.clone(), context: serde_json::Map::new() };
        let mut known = self.facts(person, None, now());
        known.entities.push(resource);
        let decision = self.pdp.decide(&request, &known);
        self.record(&request, &decision, &run.trace).await;
        match decision.effect {
            weft_model::Effect::Permit => Ok(()),
            weft_model::Effect::Forbid => Err(RespondError::NotNow(format!("`{}` may not {action} `{}`: no policy permits it", person.id, run.id))),
        }
    }

    /// Does what is next until nothing is, or a person is needed.
    async fn drive(&self, mut run: Run, mut action: Action) -> Result<Run, RespondError> {
        let mut approved: Option<Approved<Command>> = None;
        loop {
            let event = match action {
                Action::Rest | Action::AskPerson => return Ok(run),
                Action::Authorize(principal, command) => self.authorize(&principal, command, &run.trace, &mut approved).await,
                Action::Apply(_) | Action::Undo(_) => match approved.take() {
                    Some(approved) => self.execute(&approved, matches!(action, Action::Undo(_))).await,
                    None => Event::ApplyFailed("the approval was lost; it is asked for again".to_owned(), true),
                },
                Action::Probe(command) => match self.responder.probe(&command).await {
                    Ok(probe) => Event::Probed(probe),
                    Err(error) => Event::Probed(weft_model::Probe { effective: run.phase == Phase::Undoing, observed: format!("could not look: {error}") }),
                },
            };
            (run, action) = self.advance(run, event).await?;
        }
    }

    async fn authorize(&self, principal: &EntityUid, command: Command, trace: &TraceId, approved: &mut Option<Approved<Command>>) -> Event {
        let request = command.request(principal);
        let known = self.facts(principal, command.object.id.parse().ok(), now());
        match authorize(&*self.pdp, &known, principal, trace, command) {
            Ok(minted) => {
                let decision = minted.decision().clone();
                self.record(&request, &decision, trace).await;
                *approved = Some(minted);
                Event::Permitted(principal.clone(), decision)
            }
            Err(refused) => {
                self.record(&request, &refused.decision, trace).await;
                Event::Denied(principal.clone(), refused.decision)
            }
        }
    }

    async fn execute(&self, approved: &Approved<Command>, undo: bool) -> Event {
        match self.responder.execute(approved).await {
            Ok(receipt) if undo => Event::Reverted(receipt.summary),
            Ok(receipt) => Event::Applied(receipt),
            Err(error) => Event::ApplyFailed(error.to_string(), !matches!(error, PortError::Refused { .. })),
        }
    }

    /// The run after an event: saved first, told second.
    async fn advance(&self, run: Run, event: Event) -> Result<(Run, Action), RespondError> {
        let told = run.history.len();
        let (run, action) = step(&run, event, now()).map_err(|wrong| RespondError::NotNow(wrong.to_string()))?;
        self.save(&run, None).await?;
        let news: Vec<Value> = run.history.iter().skip(told).map(|transition| events::transition(&run, transition)).collect();
        self.tell(news).await;
        Ok((run, action))
    }

    async fn save(&self, run: &Run, finding: Option<&Finding>) -> Result<(), RespondError> {
        let before = match finding {
            Some(finding) => serde_json::to_value(finding).unwrap_or(Value::Null),
            None => self.state.run(&run.id).await?.map(|kept| kept.body.get("finding").cloned().unwrap_or(Value::Null)).unwrap_or(Value::Null),
        };
        let body = serde_json::json!({"finding": before, "run": run});
        let kept = KeptRun { id: run.id.clone(), finding: run.finding.clone(), state: events::phase(run.phase).to_owned(), updated: now(), body };
        Ok(self.state.keep_run(&kept).await?)
    }

    fn facts(&self, principal: &EntityUid, address: Option<IpAddr>, at: Timestamp) -> Facts {
        let person = (principal.kind == "User").then_some((principal, ROLES));
        facts::of_addresses(&self.networks, address.as_slice(), person, at)
    }

    async fn record(&self, request: &AccessRequest, decision: &Decision, trace: &TraceId) {
        self.tell(vec![events::decision(request, decision, trace, now())]).await;
    }

    /// The run itself is saved: an event that cannot be kept now is no reason to stop half way.
    async fn tell(&self, events: Vec<Value>) {
        if !events.is_empty()
            && let Err(error) = self.journal.keep(events).await
        {
            tracing::error!(error, "events of a run could not be kept");
        }
    }
}
