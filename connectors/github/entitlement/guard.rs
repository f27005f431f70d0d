//! Branches and environments that are guarded, and who passes.

use serde_json::Value;

use super::{list, login, text};

/// A branch or environment that not everybody who pushes reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Guarded {
    /// Name of the branch or environment.
    pub(super) name: String,
    /// Users, `team:SLUG`, `app:SLUG` and `role:ROLE` that pass.
    pub(super) passes: Vec<String>,
    /// Whether those pass who may push to the default branch.
    pub(super) by_default_branch: bool,
}

/// Ids of repository roles in rulesets ("Rules", REST API reference).
const ROLE_IDS: [(u64, &str); 3] = [(2, "maintain"), (4, "write"), (5, "admin")];

/// Protected branches of a repository, by classic protection and by rulesets.
pub(super) fn branches(repository: &Value) -> Vec<Guarded> {
    let mut found: Vec<Guarded> = Vec::new();
    let default = text(repository, "default_branch");
    for (branch, protection) in repository.get("branch_protection").and_then(Value::as_object).into_iter().flatten() {
        if let Some(passes) = classic(protection) {
            found.push(Guarded { name: branch.clone(), passes, by_default_branch: false });
        }
    }
    for ruleset in list(repository, "rulesets").filter(|ruleset| is_active(ruleset)) {
        for branch in list_of(ruleset, "/conditions/ref_name/include") {
            let name = match branch.as_str() {
                "~DEFAULT_BRANCH" | "~ALL" => default.clone(),
                other => other.strip_prefix("refs/heads/").unwrap_or(other).to_owned(),
            };
            let passes = bypass(ruleset);
            match found.iter_mut().find(|guarded| guarded.name == name) {
                // Both must be passed.
                Some(guarded) => guarded.passes.retain(|who| passes.contains(who)),
                None => found.push(Guarded { name, passes, by_default_branch: false }),
            }
        }
    }
    found
}

/// Who passes a classic protection; `None` where it stops nobody who may push.
fn classic(protection: &Value) -> Option<Vec<String>> {
    let reviews = protection.get("required_pull_request_reviews").filter(|reviews| reviews.is_object());
    let counted = reviews.and_then(|reviews| reviews.get("required_approving_review_count")).and_then(Value::as_u64).unwrap_or(1);
    let restrictions = protection.get("restrictions").filter(|restrictions| restrictions.is_object());
    let needs_review = reviews.is_some() && counted > 0;
    if !needs_review && restrictions.is_none() {
        return None;
    }
    let mut passes = match (needs_review, reviews) {
        (true, Some(reviews)) => reviews.get("bypass_pull_request_allowances").map(actors).unwrap_or_default(),
        _ => restrictions.map(actors).unwrap_or_default(),
    };
    let enforced = protection.pointer("/enforce_admins/enabled").or_else(|| protection.get("enforce_admins")).and_then(Value::as_bool).unwrap_or_default();
    if !enforced {
        passes.push("role:admin".to_owned());
    }
    Some(passes)
}

fn actors(value: &Value) -> Vec<String> {
    let users = list(value, "users").filter_map(login);
    let teams = list(value, "teams").map(|team| format!("team:{}", text(team, "slug")));
    let apps = list(value, "apps").map(|app| format!("app:{}", text(app, "slug")));
    users.chain(teams).chain(apps).collect()
}

fn is_active(ruleset: &Value) -> bool {
    let stops = |rule: &Value| match text(rule, "type").as_str() {
        "pull_request" => rule.pointer("/parameters/required_approving_review_count").and_then(Value::as_u64).unwrap_or(0) > 0,
        "update" => true,
        _ => false,
    };
    text(ruleset, "enforcement") == "active" && text(ruleset, "target") != "tag" && list(ruleset, "rules").any(stops)
}

fn bypass(ruleset: &Value) -> Vec<String> {
    let one = |actor: &Value| {
        let id = actor.get("actor_id").and_then(Value::as_u64).unwrap_or_default();
        // Who may bypass in pull requests alone merges without review, which is a push all the same.
        match text(actor, "actor_type").as_str() {
            "Team" => Some(format!("team#{id}")),
            "Integration" => Some(format!("app#{id}")),
            "DeployKey" => Some("keys".to_owned()),
            "RepositoryRole" => ROLE_IDS.iter().find(|(known, _)| *known == id).map(|(_, role)| format!("role:{role}")),
            _ => None,
        }
    };
    list(ruleset, "bypass_actors").filter_map(one).collect()
}

fn list_of(value: &Value, path: &str) -> Vec<String> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Environments that are guarded.
pub(super) fn environments(repository: &Value) -> Vec<Guarded> {
    let mut found = Vec::new();
    for environment in list(repository, "environments") {
        let rules = || list(environment, "protection_rules");
        let reviewers = rules().filter(|rule| text(rule, "type") == "required_reviewers").flat_map(|rule| list(rule, "reviewers"));
        let passes: Vec<String> = reviewers
            .filter_map(|reviewer| {
                let who = reviewer.get("reviewer")?;
                if text(reviewer, "type") == "Team" { Some(format!("team:{}", text(who, "slug"))) } else { login(who) }
            })
            .collect();
        let reviewed = rules().any(|rule| text(rule, "type") == "required_reviewers");
        let policy = environment.get("deployment_branch_policy").filter(|policy| policy.is_object());
        if reviewed || policy.is_some() {
            found.push(Guarded { name: text(environment, "name"), passes, by_default_branch: !reviewed });
        }
    }
    found
}
