//! An assertion for tests: a response is a challenge with these parameters.

use http::Response;
use http::header::WWW_AUTHENTICATE;

/// Asserts that a response is the challenge of RFC 9470, with these parameters: status 401,
/// `insufficient_user_authentication`, and for example `acr_values` and `max_age`.
///
/// ```
/// use stepup_runtime::testing::assert_challenge;
///
/// # let response = http::Response::builder().status(401).header("www-authenticate",
/// #     "Bearer error=\"insufficient_user_authentication\", acr_values=\"mfa\", max_age=\"300\"").body(()).unwrap();
/// assert_challenge(&response, &[("acr_values", "mfa"), ("max_age", "300")]);
/// ```
///
/// # Panics
/// If the response is another one; the message contains its status and challenge.
#[track_caller]
pub fn assert_challenge<B>(response: &Response<B>, parameters: &[(&str, &str)]) {
    let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let challenges: Vec<&str> = challenges.filter_map(|value| value.to_str().ok()).collect();
    let challenge = challenges.join(", ");
    let status = response.status();
    let shown = || format!("the response is {status} with the challenge {challenge:?}");
    let expected = [("error", "insufficient_user_authentication")];
    assert!(status == 401, "expected a challenge with status 401; {}", shown());
    for (name, value) in expected.iter().chain(parameters) {
        let found = parameter(&challenge, name);
        assert!(
            found.as_deref() == Some(*value),
            "expected {name}={value:?}, found {found:?}; {}",
            shown()
        );
    }
}

/// The value of a parameter in a challenge, whose values are quoted and contain no quotes.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let parts = challenge.split('"').collect::<Vec<_>>();
    parts.chunks_exact(2).find_map(|pair| {
        let [before, value] = pair else { return None };
        let known = before.trim_end_matches('=').rsplit([' ', ',']).next()?;
        (known == name).then(|| (*value).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, challenge: &str) -> Response<()> {
        let response = Response::builder().status(status).header(WWW_AUTHENTICATE, challenge);
        response.body(()).unwrap()
    }

    const CHALLENGE: &str = "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold mfa\", max_age=\"300\"";

    #[test]
    fn each_parameter_is_compared() {
        assert_challenge(&response(401, CHALLENGE), &[]);
        assert_challenge(
            &response(401, CHALLENGE),
            &[("acr_values", "gold mfa"), ("max_age", "300")],
        );
    }

    #[test]
    #[should_panic(expected = "expected max_age=\"60\", found Some(\"300\")")]
    fn another_value_fails() {
        assert_challenge(&response(401, CHALLENGE), &[("max_age", "60")]);
    }

    #[test]
    #[should_panic(expected = "expected a challenge with status 401; the response is 200 OK")]
    fn another_status_fails() {
        assert_challenge(&response(200, CHALLENGE), &[]);
    }

    #[test]
    #[should_panic(expected = "expected error=")]
    fn another_error_fails() {
        assert_challenge(&response(401, "Bearer error=\"invalid_token\""), &[]);
    }
}
