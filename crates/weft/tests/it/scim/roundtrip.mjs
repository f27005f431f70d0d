// What SCIMMY makes of SCIM against what the mesh makes of it: schemas, resources, patches and filters, over HTTP.
// Arguments: SCIMMY's entry file, the address of the service, the token. Prints one line of JSON: what was compared.
import assert from "node:assert/strict";

const [entry, base, token] = process.argv.slice(2);
const { default: SCIMMY } = await import(entry);
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
SCIMMY.Schemas.User.extend(SCIMMY.Schemas.EnterpriseUser, false);

async function ask(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/scim+json" };
  const response = await fetch(`${base}${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.status === 204 || response.headers.get("content-type") === "application/scim+json", `${method} ${path}: ${text}`);
  return { status: response.status, body: text ? JSON.parse(text) : undefined, headers: response.headers };
}

const plain = (value) => JSON.parse(JSON.stringify(value));

// Attributes without what only the server says, several values in one order.
function attributes(resource) {
  const { id, meta, schemas, groups, ...rest } = plain(resource);
  for (const value of Object.values(rest)) if (Array.isArray(value)) value.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return rest;
}

const counts = { schemas: 0, users: 0, patches: 0, filters: 0, groups: 0 };

// Schemas: each attribute that both describe is described alike.
for (const schema of [SCIMMY.Schemas.User, SCIMMY.Schemas.Group, SCIMMY.Schemas.EnterpriseUser]) {
  const theirs = plain(schema.definition.describe());
  const { status, body } = await ask("GET", `/Schemas/${theirs.id}`);
  assert.equal(status, 200);
  const ours = new Map(body.attributes.map((attribute) => [attribute.name, attribute]));
  for (const attribute of theirs.attributes.filter((one) => !one.name.startsWith("urn:"))) {
    const mine = ours.get(attribute.name);
    assert.ok(mine, `${schema.definition.name}.${attribute.name}`);
    for (const key of ["type", "multiValued", "required", "mutability", "returned"]) {
      assert.equal(mine[key], attribute[key], `${attribute.name}: ${key}`);
    }
  }
  counts.schemas += 1;
}
const features = (await ask("GET", "/ServiceProviderConfig")).body;
assert.ok(features.patch.supported && features.filter.supported && features.etag.supported);
assert.deepEqual((await ask("GET", "/ResourceTypes")).body.Resources.map((type) => type.endpoint), ["/Users", "/Groups"]);

// Users: made by SCIMMY, pushed, read back by SCIMMY.
const persons = Array.from({ length: 25 }, (_, n) => ({
  schemas: ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
  userName: `person${n}@corp.example`,
  externalId: `hr-${n}`,
  name: { givenName: `Given${n}`, familyName: n % 2 ? "Odd" : "Even" },
  displayName: `Given${n} Person`,
  title: n % 3 ? "Engineer" : undefined,
  active: n % 5 !== 0,
  emails: [
    { value: `person${n}@corp.example`, type: "work", primary: true },
    { value: `p${n}@home.example`, type: "home" },
  ],
  [ENTERPRISE]: { employeeNumber: `${1000 + n}`, department: n % 2 ? "Looms" : "Shuttles" },
}));
const pushed = [];
for (const person of persons) {
  const sent = plain(new SCIMMY.Schemas.User(person, "in"));
  const made = await ask("POST", "/Users", sent);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.headers.get("location"), made.body.meta.location);
  const read = await ask("GET", `/Users/${made.body.id}`);
  assert.deepEqual(read.body, made.body);
  const understood = plain(new SCIMMY.Schemas.User(read.body, "out", `${base}/Users`));
  assert.deepEqual(attributes(understood), attributes(new SCIMMY.Schemas.User({ ...person, id: made.body.id }, "out")));
  pushed.push(read.body);
  counts.users += 1;
}
const again = await ask("POST", "/Users", { ...persons[0], userName: persons[0].userName.toUpperCase() });
assert.deepEqual([again.status, again.body.scimType, again.body.status], [409, "uniqueness", "409"]);
assert.equal((await ask("GET", "/Users/nobody")).status, 404);

// Filters: both find the same (SCIMMY minds case everywhere, the standard does not for these attributes).
for (const filter of [
  'userName eq "person3@corp.example"',
  'externalId eq "hr-7"',
  'name.familyName eq "Odd" and active eq true',
  'title pr',
  'not (title pr)',
  'emails[type eq "home" and value sw "p1"]',
  'emails.value co "p2"',
  'displayName sw "Given1" or displayName ew "2 Person"',
  'name.givenName co "1"',
  'name.givenName gt "Given5"',
  'userName eq "nobody"',
]) {
  const { status, body } = await ask("GET", `/Users?count=100&filter=${encodeURIComponent(filter)}`);
  assert.equal(status, 200, filter);
  const theirs = new SCIMMY.Types.Filter(filter).match(plain(pushed)).map((user) => user.userName);
  assert.deepEqual(body.Resources.map((user) => user.userName).sort(), theirs.sort(), filter);
  const list = new SCIMMY.Messages.ListResponse(body.Resources, { startIndex: body.startIndex, totalResults: body.totalResults });
  assert.equal(list.totalResults, theirs.length, filter);
  counts.filters += 1;
}

// Patches: both make the same of them.
for (const operations of [
  [{ op: "replace", path: "active", value: false }],
  [{ op: "add", path: "title", value: "Weaver" }],
  [{ op: "remove", path: "title" }],
  [{ op: "replace", path: "name.familyName", value: "Byron" }],
  [{ op: "replace", path: 'emails[type eq "work"].value', value: "new@corp.example" }],
  [{ op: "remove", path: 'emails[type eq "home"]' }],
  [{ op: "add", path: "emails", value: [{ value: "third@corp.example", type: "other" }] }],
  [{ op: "add", value: { nickName: "Nick", displayName: "Display" } }],
  [{ op: "replace", path: `${ENTERPRISE}:department`, value: "Dyes" }],
  [{ op: "remove", path: `${ENTERPRISE}:employeeNumber` }],
  [
    { op: "add", path: "phoneNumbers", value: [{ value: "tel:+44-1", type: "work" }] },
    { op: "replace", path: "phoneNumbers", value: [{ value: "tel:+44-2", type: "mobile" }] },
  ],
]) {
  const index = counts.patches;
  const message = { schemas: [PATCH], Operations: operations };
  const theirs = await new SCIMMY.Messages.PatchOp(message).apply(new SCIMMY.Schemas.User(plain(pushed[index]), "out"));
  const ours = await ask("PATCH", `/Users/${pushed[index].id}`, message);
  assert.equal(ours.status, 200, JSON.stringify(ours.body));
  assert.deepEqual(attributes(ours.body), attributes(theirs ?? pushed[index]), JSON.stringify(operations));
  counts.patches += 1;
}

// Groups: members come and go, and users tell their groups.
const ids = pushed.map((user) => user.id);
const group = plain(new SCIMMY.Schemas.Group({ displayName: "Weavers", members: ids.slice(0, 3).map((value) => ({ value, type: "User" })) }, "in"));
const made = await ask("POST", "/Groups", group);
assert.equal(made.status, 201, JSON.stringify(made.body));
const add = { schemas: [PATCH], Operations: [{ op: "add", path: "members", value: [{ value: ids[4] }, { value: ids[0] }] }] };
assert.equal((await ask("PATCH", `/Groups/${made.body.id}`, add)).body.members.length, 4);
const leave = { schemas: [PATCH], Operations: [{ op: "remove", path: `members[value eq "${ids[1]}"]` }] };
const left = (await ask("PATCH", `/Groups/${made.body.id}`, leave)).body;
assert.deepEqual(new SCIMMY.Schemas.Group(left, "out").members.map((member) => member.value).sort(), [ids[0], ids[2], ids[4]].sort());
assert.deepEqual((await ask("GET", `/Users/${ids[0]}`)).body.groups.map((one) => one.display), ["Weavers"]);
assert.equal((await ask("DELETE", `/Users/${ids[2]}`)).status, 204);
assert.equal((await ask("GET", `/Groups/${made.body.id}`)).body.members.length, 2);
counts.groups += 1;

console.log(JSON.stringify(counts));
