//! Names from a closed vocabulary, and suggestions for misspelled ones.

use std::fmt;
use thiserror::Error;

/// A name that is not in its closed vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParseNameError(String);

impl ParseNameError {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

/// `; did you mean …?`, or nothing if no known name is similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion<'a>(Option<&'a str>);

impl<'a> Suggestion<'a> {
    /// The most similar of the known names, if it is similar enough to be the intended one.
    pub fn among(given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let farthest = |name: &str| 1 + name.len().min(given.len()) / 4;
        let nearest = known
            .into_iter()
            // Names of very different lengths cannot be similar, so their distance is not computed.
            .filter(|name| name.len().abs_diff(given.len()) <= 4 * farthest(name))
            .map(|name| match given.eq_ignore_ascii_case(name) {
                true => (1, name),
                false => (strsim::damerau_levenshtein(given, name), name),
            })
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, name)| *distance <= farthest(name))
            .map(|(_, name)| name);
        Self(nearest)
    }

    /// The suggestion, or this text if there is none; either after a semicolon.
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
