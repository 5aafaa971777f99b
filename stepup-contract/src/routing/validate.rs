//! The rules that make a list of endpoints a contract: each endpoint is meaningful, and no two match the same requests.

use crate::model::{Contract, ContractError, ContractErrors, Endpoint, Trust, Unlisted};
use crate::path::{check_base, check_path};
use crate::routing::table::Table;

/// An endpoint with its place in a document, as a JSON pointer.
pub(crate) type Placed = (String, Endpoint);

impl Contract {
    /// A contract of these endpoints, in any order.
    ///
    /// # Errors
    /// All problems: requirements that require nothing, invalid paths, endpoints that match the same requests.
    pub fn new(
        service: impl Into<String>,
        version: impl Into<String>,
        endpoints: impl IntoIterator<Item = Endpoint>,
    ) -> Result<Self, ContractErrors> {
        let endpoints = numbered(endpoints);
        Self::validated(service.into(), version.into(), Unlisted::Deny, None, endpoints)
            .map(|(contract, _)| contract)
    }

    /// Checks the parts of a contract, and sorts the endpoints. Returns the places in the order of the endpoints.
    pub(crate) fn validated(
        service: String,
        version: String,
        unlisted: Unlisted,
        base: Option<String>,
        mut endpoints: Vec<Placed>,
    ) -> Result<(Self, Vec<String>), ContractErrors> {
        let mut errors = Vec::new();
        if let Some(message) = base.as_deref().and_then(|base| check_base(base).err()) {
            errors.push(ContractError::Field { pointer: "/base".into(), message });
        }
        for (pointer, endpoint) in &endpoints {
            check_endpoint(endpoint, pointer, &mut errors);
        }
        // Conflicts are only checked if every endpoint is valid.
        ContractErrors::or_ok(errors, ())?;
        // The sort is stable, so of two equal endpoints the first in the document stays the first.
        endpoints.sort_by(|(_, a), (_, b)| (&a.path, a.method).cmp(&(&b.path, b.method)));
        let (pointers, endpoints): (Vec<String>, _) = endpoints.into_iter().unzip();
        let contract = Self::from_parts(service, version, unlisted, base, endpoints);
        let mut conflicts = Vec::new();
        Table::build(&contract, |first, second| {
            let name = |index: usize| contract.endpoints()[index].name();
            conflicts.push(ContractError::Conflict {
                pointer: pointers[second].clone(),
                first: name(first),
                second: name(second),
            });
        });
        ContractErrors::or_ok(conflicts, (contract, pointers))
    }

    /// The table that finds the endpoint of a request.
    pub fn table(&self) -> Table {
        Table::build(self, |_, _| {})
    }
}

/// The endpoints with their places in the array of a contract.
pub(crate) fn numbered(endpoints: impl IntoIterator<Item = Endpoint>) -> Vec<Placed> {
    let endpoints = endpoints.into_iter().enumerate();
    endpoints.map(|(index, endpoint)| (format!("/endpoints/{index}"), endpoint)).collect()
}

/// Checks the rules of one endpoint.
pub(crate) fn check_endpoint(endpoint: &Endpoint, pointer: &str, errors: &mut Vec<ContractError>) {
    if let Err(error) = check_path(&endpoint.path) {
        errors.push(ContractError::Field {
            pointer: format!("{pointer}/path"),
            message: error.to_string(),
        });
    }
    if let Some(message) = reason_problem(endpoint) {
        errors.push(ContractError::Field { pointer: format!("{pointer}/reason"), message });
    }
    let contradictions = match endpoint.public {
        true => endpoint.requirement.contradictions(Trust::Public),
        false => Vec::new(),
    };
    let problems = match contradictions.is_empty() {
        true => endpoint.requirement.problems(),
        false => contradictions,
    };
    for problem in problems {
        let mut pointer = format!("{pointer}/security/{}", problem.field.key());
        if let Some(index) = problem.index {
            pointer.push_str(&format!("/{index}"));
        }
        errors.push(ContractError::Field { pointer, message: problem.to_string() });
    }
}

/// What is wrong with an endpoint's reason.
fn reason_problem(endpoint: &Endpoint) -> Option<String> {
    let reason = endpoint.reason.as_deref()?;
    if !endpoint.public {
        return Some(
            "states why an endpoint is public, and this endpoint is not; remove it".into(),
        );
    }
    reason.trim().is_empty().then(|| "is empty; write why the endpoint is public".into())
}
