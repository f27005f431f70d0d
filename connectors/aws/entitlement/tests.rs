use serde_json::json;
use weft_model::access::Effect;
use weft_model::entitlement::{CallerKind, Match, PrincipalKind, PrincipalPattern};

use super::snapshot::Collector;
use super::{actions, case, document};

#[test]
fn the_catalogue_is_read() {
    let all: Vec<String> = actions().collect();
    assert!(all.len() > 20_000, "{}", all.len());
    assert!(all.contains(&"iam:PassRole".to_owned()) && all.contains(&"s3:GetObject".to_owned()));
}

#[test]
fn a_document_is_read_whole_and_a_broken_statement_costs_itself_alone() {
    let mut faults = Vec::new();
    let read = document::read(
        "p",
        &json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "A", "Effect": "Allow", "Action": "s3:Get*", "Resource": ["a", "b"], "Condition": {"ForAllValues:StringLikeIfExists": {"aws:TagKeys": "x"}}},
            {"Effect": "Deny", "NotAction": ["iam:*"], "NotResource": "*", "Principal": {"AWS": ["123456789012", "arn:aws:iam::123456789012:user/a"], "Service": "ec2.amazonaws.com"}},
            {"Effect": "Perhaps", "Action": "*", "Resource": "*"},
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEqual": {"a": "b"}}},
        ]}),
        &mut faults,
    );
    assert_eq!(
        read.statements.iter().map(|statement| (statement.id.as_str(), statement.effect)).collect::<Vec<_>>(),
        [("A", Effect::Permit), ("#2", Effect::Forbid)]
    );
    let who = read.statements[1].principals.clone().unwrap();
    assert_eq!(
        who,
        Match::of(vec![
            PrincipalPattern::Account("123456789012".into()),
            PrincipalPattern::Named("arn:aws:iam::123456789012:user/a".into()),
            PrincipalPattern::Service("ec2.amazonaws.com".into()),
        ])
    );
    assert_eq!(
        faults,
        [
            "statement 3 of the policy `p`: `Effect` is `Perhaps`; it must be `Allow` or `Deny`",
            "statement 4 of the policy `p`: `StringEqual` is no condition operator",
        ]
    );
}

#[test]
fn a_snapshot_is_put_together_and_says_what_it_lacks() {
    let mut collector = Collector::default();
    collector.add(
        "a.json",
        &json!({
            "UserDetailList": [
                {"UserName": "ada", "UserId": "AIDA1", "Arn": "arn:aws:iam::123456789012:user/x/ada", "GroupList": ["devs"],
                 "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": "%7B%22Statement%22%3A%5B%5D%7D"}],
                 "AttachedManagedPolicies": [{"PolicyName": "gone", "PolicyArn": "arn:aws:iam::123456789012:policy/gone"}]},
                {"UserName": "nameless"},
            ],
            "GroupDetailList": [{"GroupName": "devs", "Arn": "arn:aws:iam::123456789012:group/t/devs", "GroupPolicyList": [], "AttachedManagedPolicies": []}],
            "RoleDetailList": [{"RoleName": "app", "RoleId": "AROA1", "Path": "/aws-service-role/", "Arn": "arn:aws:iam::123456789012:role/app",
                 "AssumeRolePolicyDocument": {"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}},
                 "InstanceProfileList": [{"InstanceProfileName": "prof", "Arn": "arn:aws:iam::123456789012:instance-profile/prof"}]}],
            "Policies": [],
        }),
    );
    collector
        .add("r.json", &json!([{"Type": "instance", "Arn": "arn:aws:ec2:r:123456789012:instance/i-1", "Account": "123456789012", "InstanceProfile": "prof"}]));
    collector.add("x.json", &json!(7));
    let snapshot = collector.finish();
    let ada = &snapshot.principals[0];
    assert_eq!((ada.kind, ada.groups.as_slice()), (PrincipalKind::User, ["arn:aws:iam::123456789012:group/t/devs".to_owned()].as_slice()));
    assert!(snapshot.principals[1].exempt);
    assert_eq!(snapshot.resources[0].runs_as.as_deref(), Some("arn:aws:iam::123456789012:role/app"));
    let faults: Vec<String> = snapshot.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].contains("`nameless`") && faults[1].starts_with("x.json") && faults[2].contains("policy/gone"), "{faults:#?}");
}

#[test]
fn a_case_names_its_caller_in_any_form() {
    for (name, kind, account) in [
        ("arn:aws:iam::123456789012:user/a", CallerKind::User, Some("123456789012")),
        ("arn:aws:sts::123456789012:assumed-role/app/me", CallerKind::Role, Some("123456789012")),
        ("arn:aws:iam::123456789012:root", CallerKind::Root, Some("123456789012")),
        ("lambda.amazonaws.com", CallerKind::Service, None),
        ("*", CallerKind::Anonymous, None),
    ] {
        let read = case::read(&json!({"request": {"principal": name, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"}}), 1).unwrap();
        assert_eq!((read.caller.kind, read.caller.account.as_deref()), (kind, account), "{name}");
    }
    assert!(case::read(&json!({"request": {"principal": "ada", "action": "x:Y"}}), 1).unwrap_err().contains("`ada`"));
    assert!(case::read(&json!({"request": {"principal": "*"}}), 1).unwrap_err().contains("`request.action`"));
}
