//! Questions over HTTP: a request that tells of the client's request, by headers or by its own request line.
//! 200 lets it through; every other answer is the refusal, which the gateway hands to the client.

use crate::gateway::authorizer::Authorizer;
use crate::gateway::mode::Mode;
use crate::gateway::serve::TextService;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::sync::Arc;

/// Answers the questions of one listener. The question's body is not read.
pub(crate) fn service(mode: Mode, authorizer: Arc<Authorizer>) -> impl TextService {
    service_fn(move |question: Request<Incoming>| {
        let authorizer = Arc::clone(&authorizer);
        async move { Ok::<_, Infallible>(answer(mode, &authorizer, question).await) }
    })
}

async fn answer(
    mode: Mode,
    authorizer: &Authorizer,
    question: Request<Incoming>,
) -> Response<String> {
    let head = mode.client_request(question.into_parts().0);
    match authorizer.judge(mode, head).await {
        Ok(admission) => {
            let mut headers = HeaderMap::with_capacity(1 + authorizer.identity.told().len());
            // It is good for this request alone.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            for (name, value) in authorizer.identity.of(&admission) {
                // Visible ASCII, every one of them; one that is not must not be let through as another.
                let Ok(value) = HeaderValue::from_maybe_shared(value) else { return broken() };
                headers.insert(name, value);
            }
            let mut response = Response::new(String::new());
            *response.headers_mut() = headers;
            response
        }
        Err(refusal) => {
            let mut response = refusal.to_response();
            if mode == Mode::Nginx
                && let Some(problem) = in_a_header(response.body())
            {
                response.headers_mut().insert("step-up-problem", problem);
            }
            response
        }
    }
}

fn broken() -> Response<String> {
    tracing::error!("an identity header could not be written");
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// nginx drops the body of an answer to `auth_request`, and can be told to send what a header holds in its
/// place: the problem as JSON in ASCII, unless it is longer than headers should be.
fn in_a_header(problem: &str) -> Option<HeaderValue> {
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
    fn a_problem_fits_into_a_header_and_means_the_same() {
        let problem = r#"{"detail":"é and 😀"}"#;
        let header = in_a_header(problem).unwrap();
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert!(header.to_str().is_ok());
        assert_eq!(read(header.as_bytes()), read(problem.as_bytes()));
        assert_eq!(in_a_header(&"x".repeat(2049)), None);
    }
}
