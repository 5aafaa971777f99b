//! The host and the port of a service: an address, or a name that the gateway resolves.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A host and its port. A name consists of labels (RFC 1123 §2.1, and `_`), and the last label contains a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPort {
    Address(SocketAddr),
    Name(String, u16),
}

impl HostPort {
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Address(address) => address.ip().to_string(),
            Self::Name(name, _) => name.clone(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }

    /// The address on which a server at this host listens.
    pub(crate) fn listen_address(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            // Any of its addresses may be the one that the name resolves to.
            Self::Name(_, port) => format!("0.0.0.0:{port}"),
        }
    }

    /// Envoy's discovery type for this host.
    pub(crate) fn discovery(&self) -> &'static str {
        match self {
            Self::Address(_) => "STATIC",
            Self::Name(..) => "STRICT_DNS\n    dns_lookup_family: V4_PREFERRED",
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd =
            || format!("{text:?} is not a host with a port; write 127.0.0.1:3000 or app:3000");
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(odd()) } else { Ok(Self::Address(address)) };
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(odd)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(fits);
        // A name that ends with a number is parsed as an address (WHATWG URL), and this text is not one.
        let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_number = last.starts_with("0x") || !last.bytes().any(|b| b.is_ascii_alphabetic());
        // nginx reads `unix:` as a socket in the file system.
        let is_name = name.split('.').all(is_label) && !is_number && name != "unix";
        match port.parse() {
            Ok(number) if is_name && number != 0 && port.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Self::Name(name.to_owned(), number))
            }
            _ => Err(odd()),
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name_with_a_port() {
        for text in ["127.0.0.1:3000", "[::1]:3000", "app:3000", "app_1.bank.svc:80"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for odd in [
            "",
            "app",
            ":80",
            "app:",
            "app:0",
            "127.0.0.1:0",
            "app:65536",
            "http://app:80",
            "app:80/x",
            "a b:80",
            "app;}:80",
            "$host:80",
            "{$X}:80",
            "300.0.0.1:80",
            "127.1:80",
            "0x7f000001:80",
            "unix:80",
            "a..b:80",
            ".:80",
            "app:+80",
            "::1:80",
            "app:80\n",
        ] {
            assert!(odd.parse::<HostPort>().unwrap_err().contains("app:3000"), "{odd:?}");
        }
    }
}
