//! The HTTP methods that an endpoint can declare.

use crate::error::{ParseNameError, Suggestion};
use std::fmt;
use std::str::FromStr;

/// An HTTP method that an endpoint can declare. An endpoint without one takes every method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HttpMethod {
    /// DELETE
    Delete,
    /// GET, which serves HEAD too unless HEAD is declared on its own.
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// POST
    Post,
    /// PUT
    Put,
}

impl HttpMethod {
    /// Every method, in the order of its name.
    pub const ALL: [Self; 7] =
        [Self::Delete, Self::Get, Self::Head, Self::Options, Self::Patch, Self::Post, Self::Put];

    /// The name as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// All methods that a contract tells apart: those with a name, and one for all others, which is none of any request.
pub(crate) fn methods() -> impl Iterator<Item = &'static str> {
    HttpMethod::ALL.into_iter().map(HttpMethod::as_str).chain(["other methods"])
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for HttpMethod {
    type Err = ParseNameError;

    /// Reads the name exactly; HTTP methods are case-sensitive (RFC 9110 §9.1).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|method| method.as_str() == text).ok_or_else(|| {
            let upper = text.to_ascii_uppercase();
            let suggestion = Suggestion::among(&upper, Self::ALL.iter().map(|m| m.as_str()))
                .or("the methods are DELETE, GET, HEAD, OPTIONS, PATCH, POST and PUT");
            ParseNameError::new(format!("unknown HTTP method `{text}`{suggestion}"))
        })
    }
}

impl serde::Serialize for HttpMethod {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
