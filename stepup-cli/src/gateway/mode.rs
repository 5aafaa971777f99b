//! The ways in which gateways ask, and how each tells what its client's request was. A listener has one mode,
//! and in that mode one source is believed: a header that another gateway would have set may come from the
//! client, and is not looked at.

use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri};
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use stepup_runtime::{Cause, Refusal};

/// A gateway's way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// nginx's `auth_request`, which is configured to send `X-Original-Method` and `X-Original-URI`.
    Nginx,
    /// Caddy's `forward_auth` and Traefik's `forwardAuth`, which send `X-Forwarded-Method` and
    /// `X-Forwarded-Uri`.
    ForwardAuth,
    /// Envoy's `ext_authz` over HTTP, which sends the client's request line.
    EnvoyHttp,
    /// Envoy's `ext_authz` over gRPC.
    EnvoyGrpc,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] =
        [Self::Nginx, Self::ForwardAuth, Self::EnvoyHttp, Self::EnvoyGrpc];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::ForwardAuth => "forward-auth",
            Self::EnvoyHttp => "envoy-http",
            Self::EnvoyGrpc => "envoy-grpc",
        }
    }

    /// Where it is listened for, unless another port is named.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Nginx => 9001,
            Self::ForwardAuth => 9002,
            Self::EnvoyHttp => 9003,
            Self::EnvoyGrpc => 9004,
        }
    }

    /// The head of the client's request, out of the head of a question that came over HTTP.
    pub(crate) fn client_request(self, question: Parts) -> Result<Parts, Refusal> {
        let (method, uri) = match self {
            Self::Nginx => told(&question.headers, ORIGINAL)?,
            Self::ForwardAuth => told(&question.headers, FORWARDED)?,
            Self::EnvoyHttp | Self::EnvoyGrpc => {
                let target = question.uri.path_and_query().map_or("", PathAndQuery::as_str);
                (question.method, target_of(target.as_bytes())?)
            }
        };
        Ok(head(method, uri, question.headers))
    }
}

/// A request's head. None of the extensions of the question go with it.
pub(crate) fn head(method: Method, uri: Uri, headers: HeaderMap) -> Parts {
    let mut head = http::Request::new(()).into_parts().0;
    (head.method, head.uri, head.headers) = (method, uri, headers);
    head
}

/// The headers that tell a request's method and its target.
type Names = (HeaderName, HeaderName);

const ORIGINAL: Names =
    (HeaderName::from_static("x-original-method"), HeaderName::from_static("x-original-uri"));

const FORWARDED: Names =
    (HeaderName::from_static("x-forwarded-method"), HeaderName::from_static("x-forwarded-uri"));

/// What these two headers say. Each stands once, or the gateway is not configured as it has to be.
fn told(headers: &HeaderMap, (method, target): Names) -> Result<(Method, Uri), Refusal> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none());
        value.map(|value| value.as_bytes()).ok_or_else(|| {
            tracing::error!(
                header = name.as_str(),
                "a gateway does not say, once, what its client's request was; compare its \
                 configuration with that of `stepup render`"
            );
            Refusal::from(Cause::Misconfigured("the gateway does not say what the request was"))
        })
    };
    let method = Method::from_bytes(one(&method)?);
    let method = method.map_err(|_| Cause::InvalidRequest("the method cannot be read"))?;
    Ok((method, target_of(one(&target)?)?))
}

/// A request's target in origin form (RFC 9112 §3.2.1). What the parser would silently drop is refused.
pub(crate) fn target_of(target: &[u8]) -> Result<Uri, Refusal> {
    let unreadable = Cause::InvalidRequest("the request's target cannot be read");
    if target.first() != Some(&b'/') || target.contains(&b'#') {
        return Err(unreadable.into());
    }
    PathAndQuery::try_from(target).map(Uri::from).map_err(|_| unreadable.into())
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where to be asked, and how: `nginx=127.0.0.1:9001`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen {
    pub(crate) mode: Mode,
    pub(crate) address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Mode::ALL.map(Mode::as_str).join(", ");
        let (name, address) = text
            .split_once('=')
            .ok_or_else(|| format!("write it as nginx=127.0.0.1:9001; the modes are {known}"))?;
        let mode = Mode::ALL.into_iter().find(|mode| mode.as_str() == name);
        let mode = mode.ok_or_else(|| format!("unknown mode {name:?}; the modes are {known}"))?;
        Ok(Self { mode, address: listened(address)? })
    }
}

/// An address to listen at, as a flag has it.
pub(crate) fn listened(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no IP address with a port; write it as in 127.0.0.1:9001")
    })
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::new(());
        *request.uri_mut() = Uri::from_static("/asked?x=1");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    fn read(mode: Mode, headers: &[(&'static str, &'static str)]) -> Result<String, u16> {
        let head = mode.client_request(question(headers));
        head.map(|head| format!("{} {}", head.method, head.uri))
            .map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn each_mode_believes_its_own_source_alone() {
        let all = [
            ("x-original-method", "PUT"),
            ("x-original-uri", "/original?a"),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-uri", "/forwarded"),
        ];
        assert_eq!(read(Mode::Nginx, &all), Ok("PUT /original?a".into()));
        assert_eq!(read(Mode::ForwardAuth, &all), Ok("POST /forwarded".into()));
        assert_eq!(read(Mode::EnvoyHttp, &all), Ok("GET /asked?x=1".into()));
        assert_eq!(read(Mode::Nginx, &all[2..]), Err(500));
        assert_eq!(read(Mode::ForwardAuth, &all[..2]), Err(500));
    }

    #[test]
    fn what_is_told_twice_or_in_an_odd_way_is_not_believed() {
        let method = ("x-original-method", "GET");
        for target in ["", "a", "*", "http://a/b", "/a#b", "/a b"] {
            let read = read(Mode::Nginx, &[method, ("x-original-uri", target)]);
            assert!(read.is_err(), "{target:?}: {read:?}");
        }
        let twice = [method, ("x-original-uri", "/a"), ("x-original-uri", "/b")];
        assert_eq!(read(Mode::Nginx, &twice), Err(500));
        assert_eq!(read(Mode::Nginx, &[method, method, ("x-original-uri", "/b")]), Err(500));
        assert_eq!(
            read(Mode::Nginx, &[("x-original-method", "G T"), ("x-original-uri", "/b")]),
            Err(400)
        );
    }

    #[test]
    fn a_listener_names_its_mode_and_address() {
        let listen: Listen = "envoy-grpc=127.0.0.1:9".parse().unwrap();
        assert_eq!((listen.mode, listen.address.port()), (Mode::EnvoyGrpc, 9));
        assert!("caddy=127.0.0.1:9".parse::<Listen>().unwrap_err().contains("forward-auth"));
        assert!("nginx".parse::<Listen>().unwrap_err().contains("nginx=127.0.0.1:9001"));
        assert!("nginx=here".parse::<Listen>().is_err());
    }
}
