//! An account of random policies, the same each time: something to measure with.

use serde_json::{Value, json};

const ACCOUNT: &str = "123456789012";
/// Actions that statements permit together.
const TOGETHER: [&[&str]; 13] = [
    &["s3:Get*", "s3:List*"],
    &["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"],
    &["iam:CreateAccessKey"],
    &["sts:AssumeRole"],
    &["ec2:*"],
    &["iam:PassRole", "ec2:RunInstances"],
    &["logs:*", "cloudwatch:*"],
    &["dynamodb:GetItem", "dynamodb:Query"],
    &["kms:Decrypt"],
    &["ssm:StartSession", "ssm:SendCommand"],
    &["iam:Get*", "iam:List*"],
    &["sqs:*"],
    &["sns:Publish"],
];
/// Of so many roles, one is an administrator.
const ADMINISTRATORS_EACH: usize = 200;

/// Questions about such an account: action and resource.
pub const QUESTIONS: [(&str, &str); 3] = [
    ("s3:GetObject", "arn:aws:s3:::bucket-7/x"),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/role-3"),
    ("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/k"),
];

/// Numbers that look random (Knuth, MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// The account, as `get-account-authorization-details` prints it: half users, half roles.
pub fn account(principals: usize) -> Value {
    let (half, mut dice) = (principals / 2, Dice(7));
    let users: Vec<Value> = (0..half).map(|number| user(number, half, &mut dice)).collect();
    let roles: Vec<Value> = (0..half).map(|number| role(number, half, &mut dice)).collect();
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let administrator = json!({"PolicyName": "AdministratorAccess", "Arn": "arn:aws:iam::aws:policy/AdministratorAccess",
        "PolicyVersionList": [{"Document": all, "IsDefaultVersion": true}]});
    json!({"UserDetailList": users, "GroupDetailList": [], "RoleDetailList": roles, "Policies": [administrator]})
}

fn user(number: usize, roles: usize, dice: &mut Dice) -> Value {
    json!({"Path": "/", "UserName": format!("user-{number}"), "UserId": format!("AIDA{number:016}"), "Arn": format!("arn:aws:iam::{ACCOUNT}:user/user-{number}"),
        "UserPolicyList": [{"PolicyName": "p", "PolicyDocument": policy(roles, dice)}], "GroupList": [], "AttachedManagedPolicies": []})
}

fn role(number: usize, roles: usize, dice: &mut Dice) -> Value {
    let service = ["ec2", "lambda", "ecs-tasks", "glue"].get(dice.below(4)).copied().unwrap_or("ec2");
    let mut trust = vec![json!({"Effect": "Allow", "Principal": {"Service": format!("{service}.amazonaws.com")}, "Action": "sts:AssumeRole"})];
    if dice.below(5) == 0 {
        trust.push(json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "sts:AssumeRole"}));
    }
    let administrator = json!({"PolicyName": "AdministratorAccess", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    let attached: Vec<Value> = number.is_multiple_of(ADMINISTRATORS_EACH).then_some(administrator).into_iter().collect();
    let profile = json!({"InstanceProfileName": format!("ip{number}"), "Arn": format!("arn:aws:iam::{ACCOUNT}:instance-profile/ip{number}"), "Roles": []});
    let profiles: Vec<Value> = (service == "ec2").then_some(profile).into_iter().collect();
    json!({"Path": "/", "RoleName": format!("role-{number}"), "RoleId": format!("AROA{number:016}"), "Arn": format!("arn:aws:iam::{ACCOUNT}:role/role-{number}"),
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": trust}, "InstanceProfileList": profiles,
        "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": policy(roles, dice)}], "AttachedManagedPolicies": attached, "Tags": []})
}

fn policy(roles: usize, dice: &mut Dice) -> Value {
    let mut statements = Vec::new();
    for _ in 0..=dice.below(3) {
        let actions = TOGETHER.get(dice.below(TOGETHER.len())).copied().unwrap_or_default();
        let first = actions.first().copied().unwrap_or_default();
        let resource = match first.split(':').next() {
            _ if dice.below(10) < 3 => "*".to_owned(),
            Some("s3") => format!("arn:aws:s3:::bucket-{}/*", dice.below(50)),
            Some("iam" | "sts") => format!("arn:aws:iam::{ACCOUNT}:role/role-{}", dice.below(roles)),
            _ => "*".to_owned(),
        };
        statements.push(json!({"Effect": "Allow", "Action": actions, "Resource": resource}));
    }
    if dice.below(20) == 0 {
        statements.push(json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*"}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}
