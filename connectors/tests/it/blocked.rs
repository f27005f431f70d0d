//! Escalation that is blocked, beside the same escalation that is not.

use serde_json::{Value, json};
use weft_connectors::entitlement::snapshot::Collector;
use weft_identity::entitlement::Estate;
use weft_identity::entitlement::escalation::{ADMINISTRATOR, Explorer};

use crate::entitlements::provider;

const ACCOUNT: &str = "111111111111";
const ADA: &str = "arn:aws:iam::111111111111:user/ada";

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// One user, and an administrator role that a function may run as.
struct World {
    statements: Vec<Value>,
    boundary: Option<Value>,
    limit: Option<Value>,
    trust: Value,
}

impl World {
    fn passing() -> Self {
        Self {
            statements: vec![allow(&["iam:PassRole"], "arn:aws:iam::111111111111:role/admin"), allow(&["lambda:CreateFunction", "lambda:InvokeFunction"], "*")],
            boundary: None,
            limit: None,
            trust: document(&[json!({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})]),
        }
    }

    fn escalates(&self) -> bool {
        let everything = || document(&[allow(&["*"], "*")]);
        let policy = |name: &str, document: Value| json!({"PolicyName": name, "Arn": format!("arn:aws:iam::{ACCOUNT}:policy/{name}"), "PolicyVersionList": [{"IsDefaultVersion": true, "Document": document}]});
        let mut user = json!({"UserName": "ada", "UserId": "AIDA1", "Arn": ADA, "Path": "/", "GroupList": [], "AttachedManagedPolicies": [],
            "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": document(&self.statements)}]});
        let mut policies = vec![];
        if let Some(boundary) = &self.boundary {
            user["PermissionsBoundary"] = json!({"PermissionsBoundaryArn": format!("arn:aws:iam::{ACCOUNT}:policy/boundary")});
            policies.push(policy("boundary", boundary.clone()));
        }
        let role = json!({"RoleName": "admin", "RoleId": "AROA1", "Arn": "arn:aws:iam::111111111111:role/admin", "Path": "/", "AttachedManagedPolicies": [],
            "AssumeRolePolicyDocument": self.trust, "RolePolicyList": [{"PolicyName": "all", "PolicyDocument": everything()}], "InstanceProfileList": []});
        let mut collector = Collector::default();
        collector.add("account", &json!({"UserDetailList": [user], "RoleDetailList": [role], "GroupDetailList": [], "Policies": policies}));
        if let Some(limit) = &self.limit {
            let scp = |document: Value| json!([{"Name": "limit", "Type": "SERVICE_CONTROL_POLICY", "Content": document}]);
            collector.add(
                "organization",
                &json!({"Id": "r-1", "Arn": "arn:aws:organizations::999999999999:root/o-1/r-1", "Policies": scp(everything()),
                "Children": [{"Id": ACCOUNT, "Policies": scp(limit.clone())}]}),
            );
        }
        let snapshot = collector.finish();
        assert_eq!(snapshot.faults, []);
        let estate = Estate::new(snapshot, provider());
        Explorer::new(&estate).from(ADA).iter().any(|one| one.reaches == ADMINISTRATOR)
    }
}

#[test]
fn what_is_not_blocked_is_found() {
    assert!(World::passing().escalates());
}

#[test]
fn a_boundary_blocks() {
    let blocked = World { boundary: Some(document(&[allow(&["lambda:*", "s3:*"], "*")])), ..World::passing() };
    assert!(!blocked.escalates());
    let open = World { boundary: Some(document(&[allow(&["lambda:*", "iam:PassRole"], "*")])), ..World::passing() };
    assert!(open.escalates());
}

#[test]
fn an_organisation_blocks() {
    let deny = json!({"Effect": "Deny", "Action": "lambda:CreateFunction", "Resource": "*"});
    assert!(!World { limit: Some(document(&[allow(&["*"], "*"), deny])), ..World::passing() }.escalates());
    assert!(!World { limit: Some(document(&[allow(&["s3:*"], "*")])), ..World::passing() }.escalates());
    assert!(World { limit: Some(document(&[allow(&["*"], "*")])), ..World::passing() }.escalates());
}

#[test]
fn a_denial_blocks() {
    let mut world = World::passing();
    world.statements.push(json!({"Effect": "Deny", "Action": "iam:PassRole", "NotResource": "arn:aws:iam::111111111111:role/other"}));
    assert!(!world.escalates());
}

#[test]
fn conditions_block_unless_the_caller_chooses() {
    let with = |condition: Value| {
        let mut world = World::passing();
        world.statements[0]["Condition"] = condition;
        world.escalates()
    };
    assert!(!with(json!({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})));
    assert!(with(json!({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})));
    assert!(!with(json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}})));
    assert!(!with(json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})));
    assert!(!with(json!({"StringEquals": {"aws:PrincipalTag/team": "platform"}})));
    assert!(with(json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})));
    assert!(with(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:user/*"}})));
}

#[test]
fn a_role_that_no_function_may_run_as_is_not_passed() {
    let trust = document(&[json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})]);
    assert!(!World { trust, ..World::passing() }.escalates());
}

#[test]
fn a_trust_needs_both_sides_unless_it_names_the_principal() {
    let trusting = |principal: &str, statements: Vec<Value>| {
        let trust = document(&[json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"})]);
        World { statements, trust, ..World::passing() }.escalates()
    };
    let may = || vec![allow(&["sts:AssumeRole"], "arn:aws:iam::111111111111:role/*")];
    assert!(trusting(ADA, Vec::new()));
    assert!(!trusting("arn:aws:iam::111111111111:root", Vec::new()));
    assert!(trusting("arn:aws:iam::111111111111:root", may()));
    assert!(!trusting("arn:aws:iam::222222222222:root", may()));
}

#[test]
fn an_edited_principal_keeps_its_boundary() {
    let edit = || vec![allow(&["iam:AttachUserPolicy"], ADA)];
    assert!(World { statements: edit(), ..World::passing() }.escalates());
    let bounded = document(&[allow(&["iam:AttachUserPolicy", "s3:*"], "*")]);
    assert!(!World { statements: edit(), boundary: Some(bounded.clone()), ..World::passing() }.escalates());
    let mut unbound = edit();
    unbound.push(allow(&["iam:DeleteUserPermissionsBoundary"], ADA));
    let and_more = document(&[allow(&["iam:AttachUserPolicy", "iam:DeleteUserPermissionsBoundary"], "*")]);
    assert!(World { statements: unbound.clone(), boundary: Some(and_more), ..World::passing() }.escalates());
    assert!(!World { statements: unbound, boundary: Some(bounded), ..World::passing() }.escalates());
}
