//! The built pages, embedded, and a stub when they are not built.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::headers::page_policy;
use crate::routes::Shared;
use crate::session::secret;

/// What `npm run build` writes; each text file also as `.br` and `.gz`.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
struct Dist;

/// Stands in the page where the nonce of the answer goes.
const NONCE_MARK: &str = "__WEFT_NONCE__";

const STUB: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Weft</title></head><body><main>\
<h1>Weft is running</h1><p>The pages of the console are not built into this program. Build them with \
<code>npm ci &amp;&amp; npm run build</code> in <code>console/</code> and build the program again. \
The API answers at <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p></main></body></html>";

/// Every path that no route has: a file of the build, else the page, which routes by itself.
pub(crate) async fn serve(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    if let Some(token) = link_token(&uri) {
        return enter(&shared, token).await;
    }
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    if path.starts_with("assets/") || path.contains('.') {
        return file(path, &headers).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response());
    }
    page()
}

fn link_token(uri: &Uri) -> Option<&str> {
    let query = uri.query().filter(|_| uri.path() == "/")?;
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// The link works once; whoever comes later is asked for the token, unless signed in already.
async fn enter(shared: &Shared, token: &str) -> Response {
    // A redirect, so that the token stays neither in the address bar nor in the history.
    let mut response = Redirect::to("/").into_response();
    if let Some(cookie) = shared.sessions.open_by_link(token, crate::session::now_ms()).await {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn page() -> Response {
    let nonce = secret();
    let html = match Dist::get("index.html") {
        Some(file) => String::from_utf8_lossy(&file.data).replace(NONCE_MARK, &nonce),
        None => STUB.to_owned(),
    };
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    if let Ok(policy) = HeaderValue::from_str(&page_policy(&nonce)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let packed = [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(accepted, encoding))
        .find_map(|(encoding, ending)| Some((Dist::get(&format!("{path}.{ending}"))?, Some(encoding))));
    let (file, encoding) = packed.or_else(|| Some((Dist::get(path)?, None)))?;
    Some(answer(path, file, encoding))
}

fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|one| one.split(';').next().is_some_and(|name| name.trim() == encoding))
}

fn answer(path: &str, file: EmbeddedFile, encoding: Option<&'static str>) -> Response {
    let mut response = Body::from(file.data.into_owned()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    // Names of built files hold a digest of their content.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
