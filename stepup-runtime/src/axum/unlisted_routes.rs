//! Reports routes that get requests and are not listed in the contract, each once.

use axum::extract::MatchedPath;
use http::request::Parts;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use stepup_contract::HttpMethod;

/// The routes that were reported. Their number is limited: a route is a template of the router with a known method.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnlistedRoutes(Arc<Mutex<BTreeSet<String>>>);

impl UnlistedRoutes {
    /// Reports the route of a request that was refused because the contract does not list it.
    pub(crate) fn report(&self, parts: &Parts) {
        let method = parts.method.as_str().parse::<HttpMethod>();
        let method = method.map_or("any method", HttpMethod::as_str);
        let Some(path) = parts.extensions.get::<MatchedPath>() else {
            if self.is_new("the fallback".into()) {
                tracing::info!(
                    "a request that matches no route was refused, as the contract requires; the router's fallback does \
                     not receive such requests"
                );
            }
            return;
        };
        let route = format!("{method} {}", path.as_str());
        if self.is_new(route.clone()) {
            tracing::warn!(
                route,
                "a request was refused, because the contract does not list its route; if a handler is mounted there, \
                 put #[step_up(…)] on it, with trust = \"public\" and a reason if everybody may call it"
            );
        }
    }

    fn is_new(&self, route: String) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(route)
    }
}
