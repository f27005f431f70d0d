use axum::http::{Method, StatusCode, header};

use crate::routes::{TOKEN, ask, call, console, cookie_of, sign_in};

#[tokio::test]
async fn a_stranger_sees_nothing_but_health_and_the_page() {
    let app = console(|_| {}).0;
    for path in ["/api/v1/events", "/api/v1/events/tail", "/api/v1/openapi.json", "/api/v1/loop", "/api/v1/csp-reports"] {
        let answer = call(&app, Method::GET, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.json()["error"]["code"], "unauthenticated");
    }
    assert_eq!(call(&app, Method::GET, "/healthz", &[], "").await.status, StatusCode::OK);
    let page = call(&app, Method::GET, "/events", &[], "").await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in
        ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "'nonce-", "report-uri /api/v1/csp-report"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");
    let again = call(&app, Method::GET, "/events", &[], "").await;
    assert_ne!(again.headers[header::CONTENT_SECURITY_POLICY], page.headers[header::CONTENT_SECURITY_POLICY], "a nonce is used once");
}

#[tokio::test]
async fn the_token_opens_a_session_and_the_end_closes_it() {
    let app = console(|_| {}).0;
    let json = [("content-type", "application/json")];
    let wrong = call(&app, Method::POST, "/api/v1/session", &json, r#"{"token":"wrong"}"#).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let cookie = sign_in(&app).await;
    assert_eq!(call(&app, Method::GET, "/api/v1/loop", &[("cookie", &cookie)], "").await.status, StatusCode::OK);
    let own = [("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")];
    assert_eq!(call(&app, Method::DELETE, "/api/v1/session", &own, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(&app, Method::GET, "/api/v1/loop", &[("cookie", &cookie)], "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_link_works_once() {
    let app = console(|_| {}).0;
    let first = call(&app, Method::GET, "/?token=link", &[], "").await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert_eq!(first.headers[header::LOCATION], "/");
    let set = first.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = cookie_of(&first);
    assert_eq!(call(&app, Method::GET, "/api/v1/sources", &[("cookie", &cookie)], "").await.status, StatusCode::OK);
    assert!(!call(&app, Method::GET, "/?token=link", &[], "").await.headers.contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_change_with_a_cookie_must_come_from_our_page() {
    let app = console(|_| {}).0;
    let cookie = sign_in(&app).await;
    let base = [("cookie", cookie.as_str()), ("host", "127.0.0.1:8080")];
    for origin in [None, Some("http://127.0.0.1:9999"), Some("null"), Some("http://evil.example")] {
        let mut headers = base.to_vec();
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(call(&app, Method::POST, "/api/v1/runs/run-2/undo", &headers, "").await.status, StatusCode::FORBIDDEN, "{origin:?}");
    }
    let mut own = base.to_vec();
    own.push(("origin", "http://127.0.0.1:8080"));
    assert_eq!(call(&app, Method::POST, "/api/v1/runs/run-2/undo", &own, "").await.status, StatusCode::NO_CONTENT);
    // A program shows the token itself; no browser does that for a foreign page.
    let bearer = format!("Bearer {TOKEN}");
    let answer = call(&app, Method::POST, "/api/v1/runs/run-2/undo", &[("authorization", &bearer)], "").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn reports_of_the_policy_are_counted() {
    let app = console(|_| {}).0;
    assert_eq!(ask(&app, "/api/v1/csp-reports").await["count"], 0);
    assert_eq!(call(&app, Method::POST, "/api/v1/csp-report", &[], "{\"csp-report\":{}}").await.status, StatusCode::NO_CONTENT);
    assert_eq!(ask(&app, "/api/v1/csp-reports").await["count"], 1);
}
