//! Runs the requests of the certification scenario as its text has them.

use serde_json::Value;

/// A request with what is expected of it.
#[derive(Default)]
struct Case {
    place: String,
    path: &'static str,
    request: Value,
    status: u16,
    expected: Option<Value>,
}

/// Sends every request and compares; how many there were.
pub(super) fn run(text: &str, send: impl Fn(&str, &Value) -> (u16, Value)) -> usize {
    let cases = cases(text);
    for case in &cases {
        let (status, body) = send(case.path, &case.request);
        assert_eq!(status, case.status, "{}: {}", case.place, case.request);
        match &case.expected {
            Some(expected) => assert!(holds(&body, expected), "{}: {} gives {body}, not {expected}", case.place, case.request),
            None if status == 400 => assert!(body["error"]["message"].is_string(), "{}: a body says why", case.place),
            None => shape(case, &body),
        }
    }
    cases.len()
}

/// What every answer has, whatever it decides.
fn shape(case: &Case, body: &Value) {
    let wanted = if case.path.contains("search") { "results" } else { "evaluations" };
    let items = body[wanted].as_array().map(Vec::as_slice);
    match (wanted, items) {
        ("evaluations", None) => assert!(body["decision"].is_boolean(), "{}: {body}", case.place),
        ("evaluations", Some(items)) => {
            assert_eq!(items.len(), case.request["evaluations"].as_array().unwrap().len(), "{}", case.place);
            assert!(items.iter().all(|one| one["decision"].is_boolean()), "{}: {body}", case.place);
        }
        (_, items) => assert!(items.is_some_and(|items| !items.is_empty()), "{}: {body}", case.place),
    }
}

/// Whether an answer holds what is expected: results in any order and among others, all else as it is.
fn holds(body: &Value, expected: &Value) -> bool {
    match (body, expected) {
        (Value::Object(body), Value::Object(expected)) => expected.iter().all(|(name, wanted)| match (body.get(name), wanted) {
            (Some(Value::Array(all)), Value::Array(wanted)) if name == "results" => {
                all.is_empty() == wanted.is_empty() && wanted.iter().all(|one| all.contains(one))
            }
            (Some(Value::Array(all)), Value::Array(wanted)) => all.len() == wanted.len() && all.iter().zip(wanted).all(|(one, wanted)| holds(one, wanted)),
            (Some(value), wanted) => holds(value, wanted),
            (None, _) => false,
        }),
        _ => body == expected,
    }
}

fn cases(text: &str) -> Vec<Case> {
    let (mut found, mut place, mut label) = (Vec::<Case>::new(), String::new(), String::new());
    let mut lines = text.lines();
    let mut awaits = false;
    while let Some(line) = lines.next() {
        if let Some((_, anchor)) = line.split_once("{#c-") {
            place = format!("c-{}", anchor.trim_end_matches('}'));
            awaits = false;
        } else if line.starts_with("**Expected") {
            if let Some(case) = found.last_mut().filter(|_| !awaits) {
                case.status = if line.contains("400") { 400 } else { 200 };
                // The one decision that is told in the text only.
                case.expected = line.contains("`\"decision\": true`").then(|| serde_json::json!({"decision": true}));
            }
        } else if line.starts_with("**") && (line.contains("Request") || line.contains("Search (")) {
            label = line.to_owned();
            awaits = true;
        } else if line.starts_with("~~~") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("~~~")).collect();
            // Blocks with <boolean> or <next_token …> are not JSON: their cases are checked by shape, or elsewhere.
            let json = serde_json::from_str::<Value>(&block.join("\n")).ok();
            match (awaits, json) {
                (true, Some(request)) if path(&place, &label).is_some() => {
                    found.push(Case { place: format!("{place} {label}"), path: path(&place, &label).unwrap(), request, status: 0, expected: None });
                    awaits = false;
                }
                (false, Some(expected)) => {
                    if let Some(case) = found.last_mut().filter(|case| case.status == 200 && case.place.starts_with(&format!("{place} "))) {
                        case.expected = Some(expected);
                    }
                }
                _ => {}
            }
        }
    }
    // The placeholder of the token is no token.
    found.retain(|case| !case.request.to_string().contains("<next_token"));
    assert!(found.iter().all(|case| case.status != 0), "a request without expectation");
    found
}

fn path(place: &str, label: &str) -> Option<&'static str> {
    let search =
        [("Subject Search", "/access/v1/search/subject"), ("Resource Search", "/access/v1/search/resource"), ("Action Search", "/access/v1/search/action")];
    if let Some((_, path)) = search.into_iter().find(|(name, _)| label.contains(name)) {
        return Some(path);
    }
    let by_place = [
        ("c-2", "/access/v1/evaluation"),
        ("c-3", "/access/v1/evaluations"),
        ("c-4-2", "/access/v1/search/subject"),
        ("c-4-3", "/access/v1/search/resource"),
        ("c-4-4", "/access/v1/search/action"),
        ("c-4-5", "/access/v1/search/subject"),
    ];
    by_place.into_iter().find(|(begin, _)| place.starts_with(begin)).map(|(_, path)| path)
}
