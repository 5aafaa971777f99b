//! Which endpoint a request meets: axum's own path matcher, so that the contract means elsewhere
//! what it means in the router. The path decides first, then the method.

use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::error::ContractError;
use crate::http_method::HttpMethod;
use crate::path::normalized;
use std::collections::HashMap;

/// Finds the endpoint of a request: static before parameter before wildcard, a method of its own
/// before any, GET for HEAD.
#[derive(Debug, Clone)]
pub struct Table {
    endpoints: Vec<Endpoint>,
    paths: matchit::Router<usize>,
    /// The endpoints of each path, as indices.
    groups: Vec<Vec<usize>>,
}

impl Table {
    /// Builds the table and reports endpoints that match the same requests.
    pub(crate) fn build(contract: &Contract, errors: &mut Vec<ContractError>) -> Self {
        let endpoints = contract.endpoints().to_vec();
        let mut paths = matchit::Router::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let full = format!("{}{}", contract.base().unwrap_or_default(), endpoint.path);
            let key = normalized(&full);
            if let Some(&group) = known.get(&key) {
                let twin = groups[group].iter().find(|i| endpoints[**i].method == endpoint.method);
                if let Some(&twin) = twin {
                    errors.push(conflict(endpoint, endpoints[twin].name()));
                }
                groups[group].push(index);
                continue;
            }
            match paths.insert(key.clone(), groups.len()) {
                Ok(()) => {
                    known.insert(key, groups.len());
                    groups.push(vec![index]);
                }
                Err(matchit::InsertError::Conflict { with }) => {
                    let first = known.get(&with).and_then(|group| groups[*group].first());
                    let first = first.map_or(with.clone(), |index| endpoints[*index].name());
                    errors.push(conflict(endpoint, first));
                }
                Err(other) => errors.push(ContractError::Field {
                    pointer: format!("/endpoints/{index}/path"),
                    message: other.to_string(),
                }),
            }
        }
        Self { endpoints, paths, groups }
    }

    /// The endpoint that takes this request. `method` is the request's method, `path` its path as
    /// it stands in the request line, without the query.
    ///
    /// As in axum, a path whose endpoints do not take the method meets none, even where a less
    /// specific path would.
    pub fn find(&self, method: &str, path: &str) -> Option<&Endpoint> {
        let group = &self.groups[*self.paths.at(path).ok()?.value];
        let of = |wanted: Option<HttpMethod>| {
            group.iter().map(|index| &self.endpoints[*index]).find(|e| e.method == wanted)
        };
        let named = method.parse::<HttpMethod>().ok();
        named
            .and_then(|method| of(Some(method)))
            .or_else(|| (named == Some(HttpMethod::Head)).then(|| of(Some(HttpMethod::Get)))?)
            .or_else(|| of(None))
    }
}

fn conflict(endpoint: &Endpoint, first: String) -> ContractError {
    ContractError::Conflict { route: endpoint.route(), first, second: endpoint.name() }
}
