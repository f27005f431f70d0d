//! AWS as the identity layer sees it: accounts, principals and policies from what AWS itself prints.
//!
//! [`snapshot`] reads the output of `get-account-authorization-details`, organisations and resource
//! policies; [`document`] reads one policy; [`case`] reads single requests that bring their policies, [`calls`] what principals did.
//! What escalates, and which actions there are, stands in `rules.toml` and `actions.txt` beside it.

pub mod calls;
pub mod case;
pub mod document;
mod organization;
pub mod sample;
pub mod snapshot;

/// The rules of escalation, as text for the identity layer.
pub const RULES: &str = include_str!("rules.toml");

/// What a snapshot is, for whoever gave something else.
pub const WANTED: &str = "the output of `aws iam get-account-authorization-details`, an organisation, or a list of resources with policies";

/// Every action, `service:Action`.
pub fn actions() -> impl Iterator<Item = String> {
    let lines = include_str!("actions.txt").lines().filter(|line| !line.starts_with('#'));
    let services = lines.filter_map(|line| line.split_once(": "));
    services.flat_map(|(service, actions)| actions.split(' ').map(move |action| format!("{service}:{action}")))
}

#[cfg(test)]
mod tests;
