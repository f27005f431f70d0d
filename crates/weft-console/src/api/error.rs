//! One error for all routes: a code for programs, a message for people, a position where there is one.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of fault it was; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be understood: 400.
    BadRequest,
    /// No session and no token: 401.
    Unauthenticated,
    /// A permit is missing, or the request came from another site: 403.
    Forbidden,
    /// No such thing: 404.
    NotFound,
    /// The thing is not in a state in which this can be done: 409.
    Conflict,
    /// The row or time budget is used up: 408.
    Timeout,
    /// Cancelled by the reader: 499 in spirit, 409 on the wire.
    Cancelled,
    /// Too many at once: 429.
    Busy,
    /// Not the reader's fault: 500.
    Internal,
}

/// Where in the text that was sent, in UTF-16 units as an editor counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TextSpan {
    /// First unit.
    pub start: usize,
    /// One past the last unit.
    pub end: usize,
}

/// A fault as the console reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// For a person: lower case, no full stop, what to do.
    pub message: String,
    /// Where, when the fault lies in a text that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<TextSpan>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The fault.
    pub error: ApiError,
}

impl ApiError {
    /// A fault without a position.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None }
    }

    /// A request that cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// A thing that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// A fault of the mesh itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The same fault at a place in the text.
    #[must_use]
    pub fn at(mut self, span: TextSpan) -> Self {
        self.span = Some(span);
        self
    }
}

impl From<ErrorCode> for StatusCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BadRequest => Self::BAD_REQUEST,
            ErrorCode::Unauthenticated => Self::UNAUTHORIZED,
            ErrorCode::Forbidden => Self::FORBIDDEN,
            ErrorCode::NotFound => Self::NOT_FOUND,
            ErrorCode::Conflict | ErrorCode::Cancelled => Self::CONFLICT,
            ErrorCode::Timeout => Self::REQUEST_TIMEOUT,
            ErrorCode::Busy => Self::TOO_MANY_REQUESTS,
            ErrorCode::Internal => Self::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (StatusCode::from(self.code), Json(ErrorBody { error: self })).into_response()
    }
}
