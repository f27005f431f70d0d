//! The words and ports of the mesh.
//!
//! Every layer speaks in these types, and only in these types, to every other layer: raw
//! batches, event batches, findings, decisions, plans, commands. The traits at the rim
//! ([`Source`], [`Inventory`], [`EnforcementPoint`], [`Responder`]) are the only `async` ones,
//! because they are the only ones that may touch the world.
//!
//! What this crate deliberately does not know: any vendor, any file or socket, the clock, the
//! lake, SQL, HTTP. Time is always an argument.

pub mod access;
pub mod attack;
pub mod batch;
pub mod entitlement;
pub mod event;
pub mod finding;
pub mod machine;
pub mod ocsf;
pub mod policy;
pub mod ports;
pub mod response;
pub mod time;
pub mod trace;

pub use access::{AccessRequest, Approved, Decision, DecisionPoint, Effect, EntityUid, Facts, Proposal, Refused, authorize};
pub use batch::{ClassUid, Context, EventBatch, Mapped, Mapping, Position, RawBatch, RawRecord, RecordId, Reject, RejectCause, SourceId, StreamId};
pub use finding::{DETECTION_FINDING, Detector, DetectorReport, Entity, Evidence, Finding, Technique};
pub use policy::{Artifact, Change, Compiled, Dialect, Gap, Plan, Policy, PolicySet};
pub use ports::{EnforcementPoint, Inventory, PortError, Responder, Source};
pub use response::{Command, Probe, Receipt};
pub use time::Timestamp;
pub use trace::TraceId;
