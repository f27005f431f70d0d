//! Threat intelligence: indicators of others, and whether an event names one.
//!
//! [`read`] makes indicators of what feeds publish (STIX 2.1, MISP, CSV, plain lists) and says what it
//! could not take; [`warning`] lists say which of them are false positives; a [`pack`] is what one
//! source said, as it is kept; an [`Intel`] holds the packs of all sources for looking up, 16 bytes an
//! exact indicator; [`matching`] finds sightings in event batches.
//!
//! What this module deliberately does not know: files and addresses (bytes arrive, packs leave), the
//! clock, the lake.

mod filter;
pub mod keys;
pub mod matching;
mod networks;
pub mod pack;
pub mod read;
pub mod score;
mod store;
pub mod value;
pub mod warning;

use serde::{Deserialize, Serialize};

pub use matching::{View, match_batch};
pub use pack::Pack;
pub use store::{Build, Held, Intel};
pub use value::Value;
pub use warning::Lists;

/// What an indicator is about; kinds never match one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An address or a network, IPv4 or IPv6.
    Ip,
    /// A domain with all names below it.
    Domain,
    /// A URL.
    Url,
    /// An e-mail address.
    Email,
    /// MD5, SHA-1, SHA-224, SHA-256, SHA-384 or SHA-512 of a file.
    Hash,
    /// The same of a certificate.
    Certificate,
    /// JA3 of a TLS client.
    Ja3,
    /// JA3S of a TLS server.
    Ja3s,
    /// JA4.
    Ja4,
    /// User agent of HTTP.
    UserAgent,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] =
        [Self::Ip, Self::Domain, Self::Url, Self::Email, Self::Hash, Self::Certificate, Self::Ja3, Self::Ja3s, Self::Ja4, Self::UserAgent];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Domain => "domain",
            Self::Url => "url",
            Self::Email => "email",
            Self::Hash => "hash",
            Self::Certificate => "certificate",
            Self::Ja3 => "ja3",
            Self::Ja3s => "ja3s",
            Self::Ja4 => "ja4",
            Self::UserAgent => "user_agent",
        }
    }

    /// Of its name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

/// What is known of indicators beside their value; many share one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// 0 to 100, when it was said.
    pub confidence: u8,
    /// Since when it holds, epoch milliseconds.
    pub from: i64,
    /// Until when, where that was said.
    pub until: Option<i64>,
    /// Id at its source; empty when it has none.
    pub id: String,
    /// What the source calls it; empty when it has no name.
    pub name: String,
    /// What it indicates, e.g. `Emotet (malware)`.
    pub indicates: Vec<String>,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// How many values of this id one event must name; 0 and 1 when each counts alone.
    pub all_of: u8,
}

/// One value with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indicator {
    /// The value.
    pub value: Value,
    /// What is known.
    pub facts: Facts,
}

/// What was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Line, id or key, as the source has it.
    pub place: String,
    /// Reason, for a person.
    pub reason: String,
}

impl Gap {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}
