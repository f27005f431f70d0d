//! What workflows of a repository get tokens for, and who decides what they do.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_model::entitlement::{Principal, PrincipalKind, Resource, Token};

use super::build::Builder;
use super::guard::{self, Environment, Guarded};
use super::refs::{self, beyond, is_one, loose};

/// Who hands tokens to workflows.
const ISSUER: &str = "token.actions.githubusercontent.com";
/// A workflow of a pull request has no branch of the repository in its subject.
const PULL_REQUEST: &str = "pull_request";

impl Builder {
    /// The workflows of a repository as principals, and who passes what guards them.
    pub(super) fn workflows(&mut self, name: &str, repository: &Value) {
        let (branches, environments) = (guard::branches(repository), guard::environments(repository));
        self.workflow(name, "", "repository", open(name, &branches, &environments));
        for branch in &branches {
            let part = format!("@{}", branch.name);
            self.workflow(name, &part, "branch", vec![of_branches(name, branch)]);
            self.pass(name, &part, "branch:push", &branch.passes);
        }
        for environment in &environments {
            let token = Token {
                subject: subject(name, &format!("environment:{}", environment.name)),
                claims: BTreeMap::from([("environment".to_owned(), environment.name.clone())]),
                ..Token::default()
            };
            self.workflow(name, &format!("#{}", environment.name), "environment", vec![token]);
            self.deploy(name, environment, &branches, guard::sources(repository, environment, &branches));
        }
    }

    /// Who deploys to an environment: whatever runs on a branch that may, or those who approve and push one.
    fn deploy(&mut self, name: &str, environment: &Environment, branches: &[Guarded], (from, open): (Vec<usize>, bool)) {
        let part = format!("#{}", environment.name);
        let from: Vec<&Guarded> = from.into_iter().filter_map(|place| branches.get(place)).collect();
        let Some(reviewers) = &environment.reviewers else {
            let parts = from.iter().map(|branch| format!("@{}", branch.name)).chain(open.then(String::new));
            let workflows: Vec<String> = parts.map(|part| format!("workflow:{name}{part}")).collect();
            let by = format!("deployment policy of {name}{part}");
            workflows.iter().for_each(|workflow| self.hold(workflow, by.clone(), vec!["environment:deploy".to_owned()], vec![format!("{name}{part}")]));
            return;
        };
        let open = open.then(|| vec![self.names.writers(name)]);
        for mut guards in from.iter().map(|branch| branch.passes.clone()).chain(open) {
            guards.push(reviewers.clone());
            self.pass(name, &part, "environment:deploy", &guards);
        }
    }

    fn pass(&mut self, name: &str, part: &str, action: &str, guards: &[Vec<String>]) {
        for who in self.names.passing(name, guards) {
            self.hold(&who, format!("passes the guard of {name}{part}"), vec![action.to_owned()], vec![format!("{name}{part}")]);
        }
    }

    fn workflow(&mut self, name: &str, part: &str, kind: &str, mut tokens: Vec<Token>) {
        let owner = name.split('/').next().unwrap_or_default();
        for token in &mut tokens {
            token.issuer = ISSUER.to_owned();
            token.claims.extend([("repository".to_owned(), name.to_owned()), ("repository_owner".to_owned(), owner.to_owned())]);
        }
        let workflow = format!("workflow:{name}{part}");
        let account = self.names.organization.clone();
        self.snapshot.resources.push(Resource {
            name: format!("{name}{part}"),
            kind: kind.to_owned(),
            account: account.clone(),
            runs_as: Some(workflow.clone()),
            ..Resource::default()
        });
        let kind = PrincipalKind::Role;
        self.snapshot.principals.push(Principal { short: workflow.clone(), account, kind, tokens, name: workflow, ..Principal::default() });
    }
}

fn subject(name: &str, rest: &str) -> String {
    format!("repo:{name}:{rest}")
}

fn on(name: &str, branch: &str) -> String {
    subject(name, &format!("ref:refs/heads/{branch}"))
}

/// What runs on guarded branches.
fn of_branches(name: &str, branch: &Guarded) -> Token {
    let claims = is_one(&branch.name).then(|| ("ref".to_owned(), format!("refs/heads/{}", branch.name))).into_iter().collect();
    let except = branch.exclude.iter().chain(&branch.others).map(|other| on(name, &loose(other))).collect();
    Token { subject: on(name, &loose(&branch.name)), except, claims, ..Token::default() }
}

/// What anybody who writes may choose: everything but what is guarded, and what guards leave out.
fn open(name: &str, branches: &[Guarded], environments: &[Environment]) -> Vec<Token> {
    let mut except: Vec<String> = branches.iter().map(|branch| on(name, &loose(&branch.name))).collect();
    except.extend(environments.iter().map(|one| subject(name, &format!("environment:{}", one.name))));
    // A pull request comes from a branch, too.
    if branches.iter().any(|branch| branch.name == refs::ALL && branch.exclude.is_empty()) {
        except.push(subject(name, PULL_REQUEST));
    }
    let mut tokens = vec![Token { subject: subject(name, "*"), except, ..Token::default() }];
    for (place, branch) in branches.iter().enumerate().filter(|(_, branch)| !is_one(&branch.name)) {
        let others = || branches.iter().enumerate().filter(move |(other, _)| *other != place).map(|(_, other)| on(name, &loose(&other.name)));
        let left_out = branch.exclude.iter().map(|left| (loose(left), beyond(left)));
        for (pattern, beyond) in left_out.chain(beyond(&branch.name).into_iter().map(|pattern| (pattern, Vec::new()))) {
            let except = others().chain(beyond.iter().map(|beyond| on(name, beyond))).collect();
            tokens.push(Token { subject: on(name, &pattern), except, ..Token::default() });
        }
    }
    tokens
}
