//! The head of a client's request.

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri};
use stepup_runtime::{InvalidRequest, RequestHead};

/// The head of a client's request.
#[derive(Debug, Clone)]
pub(crate) struct ClientRequest {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
}

impl ClientRequest {
    /// The head of the request, as enforcement reads it.
    pub(crate) fn head(&self) -> RequestHead<'_> {
        RequestHead::new(&self.method, &self.target, &self.headers)
    }
}

/// Parses a request's target in origin form (RFC 9112 §3.2.1). A fragment, which the parser would drop, is refused.
pub(crate) fn parse_target(target: &[u8]) -> Result<Uri, InvalidRequest> {
    if target.first() != Some(&b'/') || target.contains(&b'#') {
        return Err(InvalidRequest::Target);
    }
    PathAndQuery::try_from(target).map(Uri::from).map_err(|_| InvalidRequest::Target)
}
