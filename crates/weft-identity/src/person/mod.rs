//! One person: which accounts of many sources are one human being's, and why.
//!
//! Keys link accounts in order of strength: what persons decided, immutable ids, employee numbers, verified
//! addresses, logins that follow a custom learned from what is certain, names. Each link says by which key.
//! Service accounts and shared accounts stay apart. Two accounts of which somebody said that they are two
//! persons' are never one's, whatever keys say.
//!
//! The outcome depends on what is said and not on its order: accounts are put in order of their key first.
//! Work is near linear: only accounts that share a key are compared.

mod decide;
mod id;
mod keys;
mod login;
mod names;
mod population;
mod resolve;
mod sets;

pub use decide::{Decision, DecisionFault, Word};
pub use id::{IdKind, Usage};
pub use login::Custom;
pub use population::Population;
pub use resolve::{By, Identity, Link, Person, Persons, Words, resolve};
