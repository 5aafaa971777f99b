//! The HTTP methods that an endpoint can declare.

use crate::text::{ParseNameError, Suggestion};
use std::fmt;
use std::str::FromStr;

/// An HTTP method that an endpoint can declare. An endpoint without a method matches every method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HttpMethod {
    /// DELETE
    Delete,
    /// GET, which also serves HEAD unless HEAD is declared separately.
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
    /// Every method, in alphabetical order.
    pub const ALL: [Self; 7] =
        [Self::Delete, Self::Get, Self::Head, Self::Options, Self::Patch, Self::Post, Self::Put];

    /// The name in a request line.
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

/// All methods that a contract distinguishes: the named ones, and one text for all others, which is not a valid method.
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

    /// Parses the exact name; HTTP methods are case-sensitive (RFC 9110 §9.1).
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
