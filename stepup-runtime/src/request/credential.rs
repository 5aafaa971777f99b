//! The one credential of a request (RFC 6750 §2). A request with two credentials, or with one that can be read in
//! two ways, is refused before anything is verified.

use crate::refusal::{Cause, InvalidRequest, Scheme};
use crate::request::head::RequestHead;
use crate::request::header_name::reads_as;
use crate::request::limits::RequestLimits;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

/// The prefix of the subprotocol in which a browser passes a token when it opens a WebSocket. Its API for WebSockets
/// cannot set other headers.
const WEBSOCKET_PREFIX: &[u8] = b"step-up.bearer.";

/// Where a request may carry its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenPlaces {
    /// In `Authorization`.
    Authorization,
    /// There, or in `Sec-WebSocket-Protocol`.
    AuthorizationOrWebSocket,
}

/// The one credential of a request. The token still has to pass [`check_token_syntax`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credential<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a [u8],
}

impl<'a> Credential<'a> {
    /// The credential of a request.
    ///
    /// A token in the query (RFC 6750 §2.3) is never accepted, because it ends up in logs; together with a header it
    /// is a second credential. A scheme other than Bearer and DPoP is no credential here.
    pub(crate) fn of(head: &RequestHead<'a>, places: TokenPlaces) -> Result<Self, Cause> {
        let mut values = head.headers().get_all(AUTHORIZATION).iter();
        let authorization = values.next();
        if values.next().is_some() {
            return Err(InvalidRequest::RepeatedAuthorization.into());
        }
        let of_websocket = match places {
            TokenPlaces::Authorization => None,
            TokenPlaces::AuthorizationOrWebSocket => websocket_token(head)?,
        };
        if (authorization.is_some() || of_websocket.is_some())
            && head.query().is_some_and(has_access_token)
        {
            return Err(InvalidRequest::TokenInQuery.into());
        }
        match (authorization, of_websocket) {
            (Some(_), Some(_)) => Err(InvalidRequest::SeveralCredentials.into()),
            (Some(value), None) => Self::of_authorization(value.as_bytes()),
            (None, Some(token)) => Ok(Self { scheme: Scheme::Bearer, token }),
            (None, None) => Err(Cause::CredentialRequired),
        }
    }

    fn of_authorization(value: &'a [u8]) -> Result<Self, Cause> {
        let length = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (name, rest) = value.split_at(length);
        let scheme = if name.eq_ignore_ascii_case(b"bearer") {
            Scheme::Bearer
        } else if name.eq_ignore_ascii_case(b"dpop") {
            Scheme::Dpop
        } else {
            return Err(if has_second_credential(value) {
                InvalidRequest::SeveralCredentials.into()
            } else if name.is_empty() {
                InvalidRequest::NoScheme.into()
            } else {
                Cause::CredentialRequired
            });
        };
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        Ok(Self { scheme, token: &rest[spaces..] })
    }
}

/// The token among the subprotocols that the client offers (RFC 6455 §4.1).
fn websocket_token<'a>(head: &RequestHead<'a>) -> Result<Option<&'a [u8]>, InvalidRequest> {
    let offers = head.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offers = offers.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut tokens = offers.filter_map(|offer| offer.trim_ascii().strip_prefix(WEBSOCKET_PREFIX));
    let token = tokens.next();
    if tokens.next().is_some() { Err(InvalidRequest::SeveralCredentials) } else { Ok(token) }
}

/// Checks that a request has exactly one well-formed credential (RFC 6750 §2). Enforcement includes this check.
///
/// # Errors
/// Why the request is refused.
pub fn check_credential(head: &RequestHead<'_>) -> Result<(), Cause> {
    let token = Credential::of(head, TokenPlaces::Authorization)?.token;
    RequestLimits::default().check_token(token)?;
    check_token_syntax(token).map(drop)
}

/// Checks that a token has the syntax of one (`b64token` of RFC 6750 §2.1). A cached token has passed this check
/// before.
pub(crate) fn check_token_syntax(token: &[u8]) -> Result<&str, Cause> {
    if token.is_empty() {
        return Err(InvalidRequest::NoToken.into());
    }
    let body = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    // A table instead of branches: every token that is not cached passes here.
    let allowed =
        token[..body].iter().fold(true, |all, byte| all & TOKEN_BYTES[usize::from(*byte)]);
    let text = std::str::from_utf8(token).ok();
    let Some(text) = text.filter(|_| body > 0 && allowed) else {
        let several = token.contains(&b',');
        let reason = if several {
            InvalidRequest::SeveralCredentials
        } else {
            InvalidRequest::TokenCharacters
        };
        return Err(reason.into());
    };
    Ok(text)
}

/// The bytes of a token, except the padding.
const TOKEN_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let character = byte as u8;
        allowed[byte] = character.is_ascii_alphanumeric()
            || matches!(character, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    allowed
};

/// Whether some server finds a token in this query. Some servers also split a query at semicolons, and read other
/// characters as `_`.
fn has_access_token(query: &str) -> bool {
    let mut pairs =
        query.split(['&', ';']).flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    // Some servers ignore leading spaces, and what follows a NUL or a bracket.
    let name = |key: &str| key.split(['\0', '[']).next().unwrap_or_default().trim().to_owned();
    pairs.any(|(key, _)| reads_as(&name(&key), "access-token"))
}

/// Whether a header of another scheme contains a Bearer or DPoP credential after a comma.
fn has_second_credential(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').skip(1).any(|part| {
        let word = part.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or_default();
        word.eq_ignore_ascii_case(b"bearer") || word.eq_ignore_ascii_case(b"dpop")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, Method, Uri};

    fn of(values: &[&str], query: Option<&str>) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let target: Uri = format!("/?{}", query.unwrap_or_default()).parse().unwrap();
        let head = RequestHead::new(&Method::GET, &target, &headers);
        Credential::of(&head, TokenPlaces::Authorization)
            .and_then(|credential| {
                RequestLimits::default().check_token(credential.token)?;
                check_token_syntax(credential.token)
            })
            .map(str::to_owned)
            .map_err(|cause| cause.status().as_u16())
    }

    #[test]
    fn one_bearer_token_is_the_credential() {
        assert_eq!(of(&["Bearer a.b.c"], None), Ok("a.b.c".into()));
        assert_eq!(of(&["bearer  a.b.c=="], Some("x=1")), Ok("a.b.c==".into()));
        assert_eq!(of(&["DPoP a.b.c"], None), Ok("a.b.c".into()));
    }

    #[test]
    fn a_missing_header_or_another_scheme_requires_a_credential() {
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
    fn a_websocket_token_is_a_credential_only_where_it_is_allowed() {
        let of = |offers: &[&str], authorization: Option<&str>, query, places| {
            let mut headers = HeaderMap::new();
            for offer in offers {
                headers.append(SEC_WEBSOCKET_PROTOCOL, offer.parse().unwrap());
            }
            headers.extend(authorization.map(|value| (AUTHORIZATION, value.parse().unwrap())));
            let target: Uri = format!("/?{query}").parse().unwrap();
            let head = RequestHead::new(&Method::GET, &target, &headers);
            Credential::of(&head, places)
                .map(|credential| String::from_utf8(credential.token.to_vec()).unwrap())
                .map_err(|cause| cause.status().as_u16())
        };
        let token = || Ok("a.b.c".to_owned());
        let both = TokenPlaces::AuthorizationOrWebSocket;
        for offers in [
            &["step-up.bearer.a.b.c"][..],
            &["bank.v1, step-up.bearer.a.b.c"],
            &["step-up.bearer.a.b.c ,bank.v1"],
            &["bank.v1", "step-up.bearer.a.b.c"],
        ] {
            assert_eq!(of(offers, None, "", both), token(), "{offers:?}");
            assert_eq!(of(offers, None, "", TokenPlaces::Authorization), Err(401), "{offers:?}");
            assert_eq!(of(offers, Some("Bearer x.y.z"), "", both), Err(400), "{offers:?}");
            assert_eq!(of(offers, None, "access_token=x", both), Err(400), "{offers:?}");
        }
        for offers in [&["step-up.bearer.a, step-up.bearer.a"][..], &["step-up.bearer.a"; 2]] {
            assert_eq!(of(offers, None, "", both), Err(400), "{offers:?}");
        }
        for offers in [&["bank.v1"][..], &["Step-Up.Bearer.a.b.c"], &["x.step-up.bearer.a"], &[]] {
            assert_eq!(of(offers, None, "", both), Err(401), "{offers:?}");
        }
        assert_eq!(of(&["bank.v1"], Some("Bearer a.b.c"), "", both), token());
    }

    #[test]
    fn a_token_over_the_length_limit_is_refused() {
        let longest = 16 * 1024;
        assert_eq!(of(&[&format!("Bearer {}", "a".repeat(longest + 1))], None), Err(431));
        assert!(of(&[&format!("Bearer {}", "a".repeat(longest))], None).is_ok());
    }
}
