//! The errors of a start: why a `StepUp` cannot be built.

use crate::config::issuer::IssuerError;
use crate::enforcement::allowed_origins::OriginError;
use crate::enforcement::protected_resource::ResourceError;
use crate::session::log::SessionsError;
use crate::signal::transmitter::TransmitterError;
use crate::support::error_chain::ErrorChain;
use std::fmt;
use stepup_contract::{Finding, TextError};
use thiserror::Error;

/// Why a [`StepUp`](crate::StepUp) cannot be built.
#[derive(Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No issuer was configured.
    #[error(
        "no issuer; call .issuer(Issuer::new(\"https://login.example\", \"https://api.example\"))"
    )]
    NoIssuer,
    /// Two issuers have the same name.
    #[error("the issuer {0:?} is configured twice; give one Issuer all its audiences")]
    DuplicateIssuer(String),
    /// An issuer cannot be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The contract requires something that this version cannot enforce.
    #[error("the contract cannot be enforced: {0}")]
    Unenforceable(String),
    /// Two issuers introspect, and an opaque token does not name its issuer.
    #[error("{0:?} and {1:?} both introspect opaque tokens; only one issuer can")]
    TwoIntrospect(String, String),
    /// DPoP proofs are required, and the address that they must be made for is unknown.
    #[error(
        "{0:?} requires DPoP, whose proofs are made for this API's address; call \
         .resource(\"https://api.example\") (--resource)"
    )]
    DpopWithoutResource(String),
    /// There is no contract to publish.
    #[error("publish_contract needs a contract; call .contract(Contract::collect()?)")]
    NothingToPublish,
    /// The API's address is invalid.
    #[error("the resource cannot be used")]
    Resource(#[from] ResourceError),
    /// An allowed origin is not an origin.
    #[error("an allowed origin cannot be used")]
    Origin(#[from] OriginError),
    /// The session log cannot be used.
    #[error(transparent)]
    Sessions(#[from] SessionsError),
    /// A transmitter's keys are unavailable.
    #[error(transparent)]
    Transmitter(#[from] TransmitterError),
    /// An issuer cannot satisfy the contract.
    #[error(
        "the issuer {issuer:?} cannot satisfy the contract; fix it, or call \
         .allow_unsatisfiable(true) (--allow-unsatisfiable):\n{}", listed(.findings)
    )]
    Unsatisfiable {
        /// The issuer's name.
        issuer: String,
        /// What prevents it, each with a fix.
        findings: Vec<Finding>,
    },
    /// The address of the metadata cannot be part of a challenge.
    #[error("the resource metadata's URL {0}")]
    ResourceMetadata(TextError),
}

impl fmt::Debug for BuildError {
    /// The message with its causes, because `main` prints a returned error in its `Debug` form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ErrorChain(self))
    }
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
}
