//! Calls that principals made: CloudTrail records, events of the lake made of them, or plain rows.
//!
//! Names of actions follow the Service Authorization Reference, which for some services are not the
//! names of the calls (Amazon S3: "Actions, resources, and condition keys").

use serde_json::Value;
use weft_model::entitlement::Call;

/// Services that record their calls under another name than that of their actions.
const SERVICES: [(&str, &str); 4] = [("monitoring", "cloudwatch"), ("email", "ses"), ("tagging", "tag"), ("awsbillingconsole", "aws-portal")];
/// Calls that another action permits.
const ALIASES: [(&str, &str); 20] = [
    ("s3:ListObjects", "s3:ListBucket"),
    ("s3:ListObjectsV2", "s3:ListBucket"),
    ("s3:HeadBucket", "s3:ListBucket"),
    ("s3:ListObjectVersions", "s3:ListBucketVersions"),
    ("s3:ListBuckets", "s3:ListAllMyBuckets"),
    ("s3:HeadObject", "s3:GetObject"),
    ("s3:CopyObject", "s3:PutObject"),
    ("s3:CreateMultipartUpload", "s3:PutObject"),
    ("s3:UploadPart", "s3:PutObject"),
    ("s3:CompleteMultipartUpload", "s3:PutObject"),
    ("s3:DeleteObjects", "s3:DeleteObject"),
    ("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("s3:PutBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("s3:GetBucketLifecycle", "s3:GetLifecycleConfiguration"),
    ("s3:PutBucketLifecycle", "s3:PutLifecycleConfiguration"),
    ("s3:GetBucketReplication", "s3:GetReplicationConfiguration"),
    ("s3:DeleteBucketEncryption", "s3:PutEncryptionConfiguration"),
    ("lambda:Invoke", "lambda:InvokeFunction"),
    ("dynamodb:TransactWriteItems", "dynamodb:PutItem"),
    ("dynamodb:TransactGetItems", "dynamodb:GetItem"),
];
/// The action that lets a service act as a role; no record tells it by itself.
const PASS_ROLE: &str = "iam:PassRole";
/// Levels of a request that a role is looked for in.
const DEPTH_MAX: usize = 16;

/// What a file of calls is, for whoever gave something else.
pub const WANTED: &str = "one object a line: a CloudTrail record, an event of the lake, or `principal`, `action`, and maybe `resource`, `refused`, `count`";

/// Reads what one line tells; nothing where no principal of an account acted.
///
/// # Errors
/// What is missing, for a person.
pub fn read(value: &Value) -> Result<Vec<Call>, String> {
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        return records.iter().map(read).collect::<Result<Vec<_>, _>>().map(|calls| calls.into_iter().flatten().collect());
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    if value.get("eventName").is_some() {
        let principal = text("/userIdentity/sessionContext/sessionIssuer/arn").or_else(|| text("/userIdentity/arn"));
        let action = action(&text("/eventSource").unwrap_or_default(), &text("/eventName").unwrap_or_default());
        return Ok(told(principal, action, value.get("requestParameters"), value.get("resources"), value.get("errorCode").is_some_and(|code| !code.is_null())));
    }
    if value.pointer("/api/operation").is_some() {
        let principal = text("/actor/session/issuer").or_else(|| text("/actor/user/uid"));
        let action = action(&text("/api/service/name").unwrap_or_default(), &text("/api/operation").unwrap_or_default());
        let request = value.pointer("/api/request/data");
        let parsed = request.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
        return Ok(told(
            principal,
            action,
            parsed.as_ref().or(request),
            value.get("resources"),
            value.pointer("/api/response/error").is_some_and(|error| !error.is_null()),
        ));
    }
    let missing = |key: &str| format!("`{key}` is missing; wanted is {WANTED}");
    Ok(vec![Call {
        principal: text("/principal").ok_or_else(|| missing("principal"))?,
        action: text("/action").ok_or_else(|| missing("action"))?,
        resource: text("/resource").filter(|resource| resource != "*"),
        refused: value.get("refused").and_then(Value::as_bool) == Some(true),
        count: value.get("count").and_then(Value::as_u64).unwrap_or(1),
    }])
}

fn told(principal: Option<String>, action: String, request: Option<&Value>, resources: Option<&Value>, refused: bool) -> Vec<Call> {
    let Some(principal) = principal.filter(|principal| principal.starts_with("arn:")) else { return Vec::new() };
    let mut calls = Vec::new();
    if !action.starts_with("iam:") && !action.starts_with("sts:") {
        let mut roles = Vec::new();
        passed(request.unwrap_or(&Value::Null), DEPTH_MAX, &mut roles);
        let pass = |role: Option<String>| Call { principal: principal.clone(), action: PASS_ROLE.to_owned(), resource: role, refused, count: 1 };
        calls.extend(roles.into_iter().map(pass));
    }
    let resource = request.and_then(object).or_else(|| named(resources)).or_else(|| request.and_then(first));
    calls.push(Call { principal, action, resource, refused, count: 1 });
    calls
}

/// The action that a call needs.
fn action(source: &str, event: &str) -> String {
    let service = source.split('.').next().unwrap_or_default();
    let service = SERVICES.iter().find(|(recorded, _)| *recorded == service).map_or(service, |(_, name)| name);
    let action = format!("{service}:{}", undated(event));
    ALIASES.iter().find(|(call, _)| *call == action).map_or(action, |(_, permitted)| (*permitted).to_owned())
}

/// Without the version of the API that some services append: `CreateFunction20150331v2`.
fn undated(event: &str) -> &str {
    let plain = event.trim_end_matches(|c: char| c.is_ascii_digit());
    let plain = plain.strip_suffix('v').filter(|_| plain.len() < event.len()).map_or(plain, |rest| rest.trim_end_matches(|c: char| c.is_ascii_digit()));
    if event.len() >= plain.len() + 8 { plain } else { event }
}

/// Roles, and profiles of machines, that a request hands to a service; `None` for one whose role it does not tell.
fn passed(value: &Value, depth: usize, roles: &mut Vec<Option<String>>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::String(text) if text.starts_with("arn:") && text.contains(":role/") => roles.push(Some(text.clone())),
        Value::Object(fields) => {
            for (key, value) in fields {
                if key.eq_ignore_ascii_case("iamInstanceProfile") && !value.is_null() {
                    roles.push(None);
                } else {
                    passed(value, depth - 1, roles);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| passed(value, depth - 1, roles)),
        _ => {}
    }
}

/// An object, or a bucket, by the parameters that name it.
fn object(request: &Value) -> Option<String> {
    let bucket = request.get("bucketName")?.as_str()?;
    let key = request.get("key").and_then(Value::as_str);
    Some(key.map_or_else(|| format!("arn:aws:s3:::{bucket}"), |key| format!("arn:aws:s3:::{bucket}/{key}")))
}

fn named(resources: Option<&Value>) -> Option<String> {
    let name =
        |resource: &Value| ["ARN", "arn", "uid"].iter().find_map(|key| resource.get(*key)?.as_str()).filter(|name| name.starts_with("arn:")).map(str::to_owned);
    resources?.as_array()?.iter().find_map(name)
}

fn first(request: &Value) -> Option<String> {
    request.as_object()?.values().find_map(|value| value.as_str().filter(|text| text.starts_with("arn:"))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(principal: &str, action: &str, resource: Option<&str>) -> Call {
        Call { principal: principal.into(), action: action.into(), resource: resource.map(str::to_owned), refused: false, count: 1 }
    }

    #[test]
    fn a_session_acts_for_its_role() {
        let record = json!({"eventSource": "s3.amazonaws.com", "eventName": "HeadObject",
            "userIdentity": {"arn": "arn:aws:sts::1:assumed-role/app/i-1", "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::1:role/app"}}},
            "requestParameters": {"bucketName": "b", "key": "a/b"}});
        assert_eq!(read(&record).unwrap(), [call("arn:aws:iam::1:role/app", "s3:GetObject", Some("arn:aws:s3:::b/a/b"))]);
        assert_eq!(read(&json!({"Records": [record.clone(), record]})).unwrap().len(), 2);
    }

    #[test]
    fn a_role_that_is_passed_is_a_use_of_its_own() {
        let record = json!({"eventSource": "lambda.amazonaws.com", "eventName": "CreateFunction20150331v2", "errorCode": "AccessDenied",
            "userIdentity": {"arn": "arn:aws:iam::1:user/ada"}, "requestParameters": {"role": "arn:aws:iam::1:role/app"}});
        let calls = read(&record).unwrap();
        let told: Vec<_> = calls.iter().map(|call| (call.action.as_str(), call.refused)).collect();
        assert_eq!(told, [("iam:PassRole", true), ("lambda:CreateFunction", true)]);
    }

    #[test]
    fn events_and_rows_tell_the_same() {
        let event = json!({"api": {"operation": "Decrypt", "service": {"name": "kms.amazonaws.com"}}, "actor": {"user": {"uid": "arn:aws:iam::1:user/ada"}}});
        let row = json!({"principal": "arn:aws:iam::1:user/ada", "action": "kms:Decrypt"});
        assert_eq!(read(&event).unwrap(), read(&row).unwrap());
        assert_eq!(read(&json!({"eventName": "Decrypt", "userIdentity": {"invokedBy": "lambda.amazonaws.com"}})).unwrap(), []);
        assert!(read(&json!({"action": "kms:Decrypt"})).unwrap_err().starts_with("`principal` is missing"));
    }

    #[test]
    fn versions_of_calls_are_no_part_of_the_action() {
        for (event, wanted) in
            [("GetFunction20150331v2", "GetFunction"), ("ListTags20170331", "ListTags"), ("PutItem", "PutItem"), ("ListObjectsV2", "ListObjectsV2")]
        {
            assert_eq!(undated(event), wanted);
        }
    }
}
