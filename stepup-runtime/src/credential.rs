//! The one credential of a request (RFC 6750 §2). A request that carries two, or one that can be
//! read in two ways, is refused before anything is verified.

use crate::refusal::{Cause, Refusal};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// The bearer token of a request with these headers and this query.
///
/// A token in the query (RFC 6750 §2.3) is never accepted, since it ends up in logs; beside a header
/// it is a second credential. Another scheme than Bearer is no credential for us.
pub(crate) fn bearer<'a>(headers: &'a HeaderMap, query: Option<&str>) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Cause::CredentialRequired.into());
    };
    if values.next().is_some() {
        return Err(invalid("the Authorization header stands more than once"));
    }
    if query.is_some_and(has_access_token) {
        return Err(invalid("the request carries a token in the header and one in the query"));
    }
    let value = value.to_str().map_err(|_| invalid("the Authorization header is not ASCII"))?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(if names_second_bearer(value) {
            invalid("the Authorization header holds more than one credential")
        } else if scheme.is_empty() {
            invalid("the Authorization header names no scheme")
        } else {
            Cause::CredentialRequired.into()
        });
    }
    let token = rest.trim_start_matches(' ');
    if token.is_empty() {
        return Err(invalid("the Authorization header holds no token"));
    }
    if token.contains(',') {
        return Err(invalid("the Authorization header holds more than one credential"));
    }
    if !is_b64token(token) {
        return Err(invalid("the token has characters that no token has"));
    }
    if token.len() > MAX_TOKEN {
        return Err(Cause::InvalidToken("the token is too long").into());
    }
    Ok(token)
}

fn invalid(detail: &'static str) -> Refusal {
    Cause::InvalidRequest(detail).into()
}

/// `b64token` of RFC 6750 §2.1.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty()
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

fn has_access_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "access_token")
}

/// Whether a header of another scheme has a bearer credential behind a comma.
fn names_second_bearer(value: &str) -> bool {
    value.split(',').skip(1).any(|part| {
        let word = part.trim_start().split(' ').next().unwrap_or_default();
        word.eq_ignore_ascii_case("bearer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(values: &[&str], query: Option<&str>) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        bearer(&headers, query).map(str::to_owned).map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn one_bearer_token_is_the_credential() {
        assert_eq!(of(&["Bearer a.b.c"], None), Ok("a.b.c".into()));
        assert_eq!(of(&["bearer  a.b.c=="], Some("x=1")), Ok("a.b.c==".into()));
    }

    #[test]
    fn nothing_or_another_scheme_is_no_credential() {
        for values in [&[][..], &["Basic YTpi"], &["Digest a=\"b\", c=\"d\""], &["DPoP a.b.c"]] {
            assert_eq!(of(values, None), Err(401), "{values:?}");
        }
        assert_eq!(of(&[], Some("access_token=a.b.c")), Err(401));
    }

    #[test]
    fn two_credentials_or_a_malformed_one_are_an_invalid_request() {
        for values in [
            &["Bearer a.b.c", "Bearer a.b.c"][..],
            &["Basic YTpi", "Bearer a.b.c"],
            &["Bearer a.b.c, Bearer d.e.f"],
            &["Bearer a.b.c,d.e.f"],
            &["Basic YTpi, Bearer a.b.c"],
            &["Basic YTpi,bearer a.b.c"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a.b.c "],
            &["Bearer \u{e9}"],
            &["Bearer \"a\""],
            &["Bearer ="],
            &[""],
            &[" Bearer a.b.c"],
        ] {
            assert_eq!(of(values, None), Err(400), "{values:?}");
        }
        assert_eq!(of(&["Bearer a.b.c"], Some("x=1&access_token=d")), Err(400));
        assert_eq!(of(&["Bearer a.b.c"], Some("access%5Ftoken=d")), Err(400));
    }

    #[test]
    fn a_token_beyond_the_limit_is_not_looked_at() {
        assert_eq!(of(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN + 1))], None), Err(401));
        assert!(of(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN))], None).is_ok());
    }
}
