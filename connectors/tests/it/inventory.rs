//! Snapshots of identity systems through the descriptions of their connectors.

use serde_json::Value;
use weft_identity::graph::{Builder, Direction, Graph, Interval, NodeKind};
use weft_identity::inventory::{Forms, Reading, json, ldif};
use weft_identity::person::{Population, Words};

fn forms() -> Forms {
    let files: Vec<(String, String, String)> = weft_connectors::files()
        .into_iter()
        .flat_map(|connector| connector.files.into_iter().map(move |(path, text)| (connector.name.clone(), path, text)))
        .filter(|(_, path, _)| path.starts_with("inventory/"))
        .collect();
    Forms::compile(files.iter().map(|(tool, path, text)| (tool.as_str(), path.as_str(), text.as_str()))).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Files by path, given at once.
type Files<'a> = &'a [(&'a str, &'a str)];

/// The graph of files by path, and what was told of them.
fn graph(files: Files<'_>) -> (Graph, Vec<String>) {
    graph_over_time(&[files])
}

/// The graph of imports, each a million microseconds after the one before, and what was told of the last.
fn graph_over_time(imports: &[Files<'_>]) -> (Graph, Vec<String>) {
    let forms = forms();
    let (mut builder, mut told) = (Builder::default(), Vec::new());
    for (n, files) in (1..).zip(imports) {
        let mut reading = Reading::new(&forms, "");
        for (path, text) in *files {
            let value: Value = if ldif::is_one(text) { ldif::read(text).0 } else { json::read(text).unwrap().value };
            reading.document(path, &value, false);
        }
        let (snapshot, _) = reading.finish();
        told = builder.absorb(&snapshot, n * 1_000_000).unwrap().faults.iter().map(ToString::to_string).collect();
    }
    (builder.finish().unwrap(), told)
}

/// Edges that still hold.
fn open_edges(graph: &Graph) -> Vec<String> {
    let all = (0..graph.nodes()).flat_map(|from| graph.neighbours(from, Direction::Forward).map(move |to| (from, to)));
    let open = all.filter(|(_, to)| graph.terms(to.terms).unwrap().held.until == Interval::OPEN);
    let mut open: Vec<String> = open.map(|(from, to)| format!("{} > {}", graph.key(from), graph.key(to.node))).collect();
    open.sort();
    open
}

fn edges(graph: &Graph) -> Vec<String> {
    let mut edges = Vec::new();
    for from in 0..graph.nodes() {
        for to in graph.neighbours(from, Direction::Forward) {
            let terms = graph.terms(to.terms).unwrap();
            edges.push(format!("{} {} {}", graph.key(from), terms.kind, graph.key(to.node)));
        }
    }
    edges.sort();
    edges
}

/// The one door: these files give exactly these edges, and nothing is told.
fn check(files: &[(&str, &str)], wanted: &[&str]) -> Graph {
    let (graph, told) = graph(files);
    assert_eq!(told, Vec::<String>::new());
    let mut wanted: Vec<String> = wanted.iter().map(|edge| (*edge).to_owned()).collect();
    wanted.sort();
    assert_eq!(edges(&graph), wanted);
    graph
}

#[test]
fn aws_account_authorization_details() {
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22AWS%22%3A%22arn%3Aaws%3Aiam%3A%3A111122223333%3Auser%2Fada%22%2C%22Service%22%3A%22ec2.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    let text = format!(
        r#"{{"UserDetailList": [{{"UserName": "ada", "UserId": "AIDA1", "Arn": "arn:aws:iam::111122223333:user/ada", "CreateDate": "2024-01-01T00:00:00Z", "GroupList": ["dev"], "UserPolicyList": [{{"PolicyName": "own", "PolicyDocument": {{}}}}], "AttachedManagedPolicies": []}}],
            "GroupDetailList": [{{"GroupName": "dev", "GroupId": "AGPA1", "Arn": "arn:aws:iam::111122223333:group/team/dev", "AttachedManagedPolicies": [{{"PolicyName": "P", "PolicyArn": "arn:aws:iam::aws:policy/P"}}]}}],
            "RoleDetailList": [{{"RoleName": "ops", "RoleId": "AROA1", "Arn": "arn:aws:iam::111122223333:role/ops", "AssumeRolePolicyDocument": "{trust}", "RolePolicyList": []}},
                               {{"RoleName": "shut", "RoleId": "AROA2", "Arn": "arn:aws:iam::111122223333:role/shut", "AssumeRolePolicyDocument": {{"Statement": {{"Effect": "Deny", "Principal": {{"AWS": "*"}}}}}}}},
                               {{"RoleName": "open", "RoleId": "AROA3", "Arn": "arn:aws:iam::111122223333:role/open", "AssumeRolePolicyDocument": {{"Statement": {{"Effect": "Allow", "Principal": "*"}}}}}}],
            "Policies": [{{"PolicyName": "P", "Arn": "arn:aws:iam::aws:policy/P"}}]}}"#
    );
    let graph = check(
        &[("aws/gaad.json", &text)],
        &[
            "arn:aws:iam::111122223333:user/ada member_of arn:aws:iam::111122223333:group/team/dev",
            "arn:aws:iam::111122223333:user/ada entitled_to arn:aws:iam::111122223333:user/ada#own",
            "arn:aws:iam::111122223333:group/team/dev entitled_to arn:aws:iam::aws:policy/P",
            "arn:aws:iam::111122223333:user/ada can_assume arn:aws:iam::111122223333:role/ops",
            "aws:service:ec2.amazonaws.com can_assume arn:aws:iam::111122223333:role/ops",
            "aws:everybody can_assume arn:aws:iam::111122223333:role/open",
        ],
    );
    let ada = graph.find("AIDA1").unwrap();
    assert_eq!(
        (graph.name(ada), graph.scope(graph.about(ada).unwrap().scope), graph.about(ada).unwrap().held.from),
        ("ada", "aws/account@111122223333", 1_704_067_200_000_000)
    );
}

#[test]
fn aws_identity_center() {
    check(
        &[
            (
                "users.json",
                r#"{"Users": [{"UserName": "ada@x.org", "UserId": "u1", "IdentityStoreId": "d-1", "Name": {"GivenName": "Ada", "FamilyName": "Lovelace"}, "Emails": [{"Value": "ada@x.org", "Primary": true}], "ExternalIds": [{"Issuer": "okta", "Id": "00u1"}]}]}"#,
            ),
            ("groups.json", r#"{"Groups": [{"GroupId": "g1", "DisplayName": "Admins", "IdentityStoreId": "d-1"}]}"#),
            ("memberships.json", r#"{"GroupMemberships": [{"IdentityStoreId": "d-1", "MembershipId": "m1", "GroupId": "g1", "MemberId": {"UserId": "u1"}}]}"#),
            (
                "assignments.json",
                r#"{"AccountAssignments": [{"AccountId": "1", "PermissionSetArn": "arn:aws:sso:::permissionSet/i/ps-1", "PrincipalType": "GROUP", "PrincipalId": "g1"}]}"#,
            ),
        ],
        &[
            "aws:sso:u1 member_of aws:sso:g1",
            "aws:sso:g1 can_assume arn:aws:sso:::permissionSet/i/ps-1@1",
            "arn:aws:sso:::permissionSet/i/ps-1@1 entitled_to aws:account:1",
        ],
    );
}

#[test]
fn okta_users_groups_and_applications() {
    let user = r#"[{"id": "00u1", "status": "ACTIVE", "created": "2024-01-01T00:00:00.000Z", "profile": {"login": "ada@x.org", "email": "ada@x.org", "firstName": "Ada", "lastName": "Lovelace", "employeeNumber": "7"}, "_links": {"self": {"href": "https://acme.okta.com/api/v1/users/00u1"}}}]"#;
    let graph = check(
        &[
            ("okta/users.json", user),
            (
                "okta/groups.json",
                r#"[{"id": "00g1", "type": "OKTA_GROUP", "objectClass": ["okta:user_group"], "profile": {"name": "Ops", "description": null}, "_links": {"users": {"href": "https://acme.okta.com/api/v1/groups/00g1/users"}}}]"#,
            ),
            ("okta/groups/00g1/users.json", user),
            ("okta/apps.json", r#"[{"id": "0oa1", "label": "Payroll", "status": "ACTIVE", "signOnMode": "SAML_2_0"}]"#),
            (
                "okta/apps/0oa1/groups.json",
                r#"[{"id": "00g1", "priority": 0, "_links": {"app": {"href": "https://acme.okta.com/api/v1/apps/0oa1"}, "group": {"href": "https://acme.okta.com/api/v1/groups/00g1"}}}]"#,
            ),
            (
                "okta/apps/0oa1/users.json",
                r#"[{"id": "00u1", "scope": "GROUP", "status": "ACTIVE", "_links": {"app": {"href": "https://acme.okta.com/api/v1/apps/0oa1"}}}]"#,
            ),
            (
                "okta/users/00u1/roles.json",
                r#"[{"id": "ra1", "label": "Super Administrator", "type": "SUPER_ADMIN", "status": "ACTIVE", "assignmentType": "USER"}]"#,
            ),
        ],
        &["okta:00u1 member_of okta:00g1", "okta:00g1 entitled_to okta:0oa1", "okta:00u1 entitled_to okta:0oa1", "okta:00u1 has_role okta:role:SUPER_ADMIN"],
    );
    assert_eq!(graph.scope(graph.about(graph.find("okta:00u1").unwrap()).unwrap().scope), "okta/users@acme.okta.com");
}

#[test]
fn entra_users_groups_roles_and_applications() {
    check(
        &[
            (
                "users.json",
                r##"{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users", "value": [{"id": "a1", "userPrincipalName": "ada@x.org", "displayName": "Ada Lovelace", "accountEnabled": true, "proxyAddresses": ["SMTP:ada@x.org", "smtp:countess@x.org"]}]}"##,
            ),
            (
                "groups.json",
                r##"{"value": [{"id": "b1", "displayName": "Ops", "securityEnabled": true, "members": [{"@odata.type": "#microsoft.graph.user", "id": "a1"}], "owners": [{"id": "a1"}]}]}"##,
            ),
            ("groups/b1/members.json", r#"{"value": [{"id": "c1"}]}"#),
            (
                "sp.json",
                r#"{"value": [{"id": "c1", "appId": "app1", "displayName": "Backup", "servicePrincipalType": "Application", "owners": [{"id": "a1"}]}, {"id": "c2", "appId": "app2", "servicePrincipalType": "Application"}]}"#,
            ),
            ("roles.json", r#"{"value": [{"id": "r1", "templateId": "r1", "displayName": "Global Administrator", "rolePermissions": []}]}"#),
            ("assigned.json", r#"{"value": [{"id": "x", "principalId": "b1", "roleDefinitionId": "r1", "directoryScopeId": "/"}]}"#),
            (
                "eligible.json",
                r#"{"@odata.context": "$metadata/roleManagement/directory/roleEligibilitySchedules", "value": [{"id": "y", "principalId": "a1", "roleDefinitionId": "r1", "directoryScopeId": "/"}]}"#,
            ),
            ("approles.json", r#"{"value": [{"id": "z", "appRoleId": "m", "principalId": "c1", "resourceId": "c2"}]}"#),
            (
                "grants.json",
                r#"{"value": [{"id": "g", "clientId": "c1", "consentType": "Principal", "principalId": "a1", "resourceId": "c2", "scope": "Mail.Read"}]}"#,
            ),
        ],
        &[
            "entra:a1 member_of entra:b1",
            "entra:a1 controls entra:b1",
            "entra:c1 member_of entra:b1",
            "entra:a1 owns entra:c1",
            "entra:b1 has_role entra:role:r1",
            "entra:a1 can_assume entra:role:r1",
            "entra:c1 entitled_to entra:c2",
            "entra:c1 acts_for entra:a1",
            "entra:c1 entitled_to entra:c2",
        ],
    );
}

#[test]
fn active_directory_as_ldif() {
    let text = "dn: CN=Ada,OU=Staff,DC=x,DC=org\nobjectClass: top\nobjectClass: person\nobjectClass: user\nobjectSid: S-1-5-21-1-2-3-1104\nobjectGUID:: 4AQlP4lPDk+d0wM5Dkjh5A==\nsAMAccountName: ada\nuserAccountControl: 514\nprimaryGroupID: 513\n\ndn: CN=Domain Users,DC=x,DC=org\nobjectClass: group\nobjectSid: S-1-5-21-1-2-3-513\ncn: Domain Users\n\ndn: CN=Ops,DC=x,DC=org\nobjectClass: group\nobjectSid: S-1-5-21-1-2-3-1200\ncn: Ops\nmember: cn=Ada,ou=Staff,dc=x,dc=org\n";
    let graph =
        check(&[("ad.ldif", text)], &["ad:S-1-5-21-1-2-3-1104 member_of ad:S-1-5-21-1-2-3-513", "ad:S-1-5-21-1-2-3-1104 member_of ad:S-1-5-21-1-2-3-1200"]);
    assert!(!graph.about(graph.find("dn:cn=ada,ou=staff,dc=x,dc=org").unwrap()).unwrap().is_active());
}

#[test]
fn openldap_as_ldif() {
    let text = "dn: uid=ada,ou=people,dc=x\nobjectClass: inetOrgPerson\nuid: ada\nsn: Lovelace\ncn: Ada Lovelace\nmail: ada@x.org\n\ndn: uid=backup,ou=system,dc=x\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: backup\n\ndn: cn=ops,dc=x\nobjectClass: groupOfNames\ncn: ops\nmember: uid=ada,ou=people,dc=x\n\ndn: cn=unix,dc=x\nobjectClass: posixGroup\ncn: unix\nmemberUid: backup\n";
    check(&[("slapd.ldif", text)], &["ldap:uid=ada,ou=people,dc=x member_of ldap:cn=ops,dc=x", "ldap:uid=backup,ou=system,dc=x member_of ldap:cn=unix,dc=x"]);
}

#[test]
fn bloodhound_files_and_opengraph() {
    let user = r#"{"data": [{"ObjectIdentifier": "S-1-5-21-1-1", "PrimaryGroupSID": null, "Properties": {"name": "ADA@X.ORG", "domainsid": "S-1-5-21-1", "enabled": true}, "Aces": [], "HasSIDHistory": [], "AllowedToDelegate": []}], "meta": {"type": "users", "count": 1, "version": 6}}"#;
    let group = r#"{"data": [{"ObjectIdentifier": "S-1-5-21-1-512", "Properties": {"name": "DOMAIN ADMINS@X.ORG", "domainsid": "S-1-5-21-1"}, "Members": [], "Aces": [{"PrincipalSID": "S-1-5-21-1-1", "PrincipalType": "User", "RightName": "AddMember", "IsInherited": false}]}], "meta": {"type": "groups", "version": 6}}"#;
    let computer = r#"{"data": [{"ObjectIdentifier": "S-1-5-21-1-9", "Properties": {"name": "PC.X.ORG", "domainsid": "S-1-5-21-1"}, "LocalGroups": [{"Name": "ADMINISTRATORS@PC", "ObjectIdentifier": "S-1-5-21-9-544", "Results": [{"ObjectIdentifier": "S-1-5-21-1-512", "ObjectType": "Group"}]}], "Sessions": {"Results": [{"UserSID": "S-1-5-21-1-1", "ComputerSID": "S-1-5-21-1-9"}], "Collected": true}, "Aces": []}], "meta": {"type": "computers", "version": 6}}"#;
    let open = r#"{"metadata": {"source_kind": "Vault"}, "graph": {"nodes": [{"id": "v1", "kinds": ["Secret", "Vault"], "properties": {"name": "db"}}], "edges": [{"kind": "CanRead", "start": {"value": "ADA@X.ORG", "match_by": "name"}, "end": {"value": "v1"}}]}}"#;
    check(
        &[("users.json", user), ("groups.json", group), ("computers.json", computer), ("vault.json", open)],
        &[
            "ad:S-1-5-21-1-1 controls ad:S-1-5-21-1-512",
            "ad:S-1-5-21-1-512 controls ad:S-1-5-21-1-9",
            "ad:S-1-5-21-1-9 exposes ad:S-1-5-21-1-1",
            "ad:S-1-5-21-1-1 controls ad:v1",
        ],
    );
}

#[test]
fn kubernetes_bindings() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"kind": "ClusterRoleBinding", "metadata": {"name": "admins"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}, "subjects": [{"kind": "User", "name": "ada@x.org"}]},
        {"kind": "RoleBinding", "metadata": {"name": "view", "namespace": "shop"}, "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}]},
        {"kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}}]}"#;
    check(
        &[("rbac.json", text)],
        &[
            "k8s:cluster/user/ada@x.org has_role k8s:cluster/clusterrole/cluster-admin@*",
            "k8s:cluster/clusterrole/cluster-admin@* entitled_to k8s:cluster/namespace/*",
            "k8s:cluster/serviceaccount/shop/web has_role k8s:cluster/clusterrole/view@shop",
            "k8s:cluster/clusterrole/view@shop entitled_to k8s:cluster/namespace/shop",
            "k8s:cluster/serviceaccount/shop/web member_of k8s:cluster/group/system:serviceaccounts:shop",
        ],
    );
}

#[test]
fn github_members_teams_and_repositories() {
    let ada = r#"[{"login": "Ada", "id": 1, "type": "User"}]"#;
    let graph = check(
        &[
            // Which account is whose stands before the accounts.
            (
                "saml.json",
                r#"{"data": {"organization": {"samlIdentityProvider": {"externalIdentities": {"edges": [{"node": {"user": {"login": "Ada"}, "samlIdentity": {"nameId": "ada@x.org"}}}]}}}}}"#,
            ),
            ("github/orgs/acme/members.json", ada),
            (
                "github/orgs/acme/teams.json",
                r#"[{"id": 5, "slug": "ops", "name": "Ops", "privacy": "closed", "html_url": "https://github.com/orgs/acme/teams/ops", "parent": null}]"#,
            ),
            ("github/orgs/acme/teams/ops/members.json", ada),
            ("github/orgs/acme/teams/ops/repos.json", r#"[{"full_name": "acme/Shop", "role_name": "maintain"}]"#),
            ("github/repos/acme/shop/collaborators.json", r#"[{"login": "Ada", "id": 1, "permissions": {"push": true}, "role_name": "write"}]"#),
        ],
        &[
            "github:1 entitled_to github:org:acme",
            "github:1 member_of github:team:5",
            "github:team:5 entitled_to github:repo:acme/shop",
            "github:1 entitled_to github:repo:acme/shop",
        ],
    );
    let ada = graph.find("github:login:ada").unwrap();
    assert_eq!(ada, graph.find("github:1").unwrap());
    assert!(graph.identifiers().iter().any(|id| id.node == ada && graph.text(id.value) == "ada@x.org"));
}

#[test]
fn google_workspace_users_and_groups() {
    check(
        &[
            (
                "google/users.json",
                r#"{"kind": "admin#directory#users", "users": [{"id": "1", "primaryEmail": "ada@x.org", "name": {"givenName": "Ada", "familyName": "Lovelace", "fullName": "Ada Lovelace"}, "isAdmin": true, "customerId": "C1", "externalIds": [{"type": "organization", "value": "7"}]}]}"#,
            ),
            ("google/groups.json", r#"{"groups": [{"id": "g1", "email": "Ops@x.org", "name": "Ops", "directMembersCount": "1"}]}"#),
            ("google/groups/ops@x.org/members.json", r#"{"members": [{"id": "1", "email": "ada@x.org", "role": "OWNER", "type": "USER"}]}"#),
        ],
        &["google:1 has_role google:role:super_admin@C1", "google:1 member_of google:g1"],
    );
}

#[test]
fn scim_and_the_neutral_form() {
    let scim = r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 2, "Resources": [
        {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "ada@x.org", "externalId": "e1", "active": true, "name": {"formatted": "Ada Lovelace"}},
        {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "2", "displayName": "Ops", "members": [{"value": "1"}]}]}"#;
    check(&[("scim.json", scim)], &["scim:scim:1 member_of scim:scim:2"]);
    let neutral = "{\"node\": \"door:1\", \"kind\": \"account\", \"ids\": {\"email\": [\"ada@x.org\"]}, \"source\": \"door\"}\n{\"node\": \"door:all\", \"kind\": \"group\", \"source\": \"door\"}\n{\"edge\": \"member_of\", \"from\": \"door:1\", \"to\": \"door:all\", \"source\": \"door\"}\n";
    check(&[("door.ndjson", neutral)], &["door:1 member_of door:all"]);
}

#[test]
fn accounts_of_three_sources_are_one_person() {
    let (graph, _) = graph(&[
        (
            "okta/users.json",
            r#"[{"id": "00u1", "status": "ACTIVE", "profile": {"login": "ada@x.org", "email": "ada@x.org", "employeeNumber": "7"}, "_links": {"self": {"href": "https://acme.okta.com/x"}}}]"#,
        ),
        (
            "center.json",
            r#"{"Users": [{"UserName": "countess", "UserId": "u1", "IdentityStoreId": "d-1", "ExternalIds": [{"Issuer": "okta", "Id": "00u1"}]}]}"#,
        ),
        (
            "google/users.json",
            r#"{"users": [{"id": "1", "primaryEmail": "lovelace@y.org", "name": {"fullName": "Ada"}, "externalIds": [{"type": "organization", "value": "007"}]}]}"#,
        ),
    ]);
    let population = Population::of(&graph, &[], &Words::default());
    assert_eq!(population.persons.persons.len(), 1);
    assert_eq!(population.persons.keys(0), ["aws:sso:u1", "google:1", "okta:00u1"]);
}

#[test]
fn faults_have_their_place_and_the_rest_is_used() {
    let text = r#"[{"id": "00u1", "status": "ACTIVE", "profile": {"login": "ada@x.org"}}, {"id": {"a": 1}, "status": "ACTIVE", "profile": {"login": "x"}}, {"nothing": true}, 7]"#;
    let (graph, told) = graph(&[("okta/users.json", text), ("else.json", r#"{"a": 1}"#)]);
    assert_eq!(graph.nodes(), 1);
    assert_eq!(
        told,
        [
            "okta/users.json: [1]: what makes a key for `okta/users` is missing or no text",
            "okta/users.json: [2]: 2 records are of no form that is known, this is the first",
            "else.json: no record of it is of a form that is known; `weft identity forms` lists them",
        ]
    );
}

#[test]
fn a_group_that_became_empty_has_nobody() {
    let member = r#"[{"id": "00u1", "status": "ACTIVE", "profile": {"login": "ada@x.org"}}]"#;
    let (left, told) =
        graph_over_time(&[&[("okta/groups/00g1/users.json", member), ("okta/groups/00g2/users.json", member)], &[("okta/groups/00g1/users.json", "[]")]]);
    assert_eq!((open_edges(&left), told), (vec!["okta:00u1 > okta:00g2".to_owned()], vec![]));
    let entra = |value: &str| format!(r##"{{"@odata.context": "x/$metadata#directoryObjects", "value": [{value}]}}"##);
    let (one, none) = (entra(r#"{"id": "c1"}"#), entra(""));
    let (left, told) = graph_over_time(&[&[("groups/b1/members.json", &one)], &[("groups/b1/members.json", &none)]]);
    assert_eq!((open_edges(&left), told), (vec![], vec![]));
    let google = r#"{"kind": "admin#directory#members", "members": [{"id": "1", "email": "ada@x.org", "role": "OWNER", "type": "USER"}]}"#;
    let (left, told) =
        graph_over_time(&[&[("groups/g1/members.json", google)], &[("groups/g1/members.json", r#"{"kind": "admin#directory#members", "etag": "x"}"#)]]);
    assert_eq!((open_edges(&left), told), (vec![], vec![]));
}

#[test]
fn eligible_assignments_that_are_all_gone_end_and_other_answers_end_nothing() {
    let answer = |of: &str, value: &str| format!(r##"{{"@odata.context": "x/$metadata#{of}", "value": [{value}]}}"##);
    let eligible = "roleManagement/directory/roleEligibilitySchedules";
    let one = answer(eligible, r#"{"principalId": "a1", "roleDefinitionId": "r1", "directoryScopeId": "/"}"#);
    let (left, told) = graph_over_time(&[&[("eligible.json", &one)], &[("eligible.json", &answer(eligible, ""))]]);
    assert_eq!((open_edges(&left), told), (vec![], vec![]));
    let users = answer("users", r#"{"id": "a1", "userPrincipalName": "ada@x.org"}"#);
    let (left, told) = graph_over_time(&[&[("users.json", &users), ("eligible.json", &one)], &[("of.json", &answer("users('a1')/memberOf", ""))]]);
    let ada = left.find("entra:a1").unwrap();
    assert_eq!((open_edges(&left).len(), left.about(ada).unwrap().held.until), (1, Interval::OPEN));
    assert!(told[0].contains("nothing is in it, and it does not say of what") && told[0].contains("`--empty`"), "{told:?}");
}

const DOMAIN: &str = "dn: DC=x,DC=org\nobjectClass: domainDNS\nobjectSid: S-1-5-21-1-2-3\ndc: x\n\n";
const USER: &str = "dn: CN=Ada,DC=x,DC=org\nobjectClass: user\nobjectSid: S-1-5-21-1-2-3-1104\nsAMAccountName: ada\n\n";
const COMPUTER: &str = "dn: CN=PC,DC=x,DC=org\nobjectClass: user\nobjectClass: computer\nobjectSid: S-1-5-21-1-2-3-1105\ncn: PC\n\n";

#[test]
fn an_export_of_a_whole_domain_ends_computers_and_one_of_users_does_not() {
    let whole = [DOMAIN, USER, COMPUTER].concat();
    let gone = |later: &str| {
        let (graph, told) = graph_over_time(&[&[("ad.ldif", &whole)], &[("ad.ldif", later)]]);
        assert_eq!(told, Vec::<String>::new());
        graph.about(graph.find("ad:S-1-5-21-1-2-3-1105").unwrap()).unwrap().held.until
    };
    assert_eq!(gone(&[DOMAIN, USER].concat()), 2_000_000);
    assert_eq!(gone(USER), Interval::OPEN);
}

#[test]
fn a_collection_without_computers_ends_those_of_its_domains() {
    let file = |kind: &str, data: &str| format!(r#"{{"data": [{data}], "meta": {{"type": "{kind}", "version": 6}}}}"#);
    let entry =
        |domain: &str, number: u32| format!(r#"{{"ObjectIdentifier": "{domain}-{number}", "Properties": {{"name": "N{number}", "domainsid": "{domain}"}}}}"#);
    let computers = file("computers", &[entry("S-1-5-21-1", 9), entry("S-1-5-21-2", 9)].join(","));
    let users = file("users", &entry("S-1-5-21-1", 1));
    let none = file("computers", "");
    let (graph, told) = graph_over_time(&[&[("users.json", &users), ("computers.json", &computers)], &[("users.json", &users), ("computers.json", &none)]]);
    let until = |domain: &str| graph.about(graph.find(&format!("ad:{domain}-9")).unwrap()).unwrap().held.until;
    assert_eq!((until("S-1-5-21-1"), until("S-1-5-21-2"), told), (2_000_000, Interval::OPEN, vec![]));
    let (_, told) = graph_over_time(&[&[("computers.json", &none)]]);
    assert_eq!(
        told,
        [
            "computers.json: nothing of `windows/bloodhound_computers` is in it, and it does not say of which instance: nothing ends by it; `--empty windows/bloodhound_computers@INSTANCE` says so"
        ]
    );
}

#[test]
fn built_in_groups_are_read_from_bytes_that_could_be_text() {
    let text = "dn: CN=Administrators,CN=Builtin,DC=x\nobjectClass: group\nobjectSid:: AQIAAAAAAAUgAAAAIAIAAA==\ncn: Administrators\n";
    let graph = check(&[("ad.ldif", text)], &[]);
    assert_eq!(graph.name(graph.find("ad:X-S-1-5-32-544").unwrap()), "Administrators");
    // Those of another domain have the same SID, and are others.
    let other = text.replace("DC=x", "DC=y,DC=org");
    let graph = check(&[("ad.ldif", text), ("other.ldif", &other)], &[]);
    assert!(graph.find("ad:X-S-1-5-32-544").is_some() && graph.find("ad:Y.ORG-S-1-5-32-544").is_some());
}

#[test]
fn a_time_that_cannot_be_read_is_told_with_its_place() {
    let text = "{\"edge\": \"member_of\", \"from\": \"a\", \"to\": \"b\", \"until\": \"next week\"}\n{\"edge\": \"member_of\", \"from\": \"a\", \"to\": \"c\", \"since\": \"9999\", \"until\": \"never\"}\n{\"node\": \"a\", \"kind\": \"account\"}\n{\"node\": \"b\", \"kind\": \"group\"}\n{\"node\": \"c\", \"kind\": \"group\"}\n";
    let (graph, told) = graph(&[("door.ndjson", text)]);
    assert_eq!(
        told,
        [
            "door.ndjson: [0]: `next week` is no time that can be read; it counts as without end",
            "door.ndjson: [1]: `9999` is no time that can be read; it counts from this snapshot on"
        ]
    );
    assert_eq!(open_edges(&graph), ["a > b", "a > c"]);
}

#[test]
fn a_github_organisation_as_one_object() {
    let text = r#"{"organization": {"login": "Acme", "default_repository_permission": "read"},
        "members": [{"login": "Ada", "id": 1, "role": "admin"}, {"login": "bob", "role": "member"}],
        "teams": [{"id": 7, "slug": "platform", "members": [{"login": "bob"}], "repositories": [{"name": "shop", "role_name": "push"}]},
                  {"slug": "night", "parent": {"slug": "platform"}, "members": ["ada"], "repositories": []}],
        "repositories": [{"full_name": "Acme/shop", "collaborators": [{"login": "eve", "role_name": "admin"}], "keys": []}]}"#;
    let graph = check(
        &[("acme.json", text)],
        &[
            "github:1 entitled_to github:org:acme",
            "github:login:bob entitled_to github:org:acme",
            "github:login:bob member_of github:team:7",
            "github:1 member_of github:team:acme/night",
            "github:team:acme/night member_of github:team:7",
            "github:team:7 entitled_to github:repo:acme/shop",
            "github:login:eve entitled_to github:repo:acme/shop",
        ],
    );
    assert_eq!(graph.name(graph.find("github:team:7").unwrap()), "platform");
    // Who is known by login alone is the account that a later snapshot describes under it.
    let (graph, _) = graph_over_time(&[&[("acme.json", text)], &[("orgs/acme/members.json", r#"[{"login": "bob", "id": 2, "type": "User"}]"#)]]);
    assert_eq!((graph.find("github:login:bob"), graph.key(graph.find("github:login:bob").unwrap())), (graph.find("github:2"), "github:2"));
    let teams = r#"{"organization": "Acme", "teams": []}"#;
    assert_eq!(graph_over_time(&[&[("acme.json", text)], &[("acme.json", teams)]]).0.find("github:team:7").map(|_| ()), Some(()));
    assert_eq!(open_edges(&graph_over_time(&[&[("acme.json", text)], &[("acme.json", teams)]]).0).len(), 3);
}

#[test]
fn every_account_of_the_labelled_organisations_is_read() {
    let Ok(entries) = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/identity/pathfinding-labs")) else { return };
    let mut read = 0;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
        let value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let Some(accounts) = value["gaad"].as_object() else { continue };
        let wanted: usize = accounts.values().map(|account| account["UserDetailList"].as_array().map_or(0, Vec::len)).sum();
        let (graph, _) = graph(&[(path.to_str().unwrap(), &value.to_string())]);
        assert_eq!((0..graph.nodes()).filter(|&node| graph.kind(node) == NodeKind::Account).count(), wanted, "{path:?}");
        read += 1;
    }
    assert!(read > 10, "{read}");
}
