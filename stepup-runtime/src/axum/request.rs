//! The head of an axum request as its client sent it. A nested router removes its prefix from the request's `Uri`, and
//! keeps the whole `Uri` in an extension.

use crate::request::head::RequestHead;
use axum::extract::{ConnectInfo, FromRequestParts, NestedPath, OriginalUri, RawPathParams};
use http::request::Parts;
use http::{Extensions, Request, Uri};
use percent_encoding::percent_decode_str;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The address of a request's client, behind a proxy. A middleware that knows how the proxy reports the address inserts
/// this into the request's extensions. Without a proxy, `into_make_service_with_connect_info::<SocketAddr>()` is enough.
///
/// No decision depends on the address: it only keeps one client with many made-up opaque tokens from delaying the
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(
    /// The address.
    pub IpAddr,
);

/// The head of the request as its client sent it.
pub(crate) fn request_head(parts: &Parts) -> RequestHead<'_> {
    RequestHead::new(&parts.method, original_uri(parts), &parts.headers)
        .with_client_in(&parts.extensions, client_address)
}

/// The address of the client: what a middleware has inserted, or the other end of the connection.
fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    let stated = extensions.get::<ClientAddress>().map(|client| client.0);
    let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    stated.or_else(peer)
}

/// The target is the one that the client sent, also in a nested router.
impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        request_head(parts)
    }
}

fn original_uri(parts: &Parts) -> &Uri {
    parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0)
}

/// Whether something other than nesting has changed the path since the outermost router received the request. Inner
/// routers then route another request than the client sent.
pub(crate) fn is_rewritten(parts: &Parts) -> bool {
    let (whole, here) = (original_uri(parts), &parts.uri);
    if whole.path_and_query() == here.path_and_query() {
        return false;
    }
    let nested = parts.extensions.get::<NestedPath>().map_or("", NestedPath::as_str);
    let removed = whole.path().strip_suffix(here.path()).or_else(|| {
        // axum serves an inner `/` at the base itself.
        (here.path() == "/").then(|| whole.path())
    });
    let segments = |path: &str| path.trim_end_matches('/').matches('/').count();
    // axum does not remove a segment that is only partly a parameter (`/v-{version}`), nor what follows it.
    let is_partial = |segment: &str| {
        segment.contains('{') && !(segment.starts_with('{') && segment.ends_with('}'))
    };
    let keeps_some = nested.split('/').any(is_partial);
    let nesting_explains = |removed: &str| match segments(nested).checked_sub(segments(removed)) {
        Some(kept) => (kept == 0 || keeps_some) && matches_prefix(removed, nested, parts),
        None => false,
    };
    whole.query() != here.query() || !removed.is_some_and(nesting_explains)
}

/// Whether the removed segments are those that axum has matched with the start of this nested prefix. After a rewrite
/// between two routers, the prefix or one of its parameters is another one.
fn matches_prefix(removed: &str, nested: &str, parts: &Parts) -> bool {
    let values = if nested.contains('{') { parameters(parts) } else { Vec::new() };
    let mut values = values.iter();
    removed.split('/').zip(nested.split('/')).all(|(removed, nested)| {
        match nested.split_once('{') {
            None => removed == nested,
            Some((fixed, _)) => {
                removed.strip_prefix(fixed).zip(values.next()).is_some_and(|(removed, value)| {
                    percent_decode_str(removed).eq(value.as_bytes().iter().copied())
                })
            }
        }
    })
}

/// The values of the path's parameters that axum has matched so far.
fn parameters(parts: &Parts) -> Vec<String> {
    let (mut bare, ()) = Request::new(()).into_parts();
    bare.extensions = parts.extensions.clone();
    let parameters = pin!(RawPathParams::from_request_parts(&mut bare, &()));
    // This extractor never waits.
    match parameters.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(parameters)) => parameters.iter().map(|(_, value)| value.into()).collect(),
        Poll::Ready(Err(_)) | Poll::Pending => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;
    use http::Request;
    use tower_service::Service;

    /// Whether the request counts as rewritten in the handler that this router selects.
    async fn rewritten(mut router: Router, target: &str) -> bool {
        let request = Request::get(target).body(Body::empty()).unwrap();
        let response = Service::call(&mut router, request).await.unwrap();
        match response.status().as_u16() {
            200 => false,
            418 => true,
            other => panic!("{target}: {other}"),
        }
    }

    async fn probe(head: Parts) -> http::StatusCode {
        if is_rewritten(&head) { http::StatusCode::IM_A_TEAPOT } else { http::StatusCode::OK }
    }

    #[test]
    fn the_clients_address_is_what_a_middleware_states_else_the_other_end_of_the_connection() {
        let (mut parts, ()) = Request::new(()).into_parts();
        assert_eq!(request_head(&parts).client(), None);
        let peer = SocketAddr::from(([192, 0, 2, 1], 5000));
        parts.extensions.insert(ConnectInfo(peer));
        assert_eq!(request_head(&parts).client(), Some(peer.ip()));
        let stated = IpAddr::from([192, 0, 2, 2]);
        parts.extensions.insert(ClientAddress(stated));
        assert_eq!(request_head(&parts).client(), Some(stated));
    }

    #[tokio::test]
    async fn nesting_is_not_a_rewrite() {
        let inner =
            || Router::new().route("/", any(probe)).route("/a/{b}", any(probe)).fallback(probe);
        for target in ["/", "/a/b?c=d", "/a/b/", "/x//y"] {
            assert!(!rewritten(inner(), target).await, "{target}");
        }
        let nested = Router::new().nest("/{x}", Router::new().nest("/api", inner()));
        for target in ["/1/api", "/1/api/a/b?c=d", "/api/api/a/b"] {
            assert!(!rewritten(nested.clone(), target).await, "{target}");
        }
        let versions = Router::new().nest("/api", Router::new().nest("/v-{version}", inner()));
        assert!(!rewritten(versions, "/api/v-1/a/b").await);
        let routes = || Router::new().route("/", any(probe)).route("/a/{b}", any(probe));
        let encoded = Router::new().nest("/{x}/b/{y}", routes());
        for target in ["/%41/b/a%20b/a/b", "/a:/b/%C3%A9", "/x/b/{y}/a/b"] {
            assert!(!rewritten(encoded.clone(), target).await, "{target}");
        }
        let service = Router::new().nest("/{x}", Router::new().nest_service("/{y}/api", routes()));
        for target in ["/1/2/api", "/1/2/api/a/b?c=d"] {
            assert!(!rewritten(service.clone(), target).await, "{target}");
        }
        let service = Router::new().nest_service("/api", inner());
        for target in ["/api", "/api/", "/api/a/b?c=d"] {
            assert!(!rewritten(service.clone(), target).await, "{target}");
        }
    }

    #[tokio::test]
    async fn a_rewrite_between_the_routers_is_detected() {
        for (target, to) in [
            ("/t/a/b", "/a/b"),
            ("/x", "/a/b"),
            ("/a/b?c", "/a/b?d"),
            ("/a/b/c", "/c"),
            ("/a", "/"),
        ] {
            let probe = move |mut head: Parts| {
                head.uri = to.parse().unwrap();
                probe(head)
            };
            assert!(rewritten(Router::new().fallback(probe), target).await, "{target} to {to}");
            let nested = Router::new().nest("/n/m", Router::new().fallback(probe));
            assert!(rewritten(nested, &format!("/n/m{target}")).await, "{target} to {to}, nested");
        }
    }
}
