//! Response: from a finding to a verified, undoable effect.
//!
//! [`playbook`] reads CACAO 2.0 playbooks and says what is wrong with them; [`run`] is the state
//! machine of one run: it says what to do next and never does it; [`events`] writes every step
//! as an OCSF event. A run is a value that is saved after every step, so that a crash at any
//! point continues where it was; doing a step twice is the same as once.
//!
//! What this crate deliberately does not know: any tool, how a decision is taken (it asks for
//! one, and is told), the clock, and where runs are kept.

pub mod events;
pub mod playbook;
pub mod run;

pub use playbook::{Playbook, PlaybookFault};
pub use run::{Action, Event, Phase, Run, Transition, WrongEvent, step};
