//! The path of a request as its client sent it. A nested axum router takes its prefix off the
//! request's `Uri`, and keeps the whole beside it.

use axum::extract::{FromRequestParts, NestedPath, OriginalUri, RawPathParams};
use http::request::Parts;
use http::{Request, Uri};
use percent_encoding::percent_decode_str;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The whole of it.
pub(crate) fn whole_uri(head: &Parts) -> &Uri {
    head.extensions.get::<OriginalUri>().map_or(&head.uri, |original| &original.0)
}

/// Whether something other than nesting has changed the path since the outermost router saw it: the routers further
/// in take the request for another one then than its client sent.
pub(crate) fn is_rewritten(head: &Parts) -> bool {
    let (whole, here) = (whole_uri(head), &head.uri);
    if whole.path_and_query() == here.path_and_query() {
        return false;
    }
    let nested = head.extensions.get::<NestedPath>().map_or("", NestedPath::as_str);
    let taken = whole.path().strip_suffix(here.path()).or_else(|| {
        // axum serves an inner `/` at the base itself.
        (here.path() == "/").then(|| whole.path())
    });
    let segments = |path: &str| path.trim_end_matches('/').matches('/').count();
    // axum leaves a part of which the parameter is not the whole (`/v-{version}`), and all behind it.
    let partly = |part: &str| part.contains('{') && !(part.starts_with('{') && part.ends_with('}'));
    let leaves_some = nested.split('/').any(partly);
    let explains = |taken: &str| match segments(nested).checked_sub(segments(taken)) {
        Some(left) => (left == 0 || leaves_some) && is_of(taken, nested, head),
        None => false,
    };
    whole.query() != here.query() || !taken.is_some_and(explains)
}

/// Whether these segments are those that axum has matched with the beginning of a prefix, as it is written in the
/// program: what is rewritten between two routers has another prefix than its client sent, or another parameter in it.
fn is_of(taken: &str, nested: &str, head: &Parts) -> bool {
    let values = if nested.contains('{') { parameters(head) } else { Vec::new() };
    let mut values = values.iter();
    taken.split('/').zip(nested.split('/')).all(|(taken, nested)| match nested.split_once('{') {
        None => taken == nested,
        Some((fixed, _)) => {
            taken.strip_prefix(fixed).zip(values.next()).is_some_and(|(taken, value)| {
                percent_decode_str(taken).eq(value.as_bytes().iter().copied())
            })
        }
    })
}

/// The values of the path's parameters, as far as axum has matched it.
fn parameters(head: &Parts) -> Vec<String> {
    let (mut bare, ()) = Request::new(()).into_parts();
    bare.extensions = head.extensions.clone();
    let parameters = pin!(RawPathParams::from_request_parts(&mut bare, &()));
    // It waits for nothing.
    match parameters.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(parameters)) => parameters.iter().map(|(_, value)| value.into()).collect(),
        Poll::Ready(Err(_)) | Poll::Pending => Vec::new(),
    }
}

/// The whole path.
pub(crate) fn whole_path(head: &Parts) -> &str {
    whole_uri(head).path()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;
    use http::Request;
    use tower_service::Service;

    /// Whether the request seems to be rewritten where this router leads it.
    async fn rewritten(mut router: Router, target: &str) -> bool {
        let request = Request::get(target).body(Body::empty()).unwrap();
        let response = Service::call(&mut router, request).await.unwrap();
        match response.status().as_u16() {
            200 => false,
            418 => true,
            other => panic!("{target}: {other}"),
        }
    }

    async fn look(head: Parts) -> http::StatusCode {
        if is_rewritten(&head) { http::StatusCode::IM_A_TEAPOT } else { http::StatusCode::OK }
    }

    #[tokio::test]
    async fn nesting_is_no_rewriting() {
        let inner =
            || Router::new().route("/", any(look)).route("/a/{b}", any(look)).fallback(look);
        for target in ["/", "/a/b?c=d", "/a/b/", "/x//y"] {
            assert!(!rewritten(inner(), target).await, "{target}");
        }
        let nested = Router::new().nest("/{x}", Router::new().nest("/api", inner()));
        for target in ["/1/api", "/1/api/a/b?c=d", "/api/api/a/b"] {
            assert!(!rewritten(nested.clone(), target).await, "{target}");
        }
        let versions = Router::new().nest("/api", Router::new().nest("/v-{version}", inner()));
        assert!(!rewritten(versions, "/api/v-1/a/b").await);
        let routes = || Router::new().route("/", any(look)).route("/a/{b}", any(look));
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
    async fn what_is_put_between_the_routers_is_seen() {
        for (target, to) in [
            ("/t/a/b", "/a/b"),
            ("/x", "/a/b"),
            ("/a/b?c", "/a/b?d"),
            ("/a/b/c", "/c"),
            ("/a", "/"),
        ] {
            let look = move |mut head: Parts| {
                head.uri = to.parse().unwrap();
                look(head)
            };
            assert!(rewritten(Router::new().fallback(look), target).await, "{target} to {to}");
            let nested = Router::new().nest("/n/m", Router::new().fallback(look));
            assert!(rewritten(nested, &format!("/n/m{target}")).await, "{target} to {to}, nested");
        }
    }
}
