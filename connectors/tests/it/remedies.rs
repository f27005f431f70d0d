//! What was granted beside what was used, and what to take away.

use serde_json::{Value, json};
use weft_connectors::entitlement::snapshot::Collector;
use weft_connectors::entitlement::{calls, document};
use weft_identity::entitlement::Estate;
use weft_identity::entitlement::remedy::remedy;
use weft_identity::entitlement::usage::{Usage, usage};

use crate::entitlements::provider;

const ADA: &str = "arn:aws:iam::111111111111:user/ada";

/// An account of users with statements of their own, of roles, and of groups.
#[derive(Default)]
struct Account {
    users: Vec<Value>,
    roles: Vec<Value>,
    groups: Vec<Value>,
}

fn document_of(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

impl Account {
    fn user(mut self, name: &str, groups: &[&str], statements: Value) -> Self {
        self.users.push(json!({"UserName": name, "UserId": name, "Arn": format!("arn:aws:iam::111111111111:user/{name}"), "Path": "/", "GroupList": groups,
            "AttachedManagedPolicies": [], "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": document_of(statements)}]}));
        self
    }

    /// An administrator as whom functions may run.
    fn administrator(mut self) -> Self {
        self.roles.push(json!({"RoleName": "admin", "RoleId": "AROA1", "Arn": "arn:aws:iam::111111111111:role/admin", "Path": "/", "AttachedManagedPolicies": [],
            "AssumeRolePolicyDocument": document_of(json!([{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}])),
            "RolePolicyList": [{"PolicyName": "all", "PolicyDocument": document_of(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]))}], "InstanceProfileList": []}));
        self
    }

    fn group(mut self, name: &str, statements: Value) -> Self {
        self.groups.push(json!({"GroupName": name, "GroupId": name, "Arn": format!("arn:aws:iam::111111111111:group/{name}"), "Path": "/",
            "AttachedManagedPolicies": [], "GroupPolicyList": [{"PolicyName": "of-the-group", "PolicyDocument": document_of(statements)}]}));
        self
    }

    fn estate(&self) -> Estate {
        let mut collector = Collector::default();
        collector.add("account", &json!({"UserDetailList": self.users, "RoleDetailList": self.roles, "GroupDetailList": self.groups, "Policies": []}));
        let snapshot = collector.finish();
        assert_eq!(snapshot.faults, []);
        Estate::new(snapshot, provider())
    }

    fn usage(&self, rows: &[Value]) -> Usage {
        let calls: Vec<_> = rows.iter().flat_map(|row| calls::read(row).unwrap()).collect();
        usage(&self.estate(), &calls).of.remove(0)
    }
}

fn did(action: &str, resource: &str) -> Value {
    json!({"principal": ADA, "action": action, "resource": resource})
}

fn storage() -> Account {
    Account::default().user(
        "ada",
        &[],
        json!([
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::ledger/*", "arn:aws:s3:::archive/*"], "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
            {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
        ]),
    )
}

#[test]
fn a_proposal_keeps_what_was_used_and_no_more() {
    let one = storage().usage(&[did("s3:GetObject", "arn:aws:s3:::ledger/2026.csv"), did("S3:getobject", "arn:aws:s3:::ledger/a")]);
    let proposal = one.proposal.unwrap();
    assert_eq!((proposal.replayed, proposal.refused.len()), (2, 0));
    assert_eq!(
        document::write(&proposal.document),
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::ledger/*"],
            "Condition": {"Bool": {"aws:SecureTransport": ["true"]}}}]})
    );
    assert_eq!(one.used, 1);
    let told: Vec<_> = one.unused.iter().map(|unused| (unused.statement.as_str(), unused.whole)).collect();
    assert_eq!(told, [("#1", false), ("#2", true)]);
}

#[test]
fn a_call_that_does_not_tell_its_resource_keeps_all_of_them() {
    let one = storage().usage(&[json!({"principal": ADA, "action": "s3:PutObject"})]);
    let proposal = one.proposal.unwrap();
    assert_eq!(proposal.document.statements[0].resources.patterns, ["arn:aws:s3:::ledger/*", "arn:aws:s3:::archive/*"]);
    assert!(proposal.refused.is_empty());
}

#[test]
fn what_was_refused_was_not_used() {
    let refused = json!({"principal": ADA, "action": "s3:GetObject", "resource": "arn:aws:s3:::ledger/a", "refused": true});
    let one = storage().usage(&[refused]);
    assert_eq!((one.used, one.proposal), (0, None));
    assert!(one.unused.iter().all(|unused| unused.whole));
}

#[test]
fn whoever_uses_everything_has_nothing_to_lose() {
    let account = Account::default().user("ada", &[], json!([{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]));
    let one = account.usage(&[did("sqs:SendMessage", "arn:aws:sqs:eu-west-1:111111111111:q")]);
    assert_eq!((one.granted, one.used, one.creep, one.unused.len(), one.proposal), (1, 1, 0, 0, None));
}

#[test]
fn creep_grows_with_what_is_granted_and_what_could_escalate() {
    let creep = |action: &str| Account::default().user("ada", &[], json!([{"Effect": "Allow", "Action": action, "Resource": "*"}])).usage(&[]).creep;
    let (one, passing, service, everything) = (creep("sqs:SendMessage"), creep("iam:PassRole"), creep("s3:*"), creep("*"));
    assert!(0 < one && one < passing && passing < service && service < everything, "{one} {passing} {service} {everything}");
    assert_eq!(everything, 100);
    let denied = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]);
    assert_eq!(Account::default().user("ada", &[], denied).usage(&[]).creep, 0);
}

#[test]
fn calls_of_strangers_are_counted() {
    let estate = storage().estate();
    let calls = calls::read(&json!({"principal": "arn:aws:iam::111111111111:user/eve", "action": "s3:GetObject", "count": 3})).unwrap();
    assert_eq!(usage(&estate, &calls).strangers.into_iter().collect::<Vec<_>>(), [("arn:aws:iam::111111111111:user/eve".to_owned(), 3)]);
}

fn passing() -> Value {
    json!([{"Effect": "Allow", "Action": ["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "Resource": "*"}])
}

#[test]
fn one_cut_at_a_group_stops_its_members() {
    let account = Account::default().administrator().group("devs", passing()).user("ada", &["devs"], json!([])).user("ed", &["devs"], json!([]));
    let found = remedy(&account.estate(), 10);
    assert_eq!((found.before, found.left.len(), found.needed), (2, 0, 1));
    let [(cut, breaks)] = found.cuts.as_slice() else { panic!("{:?}", found.cuts) };
    assert_eq!((cut.holder.as_str(), cut.action.as_str(), *breaks), ("arn:aws:iam::111111111111:group/devs", "iam:PassRole", 2));
}

#[test]
fn a_way_behind_the_way_is_cut_as_well() {
    let also = json!([{"Effect": "Allow", "Action": "iam:UpdateAssumeRolePolicy", "Resource": "arn:aws:iam::111111111111:role/admin"}]);
    let account = Account::default().administrator().group("devs", passing()).user("ada", &["devs"], also);
    let found = remedy(&account.estate(), 10);
    assert_eq!((found.before, found.left.len(), found.cuts.len()), (1, 0, 2));
    let short = remedy(&account.estate(), 1);
    assert_eq!((short.cuts.len(), short.left.len()), (1, 1));
}

#[test]
fn where_nobody_escalates_nothing_is_cut() {
    let found = remedy(&Account::default().administrator().user("ada", &[], json!([])).estate(), 10);
    assert_eq!((found.before, found.cuts.len(), found.needed), (0, 0, 0));
}

#[test]
fn a_cut_that_can_be_spared_is_taken_back() {
    let rotating = |who: &str| json!([{"Effect": "Allow", "Action": "iam:CreateAccessKey", "Resource": format!("arn:aws:iam::111111111111:user/{who}")}]);
    // Nearest first, each has a way of its own to somebody who passes the role; that one's way ends all of them.
    let account = Account::default().administrator().user("ada", &[], passing()).user("ed", &[], rotating("ada")).user("eve", &[], rotating("ed"));
    let found = remedy(&account.estate(), 10);
    assert_eq!((found.before, found.left.len(), found.cuts.len(), found.needed, found.tried), (3, 0, 1, 1, true));
    assert_eq!(found.cuts[0].0.holder, ADA);
}
