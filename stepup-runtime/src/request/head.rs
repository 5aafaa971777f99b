//! The head of a request, as every enforcer sees it.

use http::{Extensions, HeaderMap, Method, Uri};
use std::net::IpAddr;

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
    client: ClientAddress<'a>,
}

/// The client's address, which is read only if it is needed.
#[derive(Debug, Clone, Copy)]
enum ClientAddress<'a> {
    Unknown,
    Known(IpAddr),
    /// The function reads the address from the extensions of a request.
    InExtensions(&'a Extensions, fn(&Extensions) -> Option<IpAddr>),
}

impl<'a> RequestHead<'a> {
    /// A head with this method, this target as the client sent it, and these headers. If a router has removed a
    /// prefix from the target, pass the original target.
    pub fn new(method: &'a Method, target: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self { method, target, headers, client: ClientAddress::Unknown }
    }

    /// Sets the address of the client. No decision depends on it: it only keeps one client with many made-up opaque
    /// tokens from delaying the others. Behind a proxy, pass the address that the proxy reports.
    #[must_use]
    pub fn with_client(self, address: IpAddr) -> Self {
        Self { client: ClientAddress::Known(address), ..self }
    }

    /// Sets how the address of the client can be read from a request's extensions.
    pub(crate) fn with_client_in(
        self,
        extensions: &'a Extensions,
        read: fn(&Extensions) -> Option<IpAddr>,
    ) -> Self {
        Self { client: ClientAddress::InExtensions(extensions, read), ..self }
    }

    /// The address of the client, if it is known.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        match self.client {
            ClientAddress::Unknown => None,
            ClientAddress::Known(address) => Some(address),
            ClientAddress::InExtensions(extensions, read) => read(extensions),
        }
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
