//! Branches and environments that are guarded, and who passes.

use serde_json::Value;

use super::refs::{self, ALL, fits, is_one};
use super::{list, login, text};

/// Branches that not everybody who writes pushes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Guarded {
    /// Name of the branch, or a pattern of branches.
    pub(super) name: String,
    /// Patterns of branches that the guard does not guard, although the name fits them.
    pub(super) exclude: Vec<String>,
    /// Patterns of branches that others guard as well: they are told apart, or it is not sure who passes.
    pub(super) others: Vec<String>,
    /// By guard: users, `team:SLUG`, `app:SLUG`, `keys` and `role:ROLE` that pass it. Who passes stands in each.
    pub(super) passes: Vec<Vec<String>>,
    /// Whether a branch protection is among the guards: rulesets make no protected branch for environments.
    pub(super) protected: bool,
}

impl Guarded {
    /// Whether a branch is guarded by this.
    pub(super) fn has(&self, branch: &str) -> bool {
        fits(&self.name, branch) && !self.exclude.iter().any(|exclude| fits(exclude, branch))
    }
}

/// One branch protection or ruleset, on a few patterns of branches.
struct Guard {
    include: Vec<String>,
    exclude: Vec<String>,
    /// Who passes; `None` where it stops nobody who may push.
    passes: Option<Vec<String>>,
    /// Whether branches that are not there yet are guarded.
    of_new: bool,
    protects: bool,
}

impl Guard {
    fn has(&self, branch: &str) -> bool {
        self.include.iter().any(|include| fits(include, branch)) && !self.exclude.iter().any(|exclude| fits(exclude, branch))
    }

    /// Whether all branches of a pattern are among these, as far as patterns tell.
    fn covers(&self, pattern: &str) -> bool {
        let apart = |exclude: &String| !fits(pattern, &refs::example(exclude)) && !fits(exclude, &refs::example(pattern));
        self.exclude.iter().all(apart) && self.include.iter().any(|include| include == pattern || include == ALL || include == "**/*")
    }
}

/// Ids of repository roles in rulesets ("Rules", REST API reference); custom ones have ids of their own.
const ROLE_IDS: [(u64, &str); 3] = [(2, "maintain"), (4, "write"), (5, "admin")];

/// Guarded branches of a repository, by branch protections and by rulesets: first those named, then patterns.
pub(super) fn branches(repository: &Value) -> Vec<Guarded> {
    let guards = guards(repository);
    let default = text(repository, "default_branch");
    let mut names: Vec<&str> = guards.iter().flat_map(|guard| &guard.include).map(String::as_str).filter(|name| is_one(name)).collect();
    names.push(&default);
    names.sort_unstable();
    names.dedup();
    let mut found: Vec<Guarded> = names.iter().filter(|name| !name.is_empty()).filter_map(|name| one(&guards, name)).collect();
    let named: Vec<String> = found.iter().map(|guarded| guarded.name.clone()).collect();
    for guard in guards.iter().filter(|guard| guard.of_new && guard.passes.is_some()) {
        for pattern in guard.include.iter().filter(|pattern| !is_one(pattern)) {
            if !found.iter().any(|guarded| guarded.name == *pattern) {
                found.push(several(&guards, guard, pattern, &named));
            }
        }
    }
    found
}

/// A branch by its name: all guards that are on it must be passed.
fn one(guards: &[Guard], name: &str) -> Option<Guarded> {
    let on = || guards.iter().filter(|guard| guard.has(name));
    let passes: Vec<Vec<String>> = on().filter_map(|guard| guard.passes.clone()).collect();
    let protected = on().any(|guard| guard.protects);
    (!passes.is_empty()).then(|| Guarded { name: name.to_owned(), passes, protected, ..Guarded::default() })
}

/// Branches by a pattern of a guard, without what is named and what other guards are on in part.
fn several(guards: &[Guard], of: &Guard, pattern: &str, named: &[String]) -> Guarded {
    let mut found = Guarded { name: pattern.to_owned(), exclude: of.exclude.clone(), protected: of.protects, ..Guarded::default() };
    found.passes.extend(of.passes.clone());
    for guard in guards.iter().filter(|guard| !std::ptr::eq(*guard, of) && guard.passes.is_some()) {
        if guard.covers(pattern) {
            found.passes.extend(guard.passes.clone());
            found.protected |= guard.protects;
        } else {
            found.others.extend(guard.include.iter().filter(|include| *include != pattern).cloned());
        }
    }
    found.others.extend(named.iter().filter(|name| fits(pattern, name)).cloned());
    found.others.sort();
    found.others.dedup();
    found
}

fn guards(repository: &Value) -> Vec<Guard> {
    let default = text(repository, "default_branch");
    let protections = || repository.get("branch_protection").and_then(Value::as_object).into_iter().flatten();
    let named: Vec<&String> = protections().map(|(branch, _)| branch).filter(|branch| is_one(branch)).collect();
    let mut guards = Vec::new();
    for (branch, protection) in protections() {
        // One protection counts for a branch: the one that names it.
        let exclude = if is_one(branch) { Vec::new() } else { named.iter().map(|name| (*name).clone()).collect() };
        guards.push(Guard { include: vec![branch.clone()], exclude, passes: classic(protection), of_new: true, protects: true });
    }
    let name = |branch: String| match branch.as_str() {
        "~DEFAULT_BRANCH" => default.clone(),
        other => other.strip_prefix("refs/heads/").unwrap_or(other).to_owned(),
    };
    for ruleset in list(repository, "rulesets").filter(|ruleset| text(ruleset, "enforcement") == "active" && text(ruleset, "target") != "tag") {
        let (reviewed, updates, creates) = stops(ruleset);
        if reviewed || updates {
            let refs = |path: &str| list_of(ruleset, path).into_iter().map(name).collect();
            let (include, exclude) = (refs("/conditions/ref_name/include"), refs("/conditions/ref_name/exclude"));
            guards.push(Guard { include, exclude, passes: Some(bypass(ruleset)), of_new: reviewed || creates, protects: false });
        }
    }
    guards
}

/// Who passes a branch protection; `None` where it stops nobody who may push.
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
    let teams = list(value, "teams").map(team);
    let apps = list(value, "apps").map(|app| by("app", text(app, "slug"), app.get("id")));
    users.chain(teams).chain(apps).collect()
}

fn team(value: &Value) -> String {
    by("team", text(value, "slug"), value.get("id"))
}

/// Somebody by the slug, or by the id where there is none.
fn by(kind: &str, slug: String, id: Option<&Value>) -> String {
    match id {
        Some(id) if slug.is_empty() => format!("{kind}#{id}"),
        _ => format!("{kind}:{slug}"),
    }
}

/// Whether a ruleset stops what nobody reviewed, updates, and new branches.
fn stops(ruleset: &Value) -> (bool, bool, bool) {
    let has = |kind: &str| list(ruleset, "rules").any(|rule| text(rule, "type") == kind);
    let counted = |rule: &Value| rule.pointer("/parameters/required_approving_review_count").and_then(Value::as_u64).unwrap_or(0) > 0;
    let reviewed = list(ruleset, "rules").any(|rule| text(rule, "type") == "pull_request" && counted(rule));
    (reviewed, has("update"), has("creation"))
}

fn bypass(ruleset: &Value) -> Vec<String> {
    let one = |actor: &Value| {
        let id = actor.get("actor_id").and_then(Value::as_u64).unwrap_or_default();
        // Who may bypass in pull requests alone merges without review, which is a push all the same.
        match text(actor, "actor_type").as_str() {
            "Team" => Some(format!("team#{id}")),
            "Integration" => Some(format!("app#{id}")),
            "User" => Some(format!("user#{id}")),
            "DeployKey" => Some("keys".to_owned()),
            "RepositoryRole" => Some(ROLE_IDS.iter().find(|(known, _)| *known == id).map_or_else(|| format!("role#{id}"), |(_, role)| format!("role:{role}"))),
            _ => None,
        }
    };
    list(ruleset, "bypass_actors").filter_map(one).collect()
}

fn list_of(value: &Value, path: &str) -> Vec<String> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// An environment, and what stands before a deployment to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) name: String,
    /// Who may approve, where somebody must; nobody alone where one's own deployment cannot be approved.
    pub(super) reviewers: Option<Vec<String>>,
    pub(super) from: From,
}

/// From where an environment may be deployed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    /// From anywhere.
    Anywhere,
    /// From branches with a branch protection.
    Protected,
    /// From branches and tags of these patterns.
    Named { branches: Vec<String>, tags: bool },
    /// From some that the snapshot does not name.
    Unknown,
}

/// Environments that are guarded.
pub(super) fn environments(repository: &Value) -> Vec<Environment> {
    let protections = repository.get("branch_protection").and_then(Value::as_object);
    let one = |environment: &Value| {
        let rules = || list(environment, "protection_rules").filter(|rule| text(rule, "type") == "required_reviewers");
        let alone = !rules().any(|rule| rule.get("prevent_self_review").and_then(Value::as_bool) == Some(true));
        let approving = |reviewer: &Value| {
            let who = reviewer.get("reviewer")?;
            if text(reviewer, "type") == "Team" { Some(team(who)) } else { login(who) }
        };
        let reviewers = rules().filter(|_| alone).flat_map(|rule| list(rule, "reviewers")).filter_map(approving).collect();
        let from = match from(environment) {
            // Where no branch is protected, all may deploy.
            From::Protected if protections.is_none_or(serde_json::Map::is_empty) => From::Anywhere,
            other => other,
        };
        Environment { name: text(environment, "name"), reviewers: rules().next().is_some().then_some(reviewers), from }
    };
    let is_guarded = |one: &Environment| one.reviewers.is_some() || one.from != From::Anywhere;
    list(repository, "environments").map(one).filter(is_guarded).collect()
}

fn from(environment: &Value) -> From {
    let Some(policy) = environment.get("deployment_branch_policy").filter(|policy| policy.is_object()) else { return From::Anywhere };
    if policy.get("protected_branches").and_then(Value::as_bool) == Some(true) {
        return From::Protected;
    }
    let Some(policies) = environment.get("branch_policies").or_else(|| policy.get("branch_policies")).and_then(Value::as_array) else { return From::Unknown };
    let is_tag = |policy: &&Value| text(policy, "type") == "tag";
    let branches = policies.iter().filter(|policy| !is_tag(policy)).map(|policy| text(policy, "name")).filter(|name| !name.is_empty()).collect();
    From::Named { branches, tags: policies.iter().any(|policy| is_tag(&policy)) }
}

/// Whether anybody who writes makes tags: no ruleset on tags stops new ones.
pub(super) fn tags_are_open(repository: &Value) -> bool {
    !list(repository, "rulesets").any(|ruleset| text(ruleset, "enforcement") == "active" && text(ruleset, "target") == "tag" && stops(ruleset).2)
}

/// Whence an environment is deployed to: from the guarded branches by their place, and whether from a branch or tag
/// that anybody who writes pushes.
pub(super) fn sources(repository: &Value, environment: &Environment, branches: &[Guarded]) -> (Vec<usize>, bool) {
    let places = |fits: &dyn Fn(&Guarded) -> bool| branches.iter().enumerate().filter(|(_, guarded)| fits(guarded)).map(|(place, _)| place).collect();
    let is_open = |pattern: &str| !branches.iter().any(|guarded| guarded.has(&refs::example(pattern)));
    match &environment.from {
        From::Anywhere => (places(&|_| true), true),
        From::Unknown => (Vec::new(), false),
        From::Protected => {
            let mut protections = repository.get("branch_protection").and_then(Value::as_object).into_iter().flatten();
            (places(&|guarded| guarded.protected), protections.any(|(pattern, _)| is_open(pattern)))
        }
        From::Named { branches: named, tags } => {
            let of = |guarded: &Guarded, pattern: &String| fits(pattern, &refs::example(&guarded.name)) || guarded.has(&refs::example(pattern));
            let found = places(&|guarded| named.iter().any(|pattern| of(guarded, pattern)));
            (found, named.iter().any(|pattern| is_open(pattern)) || (*tags && tags_are_open(repository)))
        }
    }
}
