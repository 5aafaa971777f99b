//! The protocols of the gateways that Step-up serves, and the addresses to listen on.

use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A gateway's authorization protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// nginx's `auth_request`, configured to send `X-Original-Method` and `X-Original-URI`.
    Nginx,
    /// Caddy's `forward_auth` and Traefik's `forwardAuth`, which send `X-Forwarded-Method` and `X-Forwarded-Uri`.
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

    /// The default port.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Nginx => 9001,
            Self::ForwardAuth => 9002,
            Self::EnvoyHttp => 9003,
            Self::EnvoyGrpc => 9004,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mode and the address to listen on: `nginx=127.0.0.1:9001`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(not(feature = "gateway"), expect(dead_code, reason = "only the gateway listens"))]
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
        Ok(Self { mode, address: listen_address(address)? })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Parses an address to listen on.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an IP address with a port; write it as 127.0.0.1:9001")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_has_a_mode_and_an_address() {
        let listen: Listen = "envoy-grpc=127.0.0.1:9".parse().unwrap();
        assert_eq!((listen.mode, listen.address.port()), (Mode::EnvoyGrpc, 9));
        assert!("caddy=127.0.0.1:9".parse::<Listen>().unwrap_err().contains("forward-auth"));
        assert!("nginx".parse::<Listen>().unwrap_err().contains("nginx=127.0.0.1:9001"));
        assert!("nginx=here".parse::<Listen>().is_err());
    }
}
