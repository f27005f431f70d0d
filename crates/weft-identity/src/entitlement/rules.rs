//! What a provider and its ways of escalation look like, as data.
//!
//! A capability says which actions, on what, let a principal become or strengthen another one. The
//! data stand with the connector; nothing here names a provider.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::catalogue::Catalogue;

/// A fault in the data of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault(pub String);

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that reasoning has to know about a provider.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Action by which a role is assumed.
    pub assume: String,
    /// What somebody may do who may do everything: actions that together nobody else may.
    pub administrator: Vec<String>,
    /// What somebody may do who may do everything in a part of the system: asked of the scope's name.
    #[serde(default)]
    pub scope_administrator: Vec<String>,
    /// Actions by which a token of an identity provider is exchanged for a principal.
    #[serde(default)]
    pub federate: Vec<String>,
    /// Whether roles can be members of groups.
    #[serde(default)]
    pub roles_in_groups: bool,
    /// Whether full names of resources tell their account.
    #[serde(default = "yes")]
    pub names_tell_accounts: bool,
    /// Beginnings of condition keys whose value the caller chooses.
    pub chosen: Vec<String>,
    /// Condition keys that follow from who asks and for what, and from where their value is taken.
    pub facts: Vec<FactKey>,
    /// Resources worth reaching: by type, the action that counts as reaching them.
    pub prizes: Vec<Prize>,
    /// Identity providers that anybody can get a token of.
    #[serde(default)]
    pub strangers: Vec<Stranger>,
    /// Ways of becoming or strengthening a principal.
    pub capability: Vec<Capability>,
}

fn yes() -> bool {
    true
}

/// A condition key that is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactKey {
    /// The key; one that ends with `/` stands for a tag each.
    pub key: String,
    /// Where its value comes from.
    pub from: FactSource,
    /// The value, for [`FactSource::Fixed`].
    #[serde(default)]
    pub value: String,
}

/// Where the value of a condition key is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactSource {
    /// Full name of the caller.
    Principal,
    /// Its name within the account; users only.
    UserShort,
    /// Its unique id; users only, since a session adds its name.
    UserId,
    /// Its account.
    PrincipalAccount,
    /// Its tags.
    PrincipalTags,
    /// Its organisation.
    PrincipalOrganization,
    /// The place of its account in the organisation.
    PrincipalPath,
    /// `User` or `AssumedRole`.
    PrincipalType,
    /// Account of the resource.
    ResourceAccount,
    /// Tags of the resource.
    ResourceTags,
    /// Organisation of the resource.
    ResourceOrganization,
    /// Full name of the resource.
    ResourceName,
    /// The time at which the questions are asked, where it was told.
    Now,
    /// Always the same.
    Fixed,
}

/// A type of resource worth reaching.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prize {
    /// Type.
    pub kind: String,
    /// Action, which counts as reaching it.
    pub action: String,
    /// What is appended to the resource's name.
    #[serde(default)]
    pub suffix: String,
}

/// An identity provider that anybody can get a token of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stranger {
    /// How the provider's full name ends.
    pub provider: String,
    /// Condition keys that a stranger's token carries; all others of the provider, he chooses.
    pub keys: std::collections::BTreeMap<String, String>,
    /// Action by which such a token is exchanged for a role.
    pub action: String,
}

/// What a capability gains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gain {
    /// To act as a role that a service may assume, by passing the role to the service.
    Pass,
    /// To act as the role of something that runs already.
    Carrier,
    /// To act as a user.
    User,
    /// To act as a role.
    Role,
    /// That a user has every permission.
    EmpowerUser,
    /// That a role has every permission.
    EmpowerRole,
    /// That whoever a policy is attached to has every permission.
    EmpowerPolicy,
    /// That every member of a group has every permission.
    EmpowerGroup,
    /// That a user is in a group.
    Join,
    /// That a user has no boundary.
    UnboundUser,
    /// That a role has no boundary.
    UnboundRole,
    /// That the caller has every permission in its account.
    EmpowerSelf,
}

impl Gain {
    /// Whether it is to act as somebody else; the others make somebody stronger.
    pub fn becomes(self) -> bool {
        matches!(self, Self::Pass | Self::Carrier | Self::User | Self::Role)
    }
}

/// A way of becoming or strengthening a principal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// Id, stable.
    pub id: String,
    /// What it gains.
    pub gains: Gain,
    /// Actions that are all needed.
    pub needs: Vec<Need>,
    /// Services that the role must let assume it, of which one suffices.
    #[serde(default)]
    pub services: Vec<String>,
    /// Whether the role must have a machine profile.
    #[serde(default)]
    pub profile: bool,
    /// Types of what runs already, of which one suffices.
    #[serde(default)]
    pub carriers: Vec<String>,
    /// Whether what runs does not show its role, so that any role counts which it could run as.
    #[serde(default)]
    pub hidden: bool,
    /// What must be there that a snapshot does not show, for a person.
    #[serde(default)]
    pub assumes: Option<String>,
    /// Whether it counts only when the snapshot shows none of `carriers`.
    #[serde(default)]
    pub blind: bool,
    /// What else the step depends on, whatever the snapshot shows, for a person.
    #[serde(default)]
    pub caveat: Option<String>,
}

/// An action that is needed, or one of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Actions, of which one suffices.
    pub action: Vec<String>,
    /// On what.
    #[serde(default)]
    pub on: Target,
    /// On this, by its full name, instead of any resource.
    #[serde(default)]
    pub at: Option<String>,
    /// Condition keys that the request carries.
    #[serde(default)]
    pub with: std::collections::BTreeMap<String, String>,
    /// Condition key that names the service to which a role is passed.
    #[serde(default)]
    pub service_key: Option<String>,
    /// Condition key that names the boundary of the target; absent when it has none.
    #[serde(default)]
    pub boundary_key: Option<String>,
}

/// On what an action is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// On any resource that the policies leave open.
    #[default]
    Any,
    /// On what is gained: the role, user, policy or group.
    Gained,
    /// On the thing that runs.
    Carrier,
}

impl Rules {
    /// Reads the data of a provider.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn read(text: &str) -> Result<Self, RuleFault> {
        let rules: Self = toml::from_str(text).map_err(|error| RuleFault(error.to_string()))?;
        for capability in &rules.capability {
            let wrong = |what: &str| Err(RuleFault(format!("capability `{}`: {what}", capability.id)));
            if capability.needs.iter().any(|need| need.action.is_empty()) {
                return wrong("a need without an action");
            }
            match capability.gains {
                Gain::Pass if capability.services.is_empty() => return wrong("`services` is missing: which service is the role passed to?"),
                Gain::Carrier if capability.carriers.is_empty() => return wrong("`carriers` is missing: what runs as the role?"),
                _ => {}
            }
        }
        Ok(rules)
    }

    /// Actions that the data name and the catalogue does not know.
    pub fn unknown(&self, catalogue: &Catalogue) -> Vec<String> {
        let needs = self.capability.iter().flat_map(|capability| capability.needs.iter().flat_map(|need| &need.action));
        let mut unknown: Vec<String> = needs.chain(&self.administrator).filter(|action| catalogue.number(action).is_none()).cloned().collect();
        unknown.sort();
        unknown.dedup();
        unknown
    }

    /// Beginnings of condition keys that the caller chooses, in lower case.
    pub fn chosen(&self) -> Arc<[String]> {
        self.chosen.iter().map(|key| key.to_ascii_lowercase()).collect()
    }
}
