//! The metadata document of the protected resource (RFC 9728 §2), and the published contract.

use crate::enforcement::protected_resource::ProtectedResource;
use crate::enforcement::step_up::StepUp;
use crate::jose::algorithm::ACCEPTED;
use crate::request::head::RequestHead;
use crate::signal::receiver::SIGNAL_PATHS;
use http::{Method, Uri};
use serde_json::json;
use std::sync::atomic::Ordering;
use stepup_contract::Contract;

/// Where the metadata of a resource is found (RFC 9728 §3.1); the path of the resource follows.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Whether this request is for a route of `session_routes`.
fn is_session_route(head: &RequestHead<'_>) -> bool {
    match *head.method() {
        Method::GET | Method::HEAD => head.path() == "/sessions",
        Method::DELETE => head
            .path()
            .strip_prefix("/sessions/")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        _ => false,
    }
}

impl StepUp {
    /// Whether this request is for a route of Step-up itself, which needs no endpoint in the contract and no token: the
    /// metadata of this API, if its address is configured; its contract, if that is published; the routes that receive
    /// signals, if they are mounted, because each signal is signed; and those for sessions, which check the token.
    pub(crate) fn serves_publicly(&self, head: &RequestHead<'_>) -> bool {
        let signal = head.method() == Method::POST && SIGNAL_PATHS.contains(&head.path());
        if signal && self.0.signals.mounted.load(Ordering::Relaxed) {
            return true;
        }
        if self.0.session_routes_mounted.load(Ordering::Relaxed) && is_session_route(head) {
            return true;
        }
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(head.method());
        let resource = self.0.resource.as_ref();
        let elsewhere = || self.0.resource_metadata.as_ref()?.parse::<Uri>().ok();
        let metadata = match resource {
            Some(resource) => Some(resource.metadata.path.clone()),
            // Another host may serve the document, and its path may then be the path of an endpoint here.
            None => elsewhere().map(|url| url.path().to_owned()).filter(|path| is_well_known(path)),
        };
        let contract = resource.filter(|_| self.published_contract().is_some());
        reads
            && (metadata.is_some_and(|path| head.path() == path)
                || contract.is_some_and(|resource| head.path() == resource.contract.path))
    }

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

/// Whether only metadata can be at this path.
fn is_well_known(path: &str) -> bool {
    path.strip_prefix(WELL_KNOWN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
