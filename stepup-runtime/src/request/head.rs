//! The head of a request, as every enforcer sees it.

use http::{HeaderMap, Method, Uri};

/// The head of a request: everything that enforcement reads. An adapter builds it from its framework's request.
///
/// ```
/// use http::{HeaderMap, Method, Uri};
/// use stepup_runtime::RequestHead;
///
/// let (target, headers) = (Uri::from_static("/accounts/7?full=1"), HeaderMap::new());
/// let head = RequestHead::new(&Method::GET, &target, &headers);
/// assert_eq!(head.path(), "/accounts/7");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    target: &'a Uri,
    headers: &'a HeaderMap,
}

impl<'a> RequestHead<'a> {
    /// A head with this method, this target as the client sent it, and these headers. If a router has removed a
    /// prefix from the target, pass the original target.
    pub fn new(method: &'a Method, target: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self { method, target, headers }
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The target as the client sent it.
    pub fn target(&self) -> &'a Uri {
        self.target
    }

    /// The path of the target.
    pub fn path(&self) -> &'a str {
        self.target.path()
    }

    /// The query of the target.
    pub fn query(&self) -> Option<&'a str> {
        self.target.query()
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }
}
