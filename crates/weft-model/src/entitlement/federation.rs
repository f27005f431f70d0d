//! What lets a principal of one system be one of another.

use std::collections::BTreeMap;

/// A token that a principal gets of an identity provider, and with which it may enter another system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token {
    /// The provider's address without scheme; `*` and `?` where it is not known.
    pub issuer: String,
    /// Pattern of the subjects that it can get a token of.
    pub subject: String,
    /// Patterns of subjects that it cannot get, although `subject` fits them.
    pub except: Vec<String>,
    /// What else the token says.
    pub claims: BTreeMap<String, String>,
}

/// A principal of another system that a service of that system hands to this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assigned {
    /// Full name there.
    pub principal: String,
    /// The service.
    pub service: String,
}
