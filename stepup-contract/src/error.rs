//! What can be wrong with a contract. Every message says what, where, and what to do.

use std::fmt;
use thiserror::Error;

/// A name from a closed vocabulary that is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParseNameError(String);

impl ParseNameError {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

/// `; did you mean …?`, or nothing when no known name is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion<'a>(Option<&'a str>);

impl<'a> Suggestion<'a> {
    /// The nearest of the known names, if it is near enough to be what was meant.
    pub fn among(given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let farthest = |name: &str| 1 + name.len().min(given.len()) / 4;
        let near = known
            .into_iter()
            // So many letters more or less are at least as many changes, and are not worth counting.
            .filter(|name| name.len().abs_diff(given.len()) <= 4 * farthest(name))
            .map(|name| match given.eq_ignore_ascii_case(name) {
                true => (1, name),
                false => (strsim::damerau_levenshtein(given, name), name),
            })
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, name)| *distance <= farthest(name))
            .map(|(_, name)| name);
        Self(near)
    }

    /// The suggestion, or this where nothing is near; either with a semicolon in front.
    pub fn or(self, otherwise: impl fmt::Display) -> String {
        match self.0 {
            Some(_) => self.to_string(),
            None => format!("; {otherwise}"),
        }
    }
}

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

/// One thing that is wrong with a contract.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The text is not JSON, or names a key twice.
    #[error("not a contract: {0}")]
    Json(#[from] crate::StrictJsonError),
    /// A field is missing, unknown, of the wrong type or out of range.
    #[error("at {}: {message}", if .pointer.is_empty() { "/" } else { .pointer })]
    Field {
        /// Where, as a JSON pointer (RFC 6901).
        pointer: String,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// Two endpoints of equal precedence match the same requests.
    #[error(
        "{second} takes the requests of {first} a second time; remove one of them, or give it another path or \
         method"
    )]
    Conflict {
        /// Where the second stands, as a JSON pointer; empty where that is not known.
        pointer: String,
        /// The first one's route, and its handler where that is known.
        first: String,
        /// The second one's route, and its handler where that is known.
        second: String,
    },
    /// A handler that nothing gives a route.
    #[error(
        "the handler {handler} has no route; give it one on the attribute, as in \
         #[step_up(post = \"/path\", …)], or in routes![POST \"/path\" => handler]"
    )]
    NoRoute {
        /// The handler's path in the source.
        handler: String,
    },
    /// The records are of several packages, and none says whose contract this is.
    #[error(
        "endpoints of several packages are linked ({packages}) and none of them says whose \
         contract this is; write stepup_runtime::service!(); in the program's own crate"
    )]
    WhoseContract {
        /// The packages' names, comma-separated.
        packages: String,
    },
    /// Several crates claim the contract.
    #[error("service!() is written in several crates ({packages}); keep the program's own")]
    SeveralServices {
        /// The packages' names, comma-separated.
        packages: String,
    },
    /// Nothing is registered at all.
    #[error(
        "no step-up endpoint is linked in; annotate a handler with #[step_up(…)], and name each \
         crate that has handlers (`use that_crate as _;` is enough), or the linker drops it"
    )]
    Nothing,
    /// Records of several incompatible versions of the runtime.
    #[error(
        "two incompatible versions of stepup-runtime are linked ({versions}), and each enforces \
         only its own endpoints; make all crates depend on one version"
    )]
    SeveralRuntimes {
        /// The versions, comma-separated.
        versions: String,
    },
    /// A line of the link section that this version cannot read.
    #[error(
        "a record of the link section cannot be read: {detail}; update stepup to the version that built the program"
    )]
    Record {
        /// What is wrong with it.
        detail: String,
    },
}

impl ContractError {
    /// Where it is, as a JSON pointer (RFC 6901), if it is at one place of a document.
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::Field { pointer, .. } | Self::Conflict { pointer, .. } => Some(pointer),
            // The whole document.
            Self::Json(_) => Some(""),
            _ => None,
        }
    }
}

/// Everything that is wrong with a contract: at least one [`ContractError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractErrors(Vec<ContractError>);

impl ContractErrors {
    /// `Ok(value)` when nothing is wrong.
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
