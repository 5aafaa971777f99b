//! Checks over HTTP: a request that describes the client's request, in headers or in its own request line. 200 allows
//! the client's request; any other response is the refusal, which the gateway passes on to the client.

use crate::gateway::authorizer::Authorizer;
use crate::gateway::client_request::client_request;
use crate::gateway::identity_headers::identity_headers;
use crate::gateway::listener::TextService;
use crate::settings::listen::Mode;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::sync::Arc;

/// Answers the checks of one listener. The body of a check is not read.
pub(crate) fn service(mode: Mode, authorizer: Arc<Authorizer>) -> impl TextService {
    service_fn(move |check: Request<Incoming>| {
        let authorizer = Arc::clone(&authorizer);
        async move { Ok::<_, Infallible>(answer(mode, &authorizer, check).await) }
    })
}

async fn answer(mode: Mode, authorizer: &Authorizer, check: Request<Incoming>) -> Response<String> {
    let request = client_request(mode, check.into_parts().0);
    match authorizer.authorize(mode, request).await {
        Ok(admission) => {
            let mut headers = HeaderMap::with_capacity(1 + authorizer.identity.sent().len());
            // The response is valid for this request only.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            for (name, value) in identity_headers(&authorizer.identity, &admission) {
                // The values are visible ASCII. A request must not be allowed with a missing identity header.
                let Ok(value) = HeaderValue::from_maybe_shared(value) else {
                    return internal_error();
                };
                headers.insert(name, value);
            }
            let mut response = Response::new(String::new());
            *response.headers_mut() = headers;
            response
        }
        Err(refusal) => {
            let mut response = refusal.to_response();
            if mode == Mode::Nginx
                && let Some(problem) = as_header(response.body())
            {
                response.headers_mut().insert("step-up-problem", problem);
            }
            response
        }
    }
}

fn internal_error() -> Response<String> {
    tracing::error!("an identity header cannot be written");
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The problem as JSON in ASCII, for a header, unless the problem is too long. nginx drops the body of a response to
/// `auth_request`, and can be configured to send the value of this header instead.
fn as_header(problem: &str) -> Option<HeaderValue> {
    let mut text = String::with_capacity(problem.len());
    for character in problem.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    HeaderValue::try_from(text).ok().filter(|value| value.len() <= 2048)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_in_a_header_has_the_same_content() {
        let problem = r#"{"detail":"é and 😀"}"#;
        let header = as_header(problem).unwrap();
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert!(header.to_str().is_ok());
        assert_eq!(read(header.as_bytes()), read(problem.as_bytes()));
        assert_eq!(as_header(&"x".repeat(2049)), None);
    }
}
