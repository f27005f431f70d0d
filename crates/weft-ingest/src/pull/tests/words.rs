//! Descriptions, requests and answers, word by word.

use std::sync::Arc;

use weft_model::Position;

use crate::pull::{Answer, Body, Description, Fault, Request, Session, Settings, Taken, ToSign, access_of, describe, sign, token_request};

const NOW: i64 = 1_795_421_400_000;

fn description(text: &str) -> Arc<Description> {
    let head = "stream = \"log\"\ntitle = \"t\"\ndocs = \"d\"\n";
    Arc::new(describe("x/pull/log.toml", "x/log", &format!("{head}{text}")).unwrap_or_else(|faults| panic!("{faults:?}")))
}

fn session(text: &str) -> Session {
    let mut settings = Settings { source: "pull/x".to_owned(), ..Settings::default() };
    settings.values.insert("domain".to_owned(), "acme.example.com".to_owned());
    settings.secrets.insert("token".to_owned(), "S3cr3t".to_owned());
    Session::new(description(text), settings)
}

fn answer(headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer { status: 200, headers, body: body.to_owned().into() }
}

/// Asks, takes, and makes durable at once.
fn turn(session: &mut Session, answer: &Answer) -> (Request, Taken) {
    let request = session.ask(NOW).unwrap();
    let taken = session.take(NOW, answer).unwrap();
    taken.chunks.iter().for_each(|chunk| session.stored(chunk));
    (request, taken)
}

const PLAIN: &str = "[settings]\ndomain = \"host\"\n[secrets]\ntoken = \"key\"\n[auth]\nkind = \"header\"\nvalue = \"SSWS {secret.token}\"\n\
    [request]\nurl = \"https://{domain}/api/log\"\nquery = { since = \"{since}\", limit = \"{size}\" }\n\
    [records]\nat = \"\"\nkey = \"/id\"\ntime = \"/at\"\n[window]\nformat = \"rfc3339_seconds\"\n";

#[test]
fn a_description_is_refused_with_every_fault_and_its_place() {
    let text = "stream = \"log\"\ntitel = \"t\"\ndocs = 5\nevery = \"soon\"\n[settings]\nunused = \"u\"\n[auth]\nkind = \"magic\"\n[request]\n\
        url = \"http://{nowhere}/x\"\nquery = { a = \"{\" }\n[records]\nat = \"items\"\n[page]\nkind = \"token\"\nat = \"/next\"\n[window]\nformat = \"stardate\"\nspan_max = \"1m\"\n";
    let faults = describe("x/pull/log.toml", "x/log", text).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for (line, words) in [
        (1, "`title` is missing"),
        (2, "unknown key `titel`"),
        (3, "`docs` must be text"),
        (4, "`every` must be a span"),
        (5, "`unused` is asked for and not used"),
        (8, "there is no authentication `magic`"),
        (10, "nothing fills `{nowhere}`"),
        (10, "must begin with `https://`"),
        (11, "a hole is written `{name}`"),
        (13, "`items` must be a JSON Pointer"),
        (14, "no request sends `{token}`"),
        (17, "`span_max` must be longer than `look_back`"),
        (18, "there is no format `stardate`"),
    ] {
        assert!(
            told.iter().any(|fault| fault.starts_with(&format!("x/pull/log.toml:{line}:")) && fault.contains(words)),
            "{line} {words}:\n{}",
            told.join("\n")
        );
    }
    assert!(told.iter().all(|fault| fault.lines().count() == 1));
    assert!(describe("x", "x/y", "= nonsense").is_err());
}

#[test]
fn settings_that_are_missing_or_unknown_are_told() {
    let description = description(&format!("{PLAIN}[page]\nkind = \"single\"\n"));
    let mut settings = Settings::default();
    settings.values.insert("domian".to_owned(), String::new());
    let faults = settings.faults(&description);
    assert_eq!(
        faults,
        ["`x/log` needs the setting `domain`: host", "`x/log` has no setting `domian`; there are domain", "`x/log` needs the secret `token`: key"]
    );
    settings.secrets.insert("token".to_owned(), "hidden".to_owned());
    assert!(!format!("{settings:?}").contains("hidden"));
}

#[test]
fn a_lasting_link_is_asked_again_and_records_stay_as_they_are() {
    let mut session = session(&format!("{PLAIN}[page]\nkind = \"link\"\nlasting = true\n"));
    let link = [("link", "<https://acme.example.com/api/log?after=7>; rel=\"next\"")];
    let body = "[ {\"id\" : 1, \"at\":\"2026-11-22T10:00:00Z\"} , {\"id\":2,\"at\":\"2026-11-22T10:00:01Z\"}]";
    let (mut request, taken) = turn(&mut session, &answer(&link, body));
    assert!(session.authorize(&mut request, None, NOW).is_none());
    assert_eq!(request.headers, [("authorization".to_owned(), "SSWS S3cr3t".to_owned())]);
    assert!(request.url.as_str().starts_with("https://acme.example.com/api/log?limit=100&since=2026-11-2"), "{}", request.url);
    assert_eq!(taken.chunks[0].records[0].bytes, "{\"id\" : 1, \"at\":\"2026-11-22T10:00:00Z\"}");
    assert!(taken.more);
    let (request, taken) = turn(&mut session, &answer(&link, "[]"));
    assert_eq!((request.url.query(), taken.more, taken.chunks.len()), (Some("after=7"), false, 0));
    // As a new process would go on.
    let position = session.place().position();
    session.resume(&position, Vec::new());
    assert_eq!(session.ask(NOW).unwrap().url.query(), Some("after=7"));
}

#[test]
fn a_next_page_elsewhere_is_not_followed() {
    let mut session = session(&format!("{PLAIN}[page]\nkind = \"next_url\"\nat = \"/0/next\"\n"));
    let (_, taken) = turn(&mut session, &answer(&[], "[{\"id\":1,\"at\":1795421400,\"next\":\"https://evil.example.net/\"}]"));
    assert!(taken.more);
    let fault = session.ask(NOW).unwrap_err();
    assert!(fault.to_string().contains("is not followed"), "{fault}");
}

#[test]
fn an_expired_place_begins_the_walk_again() {
    let mut session = session(&format!("{PLAIN}[page]\nkind = \"link\"\n"));
    turn(&mut session, &answer(&[("link", "</api/log?after=7>; rel=next")], "[{\"id\":1,\"at\":1795421000}]"));
    assert_eq!(session.ask(NOW).unwrap().url.query(), Some("after=7"));
    assert!(matches!(session.take(NOW, &Answer { status: 410, ..Answer::default() }), Err(Fault::Later(..))));
    assert!(session.ask(NOW).unwrap().url.query().unwrap().contains("since="));
}

#[test]
fn bodies_tokens_and_what_is_left_out() {
    let text = "[auth]\nkind = \"none\"\n[request]\nurl = \"https://api/events\"\nbody = { limit = \"{size}\", start_time = \"{since}\", deep = [{ on = true }] }\n\
        [follow]\nurl = \"https://api/events\"\nbody = { cursor = \"{token}\" }\n[records]\nat = \"/items\"\nkey = [\"/uuid\", \"/v\"]\ntime = \"/t\"\n\
        [page]\nkind = \"token\"\nat = \"/cursor\"\nmore = \"/has_more\"\nlasting = true\nsize = 50\n[window]\nformat = \"rfc3339\"\n";
    let mut session = session(text);
    let (request, taken) = turn(
        &mut session,
        &answer(
            &[],
            r#"{"cursor":"c1","has_more":true,"items":[{"uuid":"a","v":1,"t":"2026-11-23T08:00:00Z"},{"uuid":"a","v":2,"t":"2026-11-23T08:00:00Z"}]}"#,
        ),
    );
    let Some(Body::Json(body)) = request.body else { panic!("{request:?}") };
    assert!(body.starts_with(r#"{"deep":[{"on":true}],"limit":50,"start_time":"2026-11-2"#), "{body}");
    assert_eq!((taken.more, taken.chunks[0].records.len()), (true, 2));
    let (request, taken) = turn(&mut session, &answer(&[], r#"{"cursor":"c2","has_more":false,"items":[{"uuid":"a","v":2,"t":"2026-11-23T08:00:00Z"}]}"#));
    assert_eq!(request.body, Some(Body::Json(r#"{"cursor":"c1"}"#.to_owned())));
    assert_eq!((taken.more, taken.duplicates), (false, 1));
    assert_eq!(session.ask(NOW).unwrap().body, Some(Body::Json(r#"{"cursor":"c2"}"#.to_owned())));
}

#[test]
fn a_list_of_addresses_is_fetched_one_by_one() {
    let text = "[auth]\nkind = \"none\"\n[[prepare]]\nmethod = \"POST\"\nurl = \"https://api/start\"\naccept = [400]\n[request]\nurl = \"https://api/list\"\n\
        query = { from = \"{since}\", to = \"{until}\" }\n[detail]\nurl = \"/uri\"\nat = \"\"\n[records]\nat = \"\"\nkey = \"/Id\"\ntime = \"/created\"\n\
        [page]\nkind = \"next_header\"\nheader = \"NextPageUri\"\n[window]\nformat = \"civil\"\nspan_max = \"24h\"\n";
    let mut session = session(text);
    assert_eq!(session.ask(NOW).unwrap().url.as_str(), "https://api/start");
    assert!(session.take(NOW, &Answer { status: 400, ..Answer::default() }).unwrap().more);
    let list = answer(
        &[("nextpageuri", "https://api/list?p=2")],
        r#"[{"uri":"https://api/a","created":"2026-11-22T10:00:00Z"},{"uri":"https://api/b","created":"2026-11-22T10:00:00Z"}]"#,
    );
    assert!(turn(&mut session, &list).1.more);
    let before = session.place().clone();
    let (request, taken) = turn(&mut session, &answer(&[], r#"[{"Id":1},{"Id":2}]"#));
    assert_eq!((request.url.as_str(), taken.chunks[0].records.len()), ("https://api/a", 2));
    assert_eq!(session.place().position().0.contains("p=2"), before.position().0.contains("p=2"), "the page is not done yet");
    let (request, taken) = turn(&mut session, &answer(&[], r#"[{"Id":2},{"Id":3}]"#));
    assert_eq!((request.url.as_str(), taken.chunks[0].records.len(), taken.duplicates), ("https://api/b", 1, 1));
    assert_eq!(session.ask(NOW).unwrap().url.as_str(), "https://api/list?p=2");
}

#[test]
fn limits_are_learnt_and_kept() {
    let mut session = session(&format!(
        "{PLAIN}[page]\nkind = \"single\"\n[limits]\nrequests = 120\nremaining = \"X-Rate-Limit-Remaining\"\nreset = \"X-Rate-Limit-Reset\"\n"
    ));
    turn(&mut session, &answer(&[("x-rate-limit-remaining", "5")], "[]"));
    assert_eq!(session.pace().wait(NOW), 500);
    // The server's clock is twenty minutes behind; its reset is an instant of that clock, long gone.
    let reset = (NOW / 1000 - 3600 + 30).to_string();
    let date = ("date", "Mon, 23 Nov 2026 07:50:00 GMT");
    turn(&mut session, &answer(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "17"), date], "[]"));
    assert_eq!(session.pace().wait(NOW), 17_000);
    turn(&mut session, &answer(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", reset.as_str()), date], "[]"));
    assert_eq!(session.pace().wait(NOW), 17_000, "an instant that has passed asks for no wait");
    let later = |headers: &[(&str, &str)], status| {
        let mut session = super::words::session(&format!("{PLAIN}[page]\nkind = \"single\"\n[limits]\nremaining = \"X-Left\"\n"));
        session.ask(NOW).unwrap();
        session.take(NOW, &Answer { status, ..answer(headers, "slow down") })
    };
    assert_eq!(later(&[("retry-after", "7")], 429), Err(Fault::Later("too many requests: status 429: slow down".to_owned(), Some(7000))));
    let dates = [("retry-after", "Mon, 23 Nov 2026 07:50:42 GMT"), date];
    assert_eq!(later(&dates, 503), Err(Fault::Later("status 503: slow down".to_owned(), Some(42_000))));
    assert!(matches!(later(&[("x-left", "0")], 403), Err(Fault::Later(..))));
    assert!(matches!(later(&[], 403), Err(Fault::Refused(..))));
    assert!(matches!(later(&[], 401), Err(Fault::Unauthorised(..))));
    assert!(matches!(later(&[("location", "https://login")], 302), Err(Fault::Refused(..))));
}

#[test]
fn a_token_is_asked_for_with_a_signed_assertion() {
    let text = "[settings]\ndomain = \"account\"\n[secrets]\ntoken = \"key\"\n[auth]\nkind = \"oauth2\"\nurl = \"https://login/token\"\n\
        form = { grant_type = \"jwt\", assertion = \"{jwt}\" }\n[auth.jwt]\nkey = \"{secret.token}\"\nclaims = { iss = \"{domain}\" }\nlifetime = \"1h\"\n\
        [request]\nurl = \"https://api/log\"\nquery = { t = \"{since}\" }\n[records]\nat = \"\"\ntime = \"/t\"\n[page]\nkind = \"single\"\n[window]\nformat = \"rfc3339\"\n";
    let mut session = session(text);
    let Some(ToSign::Jwt { algorithm, key, claims, .. }) = sign(&session, NOW) else { panic!() };
    assert_eq!((algorithm, key.as_str(), claims["iss"].as_str()), ("RS256", "S3cr3t", Some("acme.example.com")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let request = token_request(&session, Some("a.b.c")).unwrap().unwrap();
    assert_eq!(request.body, Some(Body::Form("assertion=a.b.c&grant_type=jwt".to_owned())));
    let access = access_of(&mut session, NOW, &answer(&[], r#"{"access_token":"T","expires_in":3600}"#)).unwrap();
    assert_eq!(access.until, NOW + 3_540_000);
    let mut request = session.ask(NOW).unwrap();
    session.authorize(&mut request, Some(&access), NOW);
    assert_eq!(request.headers, [("authorization".to_owned(), "Bearer T".to_owned())]);
    let refused = access_of(&mut session, NOW, &Answer { status: 401, ..answer(&[], r#"{"error":"invalid_grant"}"#) }).unwrap_err();
    assert!(refused.to_string().contains("invalid_grant"), "{refused}");
}

#[test]
fn a_request_is_signed_over_its_parts() {
    let text = "[settings]\ndomain = \"d\"\n[secrets]\ntoken = \"k\"\n[auth]\nkind = \"signed\"\nuser = \"{domain}\"\nkey = \"{secret.token}\"\n\
        canonical = \"{date}\\n{method}\\n{host}\\n{path}\\n{query}\"\n[request]\nurl = \"https://API-x.example.com/admin/v2/log\"\nquery = { b = \"x y\", a = \"{since}\" }\n\
        [records]\nat = \"\"\ntime = \"/t\"\n[page]\nkind = \"single\"\n[window]\nformat = \"epoch_millis\"\ninitial = \"0s\"\n";
    let mut session = session(text);
    let mut request = session.ask(NOW).unwrap();
    let Some(ToSign::Hmac { user, key, text }) = session.authorize(&mut request, None, NOW) else { panic!() };
    assert_eq!((user.as_str(), key.as_str()), ("acme.example.com", "S3cr3t"));
    assert_eq!(text, format!("Mon, 23 Nov 2026 08:10:00 -0000\nGET\napi-x.example.com\n/admin/v2/log\na={}&b=x%20y", NOW - 1));
}

#[test]
fn a_position_of_somebody_else_is_the_beginning() {
    let mut session = session(&format!("{PLAIN}[page]\nkind = \"single\"\n"));
    for position in ["", "{}", "12 34 56", "{\"number\":-1}", "[]"] {
        session.resume(&Position(position.to_owned()), Vec::new());
        assert!(session.ask(NOW).is_ok(), "{position}");
    }
}
