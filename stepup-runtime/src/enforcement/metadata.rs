//! The metadata document of the protected resource (RFC 9728 §2), and the published contract.

use crate::enforcement::protected_resource::ProtectedResource;
use crate::enforcement::step_up::StepUp;
use crate::jose::algorithm::ACCEPTED;
use serde_json::json;
use stepup_contract::Contract;

impl StepUp {
    /// The contract, if it is published.
    pub(crate) fn published_contract(&self) -> Option<&Contract> {
        self.contract().filter(|_| self.0.publish_contract)
    }

    /// The metadata document (RFC 9728 §2) as JSON text.
    pub(crate) fn metadata_document(&self, resource: &ProtectedResource) -> String {
        let issuers = self.0.verifier.issuers();
        let names: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        let endpoints = self.contract().into_iter().flat_map(Contract::endpoints);
        let mut scopes: Vec<&str> = endpoints
            .flat_map(|endpoint| endpoint.requirement.scopes.iter().map(String::as_str))
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        let mut metadata = json!({
            "resource": resource.identifier,
            "authorization_servers": names,
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": ACCEPTED.map(|algorithm| algorithm.0),
            "dpop_bound_access_tokens_required": issuers.iter().all(|issuer| issuer.dpop_required),
        });
        if !scopes.is_empty() {
            metadata["scopes_supported"] = scopes.into();
        }
        if self.published_contract().is_some() {
            metadata["step_up_contract"] = (*resource.contract.url).into();
        }
        metadata.to_string()
    }
}
