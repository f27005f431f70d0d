//! Entitlements: what an identity system says about who may do what, before anybody reasons.
//!
//! A [`Snapshot`] is made by a connector and read by the identity layer. Policies are documents of
//! statements; a statement permits or forbids actions on resources, to principals, under
//! conditions. Names of principals and resources are the tool's own, colon-separated and
//! hierarchical; patterns over them use `*` and `?`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::Effect;

mod federation;

pub use federation::{Assigned, Token};

/// Attributes that somebody put on a principal or a resource.
pub type Tags = BTreeMap<String, String>;

/// A policy: statements under a name that a person knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Name, for evidence.
    pub name: String,
    /// Statements in their order.
    pub statements: Vec<Statement>,
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The id that its author gave it, or its number from 1 as `#1`.
    pub id: String,
    /// Permit or forbid.
    pub effect: Effect,
    /// To whom; `None` where the policy is attached to a principal.
    pub principals: Option<Match<PrincipalPattern>>,
    /// Patterns of actions, compared without case.
    pub actions: Match<String>,
    /// Patterns of actions that it leaves out although `actions` names them: it says nothing of these.
    pub except: Vec<String>,
    /// Patterns of resources.
    pub resources: Match<String>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Whether `${…}` in resources and condition values is a variable.
    pub variables: bool,
}

/// Patterns of which one must match, or none of them when negated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<T> {
    /// Whether everything but the patterns is meant.
    pub negated: bool,
    /// The patterns.
    pub patterns: Vec<T>,
}

impl<T> Match<T> {
    /// One of `patterns`.
    pub fn of(patterns: Vec<T>) -> Self {
        Self { negated: false, patterns }
    }
}

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalPattern {
    /// Everybody, known or not.
    Anyone,
    /// An account: whom it lets act for it.
    Account(String),
    /// A user, role or session by its full name or unique id.
    Named(String),
    /// A service of the provider.
    Service(String),
    /// Whoever an identity provider vouches for.
    Federated(String),
}

/// A condition on the circumstances of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How values are compared.
    pub test: Test,
    /// How keys with several values count.
    pub each: Quantifier,
    /// Whether an absent key satisfies it.
    pub if_exists: bool,
    /// Key, in lower case.
    pub key: String,
    /// Values, of which one must compare (none, when the test is negated).
    pub values: Vec<String>,
    /// The condition as it was written, for a person.
    pub text: String,
}

/// A comparison of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// What is compared.
    pub kind: TestKind,
    /// Whether it must not compare.
    pub negated: bool,
}

/// Kinds of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestKind {
    /// Equal text.
    Text,
    /// Equal text, without case.
    TextNoCase,
    /// Text with `*` and `?`.
    TextLike,
    /// Numbers.
    Number(Order),
    /// Times (ISO 8601 or seconds since 1970).
    Date(Order),
    /// `true` or `false`.
    Bool,
    /// Equal bytes, as base64.
    Binary,
    /// An address in a network.
    Address,
    /// Full names, segment by segment, with `*` and `?`.
    Name,
    /// Whether the key is absent.
    Absent,
}

/// Order of a number or time of the request to that of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The same.
    Equal,
    /// Less, or earlier.
    Less,
    /// Less or the same.
    LessEqual,
    /// Greater, or later.
    Greater,
    /// Greater or the same.
    GreaterEqual,
}

/// How a condition reads a key that has several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// The key has one value.
    One,
    /// One of its values must satisfy the condition; an absent key does not.
    Any,
    /// Each of its values must; an absent key does.
    All,
}

/// Everything that one look at an identity system brought.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Accounts by id.
    pub accounts: BTreeMap<String, Account>,
    /// Users and roles.
    pub principals: Vec<Principal>,
    /// Groups of users.
    pub groups: Vec<Group>,
    /// Resources that matter for reach: they carry a policy, or act as somebody.
    pub resources: Vec<Resource>,
    /// What could not be read, and where; the rest still counts.
    pub faults: Vec<SnapshotFault>,
}

/// A part of a snapshot that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotFault {
    /// File, and the place in it.
    pub place: String,
    /// For a person: what, and what to do.
    pub reason: String,
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// An account: what its organisation lets it do at most.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Limits on its principals, from the root of the organisation to the account; each level must permit.
    pub limits: Vec<Vec<Arc<Document>>>,
    /// Limits on its resources, likewise.
    pub resource_limits: Vec<Vec<Arc<Document>>>,
    /// Organisation that it belongs to.
    pub organization: Option<String>,
    /// Place in the organisation, e.g. `o-1/r-1/ou-1/`.
    pub path: Option<String>,
}

/// Kinds of principal that a snapshot lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// Signs in with credentials of its own.
    #[default]
    User,
    /// Is assumed by others.
    Role,
    /// Power over a part of the system (a subscription, a project, a namespace): nobody signs in as it, but
    /// whoever gains it may do there what its policies say.
    Scope,
}

/// A user, a role, or power over a part of the system.
#[derive(Debug, Clone, Default)]
pub struct Principal {
    /// Full name.
    pub name: String,
    /// Name within the account.
    pub short: String,
    /// Unique id that survives no deletion.
    pub id: Option<String>,
    /// Account that it belongs to.
    pub account: String,
    /// User or role.
    pub kind: PrincipalKind,
    /// Policies of its own, inline and attached.
    pub policies: Vec<Arc<Document>>,
    /// Full names of the attached policies that others may edit.
    pub editable: Vec<String>,
    /// Full names of its groups.
    pub groups: Vec<String>,
    /// The most that it may do, whatever its policies say.
    pub boundary: Option<Arc<Document>>,
    /// Who may assume it, for a role.
    pub trust: Option<Arc<Document>>,
    /// Tags.
    pub tags: Tags,
    /// Full names of the profiles that hand this role to machines.
    pub profiles: Vec<String>,
    /// Whether the organisation's limits do not hold for it (roles that the provider itself uses).
    pub exempt: bool,
    /// Tokens that it gets, for other systems.
    pub tokens: Vec<Token>,
    /// Principals of other systems that it is given.
    pub assigned: Vec<Assigned>,
}

/// A group of users.
#[derive(Debug, Clone)]
pub struct Group {
    /// Full name.
    pub name: String,
    /// Account that it belongs to.
    pub account: String,
    /// Policies, inline and attached.
    pub policies: Vec<Arc<Document>>,
    /// Full names of the attached policies that others may edit.
    pub editable: Vec<String>,
}

/// A resource that carries a policy, or acts as somebody.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// Full name.
    pub name: String,
    /// Type, in the connector's words.
    pub kind: String,
    /// Account that it belongs to.
    pub account: String,
    /// Its own policy.
    pub policy: Option<Arc<Document>>,
    /// The role that code in it acts as.
    pub runs_as: Option<String>,
    /// Tags.
    pub tags: Tags,
    /// Whether policies of principals count only when the resource's own policy lets its account decide.
    pub gate: bool,
    /// Whether a policy that is open to everybody is closed to other accounts.
    pub restrict_public: bool,
}

/// Who asks, as the policies see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Full name of the user or role; empty for somebody unknown.
    pub name: String,
    /// Full name of the session, where there is one.
    pub session: Option<String>,
    /// Unique id.
    pub id: Option<String>,
    /// Account.
    pub account: Option<String>,
    /// Kind.
    pub kind: CallerKind,
}

/// Kinds of caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerKind {
    /// Nobody that the provider knows.
    #[default]
    Anonymous,
    /// A user with credentials of its own.
    User,
    /// A session of a role.
    Role,
    /// A session of a user with narrowed rights.
    FederatedUser,
    /// The owner of the account.
    Root,
    /// A service of the provider.
    Service,
}

/// Yes, no, or it depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// It does not hold.
    No,
    /// It depends on circumstances that are not known.
    Depends,
    /// It holds.
    Yes,
}

impl Truth {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// One of them holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Depends => Self::Depends,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// The kind of policy that a statement stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Of the principal or its groups.
    Identity,
    /// Of the resource, or who may assume a role.
    Resource,
    /// The most that a principal may do.
    Boundary,
    /// The most that a session may do.
    Session,
    /// The most that an account's principals may do.
    Organization,
    /// The most that may be done to an account's resources.
    ResourceOrganization,
    /// What may pass a private network endpoint.
    Endpoint,
}

/// A statement that took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// Kind of policy.
    pub layer: Layer,
    /// Policy.
    pub policy: String,
    /// Statement.
    pub statement: String,
    /// What it says.
    pub effect: Effect,
    /// Conditions that could not be settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// The answer to "may this principal do this?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may.
    Allowed,
    /// A statement forbids it.
    ExplicitlyDenied,
    /// Nothing that would have to permit it does.
    ImplicitlyDenied,
    /// It depends on the conditions that the causes name.
    Conditional,
}

impl Outcome {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::ExplicitlyDenied => "explicitly_denied",
            Self::ImplicitlyDenied => "implicitly_denied",
            Self::Conditional => "conditional",
        }
    }
}

/// An outcome with the statements that decide it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Statements that decide, those that forbid first.
    pub causes: Vec<Cause>,
    /// The kind of policy that would have had to permit and did not, for an implicit denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Layer>,
}

/// A single request that brings its own policies.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// Name of the case.
    pub id: String,
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Account of the resource; the caller's own when it is not said.
    pub resource_account: Option<String>,
    /// Condition keys that the request carries.
    pub context: BTreeMap<String, Vec<String>>,
    /// Condition keys of which it is not known whether the request carries them; `*` for all others.
    pub unknown: Vec<String>,
    /// Policies of the principal and its groups.
    pub identity: Vec<Arc<Document>>,
    /// The resource's own policies; for assuming a role, its trust policy.
    pub policies: Vec<Arc<Document>>,
    /// The most that the principal may do, where there is such a limit.
    pub boundary: Option<Vec<Arc<Document>>>,
    /// The most that the session may do, where there is such a limit.
    pub session: Option<Vec<Arc<Document>>>,
    /// Limits of the principal's account, by level.
    pub limits: Vec<Vec<Arc<Document>>>,
    /// Limits of the resource's account, by level.
    pub resource_limits: Vec<Vec<Arc<Document>>>,
    /// What may pass the private endpoint, where the request takes one.
    pub endpoint: Option<Vec<Arc<Document>>>,
    /// See [`Resource::gate`].
    pub gate: bool,
    /// See [`Resource::restrict_public`].
    pub restrict_public: bool,
}

/// Something that a principal did, or tried to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Full name of the user, or of the role whose session it was.
    pub principal: String,
    /// Action.
    pub action: String,
    /// Full name of the resource, where the record tells it.
    pub resource: Option<String>,
    /// Whether it was refused.
    pub refused: bool,
    /// How often.
    pub count: u64,
}
