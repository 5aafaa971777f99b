//! What can be wrong with a contract. Every message states the problem, its place, and the fix.

use crate::text::StrictJsonError;
use std::fmt;
use thiserror::Error;

/// One problem of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The text is not JSON.
    #[error("not a contract: {0}")]
    Json(#[from] StrictJsonError),
    /// A field is missing, unknown, duplicate, of the wrong type or out of range.
    #[error("at {}: {message}", if .pointer.is_empty() { "/" } else { .pointer })]
    Field {
        /// The place, as a JSON pointer (RFC 6901).
        pointer: String,
        /// The problem, and what to write instead.
        message: String,
    },
    /// Two endpoints of equal precedence match the same requests.
    #[error(
        "{second} matches the same requests as {first}; remove one of them, or give it another path or \
         method"
    )]
    Conflict {
        /// The place of the second endpoint, as a JSON pointer; empty if unknown.
        pointer: String,
        /// The first one's route, and its handler if known.
        first: String,
        /// The second one's route, and its handler if known.
        second: String,
    },
    /// A handler without a route.
    #[error(
        "the handler {handler} has no route; give it one on the attribute, as in \
         #[step_up(post = \"/path\", …)], or in routes![POST \"/path\" => handler]"
    )]
    NoRoute {
        /// The handler's path in the source.
        handler: String,
    },
    /// The records are of several packages, and none names the service.
    #[error(
        "endpoints of several packages are linked ({packages}) and none of them names the service; write \
         stepup_runtime::service!(); in the program's own crate"
    )]
    NoService {
        /// The packages' names, comma-separated.
        packages: String,
    },
    /// Only libraries name a service, and other packages have endpoints too.
    #[error(
        "service!() is written in a library ({libraries}), and endpoints of {packages} are linked, so the service may \
         be another program's; write stepup_runtime::service!(); in this program's main.rs, or list the other packages \
         where service! is written, as in service!(includes = [\"billing\"])"
    )]
    ServiceOfLibrary {
        /// The packages with endpoints, comma-separated.
        packages: String,
        /// The libraries that contain `service!`, comma-separated.
        libraries: String,
    },
    /// Several crates name the service.
    #[error("service!() is written in several crates ({packages}); keep the program's own")]
    SeveralServices {
        /// The packages' names, comma-separated.
        packages: String,
    },
    /// No endpoint is registered.
    #[error(
        "no step-up endpoint is linked in; annotate a handler with #[step_up(…)], and name each \
         crate that has handlers (`use that_crate as _;` is enough), or the linker drops it"
    )]
    NoEndpoints,
    /// Records of several incompatible versions of the runtime.
    #[error(
        "two incompatible versions of stepup-runtime are linked ({versions}), and each enforces \
         only its own endpoints; make all crates depend on one version"
    )]
    SeveralRuntimes {
        /// The versions, comma-separated.
        versions: String,
    },
    /// A line of the link section that this version cannot parse.
    #[error(
        "a record of the link section cannot be parsed: {detail}; update stepup to the version that built the program"
    )]
    Record {
        /// The problem.
        detail: String,
    },
}

impl ContractError {
    /// The place of the problem as a JSON pointer (RFC 6901), if it has one place in a document.
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::Field { pointer, .. } | Self::Conflict { pointer, .. } => Some(pointer),
            // The whole document.
            Self::Json(_) => Some(""),
            _ => None,
        }
    }
}

/// All problems of a contract: at least one [`ContractError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractErrors(Vec<ContractError>);

impl ContractErrors {
    /// `Ok(value)` if there are no problems.
    pub(crate) fn or_ok<T>(errors: Vec<ContractError>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }
}

impl From<ContractError> for ContractErrors {
    fn from(error: ContractError) -> Self {
        Self(vec![error])
    }
}

impl std::ops::Deref for ContractErrors {
    type Target = [ContractError];

    fn deref(&self) -> &[ContractError] {
        &self.0
    }
}

impl fmt::Display for ContractErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ContractErrors {}
