//! One run of a playbook: what is asked of the world next, and never the asking itself.

use serde::{Deserialize, Serialize};
use weft_model::{Command, Decision, EntityUid, Finding, Probe, Receipt, Timestamp, TraceId};

use crate::playbook::Playbook;

/// How often an effect is tried before a run gives up.
pub const TRIES_MAX: u32 = 3;
/// Most transitions that a run remembers; a healthy one has ten.
const HISTORY_MAX: usize = 200;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A finding asks for it; no decision yet.
    Proposed,
    /// No policy permits it to the mesh alone; a person has to say.
    AwaitingApproval,
    /// A policy forbids it, or a person said no. Final.
    Refused,
    /// Permitted; not done yet, or not known to be done.
    Approved,
    /// Done, as the tool says.
    Applied,
    /// Done, as an independent look says.
    Verified,
    /// Done, as the tool says, and not seen by an independent look.
    NotEffective,
    /// To be taken back.
    Undoing,
    /// Taken back, as an independent look says. Final.
    Undone,
    /// Given up. The reason is in the history.
    Failed,
}

/// One run: saved after every step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Derived from finding, playbook and command: a finding that is seen twice proposes once.
    pub id: String,
    /// The trace of the finding.
    pub trace: TraceId,
    /// Playbook.
    pub playbook: String,
    /// Finding that asked for it.
    pub finding: String,
    /// What is to be done.
    pub command: Command,
    /// Where it stands.
    pub phase: Phase,
    /// How to take it back, once it is done.
    pub receipt: Option<Receipt>,
    /// On whose behalf it goes on.
    pub principal: Option<EntityUid>,
    /// Tries of the present effect.
    pub tries: u32,
    /// What happened so far.
    pub history: Vec<Transition>,
}

/// One step that a run took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub time: Timestamp,
    /// From.
    pub from: Phase,
    /// To.
    pub to: Phase,
    /// On whose behalf, where somebody asked.
    pub by: Option<EntityUid>,
    /// The decision, where there was one.
    pub decision: Option<Decision>,
    /// For a person.
    pub detail: String,
}

/// What happened in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The decision point permitted the command (or its undo) to this principal.
    Permitted(EntityUid, Decision),
    /// It did not; a person may still do so where no policy forbids it.
    Denied(EntityUid, Decision),
    /// A person wants it done (the decision point is asked again, for that person).
    ApprovedBy(EntityUid),
    /// A person said no.
    RejectedBy(EntityUid, String),
    /// The tool did it.
    Applied(Receipt),
    /// The tool could not; whether to try again helps.
    ApplyFailed(String, bool),
    /// The tool took it back.
    Reverted(String),
    /// An independent look.
    Probed(Probe),
    /// An independent look finds that what was verified is not there any more.
    Gone(Probe),
    /// Somebody wants it taken back.
    UndoAsked(EntityUid),
}

/// What the caller has to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `authorize` this command for this principal; then `Permitted` or `Denied`.
    Authorize(EntityUid, Command),
    /// Ask a person; then `ApprovedBy` or `RejectedBy`.
    AskPerson,
    /// Carry out the approved command; then `Applied` or `ApplyFailed`.
    Apply(Command),
    /// Carry out the approved undo; then `Reverted` or `ApplyFailed`.
    Undo(Command),
    /// Look at the world; then `Probed`.
    Probe(Command),
    /// Nothing.
    Rest,
}

/// An event that does not fit the phase; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the run `{run}` is {phase:?} and cannot take this: {event}")]
pub struct WrongEvent {
    /// Run.
    pub run: String,
    /// Where it stands.
    pub phase: Phase,
    /// What came.
    pub event: String,
}

impl Run {
    /// A run that a finding proposes.
    pub fn propose(finding: &Finding, playbook: &Playbook, command: Command) -> Self {
        let seed = [&finding.uid, &playbook.id, &command.target, &command.action, &command.object.id].map(String::as_str).join("\u{1f}");
        Self {
            id: TraceId::of(&seed).as_str().to_owned(),
            trace: finding.trace(),
            playbook: playbook.name.clone(),
            finding: finding.uid.clone(),
            command,
            phase: Phase::Proposed,
            receipt: None,
            principal: None,
            tries: 0,
            history: Vec::new(),
        }
    }

    /// What is to be done next, from what was saved: also the first thing after a crash.
    ///
    /// Approvals are not saved. What was approved and perhaps not done is decided again, so that
    /// a policy that changed in between counts.
    pub fn resume(&self, automation: &EntityUid) -> Action {
        let principal = self.principal.clone().unwrap_or_else(|| automation.clone());
        match self.phase {
            Phase::Proposed | Phase::Approved => Action::Authorize(principal, self.command.clone()),
            Phase::AwaitingApproval => Action::AskPerson,
            Phase::Applied => Action::Probe(self.command.clone()),
            Phase::Undoing => self.undo().map_or(Action::Rest, |undo| Action::Authorize(principal, undo)),
            Phase::Verified | Phase::NotEffective | Phase::Refused | Phase::Undone | Phase::Failed => Action::Rest,
        }
    }

    /// The command that takes it back.
    pub fn undo(&self) -> Option<Command> {
        self.receipt.as_ref().and_then(|receipt| receipt.undo.clone())
    }

    fn go(&mut self, to: Phase, now: Timestamp, by: Option<EntityUid>, decision: Option<Decision>, detail: impl Into<String>) {
        let transition = Transition { time: now, from: self.phase, to, by, decision, detail: detail.into() };
        self.phase = to;
        if self.history.len() < HISTORY_MAX {
            self.history.push(transition);
        }
    }
}

/// Takes an event in: the run as it is then, and what is to be done next.
///
/// # Errors
/// [`WrongEvent`] when the event does not fit the phase; the caller keeps the run as it was.
pub fn step(run: &Run, event: Event, now: Timestamp) -> Result<(Run, Action), WrongEvent> {
    let mut next = run.clone();
    let action = match (run.phase, event) {
        (Phase::Proposed | Phase::AwaitingApproval | Phase::Approved, Event::Permitted(by, decision)) => permitted(&mut next, by, decision, now),
        (Phase::Proposed | Phase::AwaitingApproval | Phase::Approved, Event::Denied(by, decision)) => denied(&mut next, by, decision, now),
        (Phase::AwaitingApproval, Event::ApprovedBy(person)) => {
            next.principal = Some(person.clone());
            Action::Authorize(person, run.command.clone())
        }
        (Phase::Proposed | Phase::AwaitingApproval, Event::RejectedBy(person, reason)) => {
            next.go(Phase::Refused, now, Some(person), None, reason);
            Action::Rest
        }
        (Phase::Approved, Event::Applied(receipt)) => {
            next.tries = 0;
            next.go(Phase::Applied, now, None, None, receipt.summary.clone());
            // A second apply after a crash changes nothing and knows no undo; the first one's is kept.
            next.receipt = Some(Receipt { undo: receipt.undo.or_else(|| run.undo()), summary: receipt.summary });
            Action::Probe(run.command.clone())
        }
        (Phase::Approved | Phase::Undoing, Event::ApplyFailed(reason, again)) => failed(&mut next, reason, again, now),
        (Phase::Applied | Phase::NotEffective | Phase::Verified, Event::Probed(probe)) => {
            let to = if probe.effective { Phase::Verified } else { Phase::NotEffective };
            next.go(to, now, None, None, probe.observed);
            Action::Rest
        }
        // What was permitted before is decided again: a policy may have changed meanwhile.
        (Phase::Verified, Event::Gone(probe)) => {
            next.tries = 0;
            next.go(Phase::Approved, now, None, None, format!("gone, to be done again: {}", probe.observed));
            next.resume(&EntityUid::new("Automation", "weft"))
        }
        (Phase::Applied | Phase::Verified | Phase::NotEffective | Phase::Failed, Event::UndoAsked(by)) if run.undo().is_some() => {
            next.principal = Some(by.clone());
            next.tries = 0;
            next.go(Phase::Undoing, now, Some(by), None, "asked to take it back");
            next.resume(&EntityUid::new("Automation", "weft"))
        }
        (Phase::Undoing, Event::Permitted(by, decision)) => {
            next.go(Phase::Undoing, now, Some(by), Some(decision), "taking it back is permitted");
            run.undo().map_or(Action::Rest, Action::Undo)
        }
        (Phase::Undoing, Event::Denied(by, decision)) => {
            next.go(Phase::Failed, now, Some(by), Some(decision), "taking it back is not permitted");
            Action::Rest
        }
        (Phase::Undoing, Event::Reverted(summary)) => {
            next.go(Phase::Undoing, now, None, None, summary);
            Action::Probe(run.command.clone())
        }
        (Phase::Undoing, Event::Probed(probe)) if probe.effective => failed(&mut next, format!("still there: {}", probe.observed), true, now),
        (Phase::Undoing, Event::Probed(probe)) => {
            next.go(Phase::Undone, now, None, None, probe.observed);
            Action::Rest
        }
        (phase, event) => return Err(WrongEvent { run: run.id.clone(), phase, event: name(&event).to_owned() }),
    };
    Ok((next, action))
}

fn permitted(run: &mut Run, by: EntityUid, decision: Decision, now: Timestamp) -> Action {
    let detail = format!("permitted by {}", decision.determining.join(", "));
    run.principal = Some(by.clone());
    run.go(Phase::Approved, now, Some(by), Some(decision), detail);
    Action::Apply(run.command.clone())
}

/// A forbid is final. Where merely nothing permits it, the next higher one is asked.
fn denied(run: &mut Run, by: EntityUid, decision: Decision, now: Timestamp) -> Action {
    if decision.determining.is_empty() && decision.errors.is_empty() {
        run.principal = None;
        run.go(Phase::AwaitingApproval, now, Some(by), Some(decision), "no policy permits it; a person has to approve");
        return Action::AskPerson;
    }
    let reasons = if decision.determining.is_empty() { &decision.errors } else { &decision.determining };
    let detail = format!("forbidden: {}", reasons.join(", "));
    run.go(Phase::Refused, now, Some(by), Some(decision), detail);
    Action::Rest
}

fn failed(run: &mut Run, reason: String, again: bool, now: Timestamp) -> Action {
    run.tries = run.tries.saturating_add(1);
    if again && run.tries < TRIES_MAX {
        run.go(run.phase, now, None, None, format!("try {} of {TRIES_MAX} failed: {reason}", run.tries));
        return run.resume(&EntityUid::new("Automation", "weft"));
    }
    run.go(Phase::Failed, now, None, None, reason);
    Action::Rest
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Permitted(..) => "permitted",
        Event::Denied(..) => "denied",
        Event::ApprovedBy(..) => "approved by a person",
        Event::RejectedBy(..) => "rejected by a person",
        Event::Applied(..) => "applied",
        Event::ApplyFailed(..) => "apply failed",
        Event::Reverted(..) => "reverted",
        Event::Probed(..) => "probed",
        Event::Gone(..) => "gone",
        Event::UndoAsked(..) => "undo asked",
    }
}
