//! The one credential of a request (RFC 6750 §2). A request that carries two, or one that can be
//! read in two ways, is refused before anything is verified.

use crate::found::reads_as;
use crate::refusal::{Cause, Refusal};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

/// Longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// How a token is presented, by its authentication scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750: whoever has the token may use it.
    Bearer,
    /// RFC 9449 §7.1: with a proof that the caller has the token's key.
    Dpop,
}

/// The one credential of a request. What follows the scheme still has to pass [`check_form`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credential<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a [u8],
}

/// The credential of a request with these headers and this query.
///
/// A token in the query (RFC 6750 §2.3) is never accepted, since it ends up in logs; beside a header
/// it is a second credential. Another scheme than Bearer and DPoP is no credential for us.
pub(crate) fn credential<'a>(
    headers: &'a HeaderMap,
    query: Option<&str>,
) -> Result<Credential<'a>, Refusal> {
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
    let value = value.as_bytes();
    let length = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (name, rest) = value.split_at(length);
    let scheme = if name.eq_ignore_ascii_case(b"bearer") {
        Scheme::Bearer
    } else if name.eq_ignore_ascii_case(b"dpop") {
        Scheme::Dpop
    } else {
        return Err(if names_second_credential(value) {
            invalid("the Authorization header holds more than one credential")
        } else if name.is_empty() {
            invalid("the Authorization header names no scheme")
        } else {
            Cause::CredentialRequired.into()
        });
    };
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    Ok(Credential { scheme, token: &rest[spaces..] })
}

/// Whether a request with this head carries exactly one credential, and one that can be read (RFC 6750 §2): what is
/// looked at first at an endpoint. Enforcing it includes this.
///
/// # Errors
/// The refusal.
pub fn check_credential(head: &Parts) -> Result<(), Refusal> {
    check_form(credential(&head.headers, head.uri.query())?.token).map(drop)
}

/// Checks that a token is one (`b64token` of RFC 6750 §2.1) and not too long. A token that is known
/// has passed this before.
pub(crate) fn check_form(token: &[u8]) -> Result<&str, Refusal> {
    if token.is_empty() {
        return Err(invalid("the Authorization header holds no token"));
    }
    if token.contains(&b',') {
        return Err(invalid("the Authorization header holds more than one credential"));
    }
    let body = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    // A table and no branches: every token that is not cached comes through here.
    let fits = token[..body].iter().fold(true, |fits, byte| fits & FITS[usize::from(*byte)]);
    let text = std::str::from_utf8(token).ok();
    let Some(text) = text.filter(|_| body > 0 && fits) else {
        return Err(invalid("the token has characters that no token has"));
    };
    if token.len() > MAX_TOKEN {
        return Err(Cause::InvalidToken("the token is too long").into());
    }
    Ok(text)
}

/// The characters of a token, padding apart.
const FITS: [bool; 256] = {
    let mut fits = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let character = byte as u8;
        fits[byte] = character.is_ascii_alphanumeric()
            || matches!(character, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    fits
};

fn invalid(detail: &'static str) -> Refusal {
    Cause::InvalidRequest(detail).into()
}

/// Whether some server finds a token in this query: some part it at semicolons, and read other signs as `_`.
fn has_access_token(query: &str) -> bool {
    let mut pairs =
        query.split(['&', ';']).flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    // Spaces in front, and what stands behind a NUL or in brackets, some overlook.
    let name = |key: &str| key.split(['\0', '[']).next().unwrap_or_default().trim().to_owned();
    pairs.any(|(key, _)| reads_as(&name(&key), "access-token"))
}

/// Whether a header of another scheme has a credential of ours behind a comma.
fn names_second_credential(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').skip(1).any(|part| {
        let word = part.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or_default();
        word.eq_ignore_ascii_case(b"bearer") || word.eq_ignore_ascii_case(b"dpop")
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
        credential(&headers, query)
            .and_then(|credential| check_form(credential.token))
            .map(str::to_owned)
            .map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn one_bearer_token_is_the_credential() {
        assert_eq!(of(&["Bearer a.b.c"], None), Ok("a.b.c".into()));
        assert_eq!(of(&["bearer  a.b.c=="], Some("x=1")), Ok("a.b.c==".into()));
        assert_eq!(of(&["DPoP a.b.c"], None), Ok("a.b.c".into()));
    }

    #[test]
    fn nothing_or_another_scheme_is_no_credential() {
        for values in [&[][..], &["Basic YTpi"], &["Digest a=\"b\", c=\"d\""]] {
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
            &["Basic YTpi, dpop a.b.c"],
            &["Bearer a=b"],
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
        for query in [
            "access%5Ftoken=d",
            "x=1;access_token=d",
            "access.token=d",
            "Access%20Token",
            "%20access_token",
            "access_token%00x",
            "access_token[]=d",
        ] {
            assert_eq!(of(&["Bearer a.b.c"], Some(query)), Err(400), "{query}");
        }
        assert_eq!(of(&["Bearer a.b.c"], Some("access=token;accesstoken")), Ok("a.b.c".into()));
    }

    #[test]
    fn a_token_beyond_the_limit_is_not_looked_at() {
        assert_eq!(of(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN + 1))], None), Err(401));
        assert!(of(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN))], None).is_ok());
    }
}
