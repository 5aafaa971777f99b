//! The path of a request as its client sent it. A nested axum router takes its prefix off the
//! request's `Uri`, and keeps the whole beside it.

use axum::extract::{NestedPath, OriginalUri};
use http::Uri;
use http::request::Parts;

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
    let explains = |taken| match segments(nested).checked_sub(segments(taken)) {
        Some(left) => left == 0 || leaves_some,
        None => false,
    };
    whole.query() != here.query() || !taken.is_some_and(explains)
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
