//! Names of resources, permissions and principals, in the one form in which they are compared.

use serde_json::Value;

pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn texts(value: &Value, key: &str) -> Result<Vec<String>, String> {
    let Some(list) = value.get(key).filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| format!("`{key}` is not a list"))?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(|| format!("`{one}` in `{key}` is not a text"))).collect()
}

/// A resource as it is compared: without service and scheme, a service account by its address.
pub fn resource(name: &str) -> String {
    let name = name.trim();
    let bare = ["https://", "//"].iter().find_map(|scheme| name.strip_prefix(scheme));
    let bare = bare.or_else(|| name.contains(".googleapis.com/").then_some(name));
    let below = bare.and_then(|bare| bare.split_once('/')).map_or(name, |(_, below)| below);
    // Addresses of an API begin with its version.
    let below = ["compute/v1/", "compute/beta/", "v1/", "v2/"].iter().find_map(|version| below.strip_prefix(version)).unwrap_or(below);
    if let Some((_, email)) = below.split_once("/serviceAccounts/")
        && email.contains('@')
    {
        return format!("serviceAccount:{}", email.split('/').next().unwrap_or_default());
    }
    below.trim_end_matches('/').to_owned()
}

/// A part of the hierarchy by its name.
pub(super) fn node(name: &str) -> String {
    resource(name)
}

/// Whose policy a file holds that does not say so: the project that the file is named after.
pub(super) fn of_file(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name.strip_suffix(".json").unwrap_or(name);
    for kind in ["organizations", "folders", "projects"] {
        if let Some(id) = stem.strip_prefix(kind).and_then(|rest| rest.strip_prefix(['-', '_', '.'])) {
            return format!("{kind}/{id}");
        }
    }
    format!("projects/{stem}")
}

/// The id of the project in a name.
pub(super) fn project_of(name: &str) -> String {
    let mut parts = name.split('/').skip_while(|part| *part != "projects").skip(1);
    parts.next().unwrap_or_default().to_owned()
}

/// A permission of a deny policy as roles have it: `iam.googleapis.com/roles.list` is `iam.roles.list`.
pub(super) fn permission(name: &str) -> String {
    let Some((service, rest)) = name.split_once(".googleapis.com/") else { return name.to_owned() };
    let service = match service {
        "cloudresourcemanager" => "resourcemanager",
        "sqladmin" => "cloudsql",
        other => other,
    };
    format!("{service}.{rest}")
}

/// A principal of a deny policy or boundary as bindings have it; a pattern where it stands for several.
pub(super) fn principal(name: &str) -> String {
    let after = |prefix: &str| name.strip_prefix(prefix);
    if let Some(email) = after("principal://goog/subject/") {
        return if email.ends_with(".gserviceaccount.com") { format!("serviceAccount:{email}") } else { format!("user:{email}") };
    }
    if let Some(email) = after("principalSet://goog/group/") {
        return format!("group:{email}");
    }
    if name == "principalSet://goog/public:all" {
        return "*".to_owned();
    }
    if let Some((_, email)) = name.split_once("/serviceAccounts/") {
        return format!("serviceAccount:{email}");
    }
    // All service accounts and workloads of a part of the hierarchy.
    if let Some(part) = after("principalSet://cloudresourcemanager.googleapis.com/") {
        return format!("in:{part}");
    }
    // Everybody of a customer: whoever signs in with an address is of one.
    if name.starts_with("principalSet://goog/cloudIdentityCustomerId/") || name.contains("/workspace/") {
        return "user:*".to_owned();
    }
    name.to_owned()
}

/// Addresses of the service accounts that something runs as.
pub(super) fn runs_as(value: &Value) -> Vec<String> {
    let of_instance = value.get("serviceAccounts").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<String> = of_instance.filter_map(|account| account.get("email").and_then(Value::as_str)).map(str::to_owned).collect();
    let paths = [
        "/serviceAccountEmail",
        "/serviceAccount",
        "/serviceConfig/serviceAccountEmail",
        "/template/serviceAccount",
        "/template/template/serviceAccount",
        "/spec/template/spec/serviceAccountName",
        "/config/nodeConfig/serviceAccount",
        "/config/gceClusterConfig/serviceAccount",
        "/nodeConfig/serviceAccount",
        "/gceSetup/serviceAccounts/0/email",
        "/environment/serviceAccountEmail",
    ];
    found.extend(paths.iter().filter_map(|path| value.pointer(path).and_then(Value::as_str)).filter(|email| email.contains('@')).map(str::to_owned));
    // A service account itself has an address as well; it runs as nobody.
    if value.get("email").is_some() { Vec::new() } else { found }
}
