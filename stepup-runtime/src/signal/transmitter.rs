//! A transmitter of security events, as an operator configures it (OpenID Shared Signals Framework 1.0), and its metadata.

use crate::issuer::discovery::{DiscoveryError, discover};
use crate::issuer::key_store::{KeySource, KeyStore, KeyStoreError, RefreshPolicy};
use crate::support::http_client::{FetchError, Fetched, checked_url, client, fetch};
use serde_json::Value;
use std::sync::Arc;
use stepup_contract::parse_strict;
use thiserror::Error;

/// A transmitter of security events, whose pushes (RFC 8935) are accepted.
///
/// ```
/// use stepup_runtime::Transmitter;
///
/// let transmitter = Transmitter::new("https://login.bank.example", "https://api.bank.example/signals")
///     .push_authorization("Bearer a-long-random-text");
/// ```
#[derive(Debug, Clone)]
#[must_use = "pass it to StepUp::builder().transmitter(…)"]
pub struct Transmitter {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    jwks_url: Option<String>,
    pub(crate) push_authorization: Option<String>,
    speaks_for: Vec<String>,
    ca_certificates: Vec<u8>,
}

impl Transmitter {
    /// A transmitter with the exact `iss` of its tokens, and the audience that it uses for this API alone.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            jwks_url: None,
            push_authorization: None,
            speaks_for: Vec::new(),
            ca_certificates: Vec::new(),
        }
    }

    /// Fetches the transmitter's keys from this URL instead of the one in its metadata
    /// (`/.well-known/ssf-configuration`).
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// Requires this value of `Authorization` on every push, such as `Bearer …`. Without it, the signature alone
    /// authenticates the transmitter.
    pub fn push_authorization(mut self, value: impl Into<String>) -> Self {
        self.push_authorization = Some(value.into());
        self
    }

    /// Accepts events about subjects of this issuer. By default a transmitter that is one of the API's issuers speaks for its
    /// own subjects, and any other transmitter for the subjects of all issuers.
    pub fn speaks_for(mut self, issuer: impl Into<String>) -> Self {
        self.speaks_for.push(issuer.into());
        self
    }

    /// Also trusts these certificate authorities (PEM) for the transmitter's address.
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates = pem.into();
        self
    }

    /// Fills in the issuers for whose subjects it speaks.
    pub(crate) fn for_issuers(mut self, issuers: &[String]) -> Self {
        if self.speaks_for.is_empty() && !issuers.contains(&self.issuer) {
            self.speaks_for = issuers.to_vec();
        }
        self
    }

    /// The issuer that a subject without an issuer belongs to.
    pub(crate) fn default_issuer(&self) -> &str {
        self.speaks_for.first().map_or(&self.issuer, |issuer| issuer)
    }

    /// Whether it may report events about subjects of this issuer.
    pub(crate) fn may_speak_for(&self, issuer: &str) -> bool {
        self.issuer == issuer || self.speaks_for.iter().any(|known| known == issuer)
    }

    /// Loads the transmitter's keys.
    pub(crate) async fn connect(self) -> Result<ConnectedTransmitter, TransmitterError> {
        let failed = |reason| TransmitterError { transmitter: self.issuer.clone(), reason };
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => {
                let found = jwks_uri(&self.issuer, &self.ca_certificates).await;
                found.map_err(|error| failed(error.into()))?
            }
        };
        let (source, policy) = (KeySource::Url(url), RefreshPolicy::default());
        let keys = KeyStore::load(&self.issuer, source, policy, &self.ca_certificates).await;
        let keys = keys.map_err(|error: KeyStoreError| failed(error.into()))?;
        Ok(ConnectedTransmitter { options: self, keys })
    }
}

/// A transmitter whose keys are loaded.
#[derive(Debug)]
pub(crate) struct ConnectedTransmitter {
    pub(crate) options: Transmitter,
    pub(crate) keys: Arc<KeyStore>,
}

/// Why a transmitter cannot be used.
#[derive(Debug, Error)]
#[error("the transmitter {transmitter:?} cannot be used")]
pub struct TransmitterError {
    transmitter: String,
    #[source]
    reason: Box<dyn std::error::Error + Send + Sync>,
}

#[derive(Debug, Error)]
enum MetadataError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the HTTP client could not be created")]
    Client(#[from] reqwest::Error),
    #[error("{0} is not a JSON object with this transmitter as its `issuer`")]
    OtherIssuer(String),
    #[error("{0} has no `jwks_uri`; call Transmitter::jwks_url")]
    NoKeys(String),
}

/// The address of the keys in the transmitter's metadata. The well-known path is inserted before the path of the issuer
/// (SSF 1.0 §7.2); some transmitters append it. Without such metadata, the issuer's discovery document names the keys.
async fn jwks_uri(issuer: &str, authorities: &[u8]) -> Result<String, MetadataError> {
    const WELL_KNOWN: &str = "/.well-known/ssf-configuration";
    let client = client(issuer, authorities)?;
    let mut inserted = checked_url(issuer)?;
    let path = format!("{WELL_KNOWN}{}", inserted.path().trim_end_matches('/'));
    inserted.set_path(&path);
    let appended = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
    let mut found = None;
    for url in [inserted.to_string(), appended] {
        match fetch(&client, &url, None).await {
            Ok(Fetched::Document { body, .. }) => {
                found = Some((url, body));
                break;
            }
            Ok(Fetched::NotModified { .. }) | Err(FetchError::Status { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A transmitter that is an identity provider may have only that metadata.
    let Some((url, body)) = found else { return Ok(discover(&client, issuer).await?.jwks_uri) };
    let Ok(Value::Object(metadata)) = parse_strict(&body) else {
        return Err(MetadataError::OtherIssuer(url));
    };
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(MetadataError::OtherIssuer(url));
    }
    text("jwks_uri").map(str::to_owned).ok_or(MetadataError::NoKeys(url))
}
