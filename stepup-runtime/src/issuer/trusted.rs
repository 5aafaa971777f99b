//! A trusted issuer: its name, audiences, vocabulary and keys. Only an issuer's own keys can verify its tokens.

use crate::issuer::key_store::KeyStore;
use crate::jose::algorithm::ACCEPTED;
use crate::support::log_limit::LogLimit;
use std::sync::Arc;
use stepup_contract::{Contract, Finding, Profile, findings};

/// An issuer whose configuration was checked and whose keys are loaded.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    /// The `iss` of its tokens.
    pub(crate) name: String,
    /// The audiences that name this API.
    pub(crate) audiences: Vec<String>,
    /// The claim that contains the audience.
    pub(crate) audience_claim: String,
    pub(crate) profile: Profile,
    /// Whether `typ` may be `JWT` or missing.
    pub(crate) untyped: bool,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) dpop_required: bool,
    /// Limits the warnings about step-ups that were not enough.
    pub(crate) step_up_warnings: LogLimit,
}

impl TrustedIssuer {
    /// What prevents this issuer from satisfying a contract.
    pub(crate) fn findings(&self, contract: &Contract) -> Vec<Finding> {
        let metadata = self.keys.metadata();
        let published = metadata.as_ref().map(|metadata| &metadata.published);
        findings(contract, &self.profile, published, &ACCEPTED.map(|algorithm| algorithm.0))
    }
}
