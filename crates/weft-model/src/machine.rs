//! Machine identities: what acts without a person, and what it proves itself with.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Kinds of machine identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// An account that programs sign in as.
    #[default]
    ServiceAccount,
    /// A key that requests are signed with.
    AccessKey,
    /// A text that is shown as it is.
    Token,
    /// An application that others consent to or install.
    OauthApplication,
    /// An identity that a platform gives to what runs on it.
    WorkloadIdentity,
    /// A certificate with its key.
    Certificate,
    /// A key for one repository or host.
    DeployKey,
    /// An agent that acts for somebody.
    AiAgent,
}

impl MachineKind {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service_account",
            Self::AccessKey => "access_key",
            Self::Token => "token",
            Self::OauthApplication => "oauth_application",
            Self::WorkloadIdentity => "workload_identity",
            Self::Certificate => "certificate",
            Self::DeployKey => "deploy_key",
            Self::AiAgent => "ai_agent",
        }
    }
}

/// How a machine proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The source does not tell, or the identity itself has no secret.
    #[default]
    None,
    /// By a token that a platform hands out anew each time.
    Federated,
    /// By a key pair of which the other side knows the public half.
    KeyPair,
    /// By a secret that both sides know, or that is shown as it is.
    SharedSecret,
}

/// Something that says whose a machine is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnerSign {
    /// A person or a team.
    pub owner: String,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
    /// For a person: what says so.
    pub evidence: String,
}

/// A machine identity, or one of its secrets, as a source tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Full name, which stays the same.
    pub name: String,
    /// Kind.
    pub kind: MachineKind,
    /// Account, tenant, project or organisation.
    pub account: String,
    /// The principal that it acts as, as entitlements name it.
    pub acts_as: Option<String>,
    /// How it proves who it is.
    pub proof: Proof,
    /// Whether it can be used.
    pub active: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When its secret was made or changed last, where that is not when it was made.
    pub rotated: Option<Timestamp>,
    /// When its secret ends.
    pub expires: Option<Timestamp>,
    /// When it was used last.
    pub used: Option<Timestamp>,
    /// Whether the source tells its use: without it, no use means nothing.
    pub use_told: bool,
    /// Where it was used: regions, services, networks.
    pub used_from: Vec<String>,
    /// Whose it may be.
    pub owners: Vec<OwnerSign>,
    /// For whom an agent acts.
    pub delegator: Option<String>,
    /// Whether somebody outside of the organisation holds it, where that is known.
    pub third_party: Option<bool>,
    /// What says that persons use it.
    pub persons: Vec<String>,
    /// What says that its secret is known to others.
    pub leaked: Option<String>,
}
