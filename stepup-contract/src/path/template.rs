//! Path templates in axum 0.8's syntax: `/users/{id}`, `/files/{*rest}`, `{{` for a literal brace.

use crate::path::canonical::{PathAmbiguity, canonical_path, needlessly_encoded};
use thiserror::Error;

/// Why a text is not a path template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// No slash at the start.
    #[error("a path starts with `/`; write \"/{0}\"")]
    NoSlash(String),
    /// A parameter in axum 0.7's syntax.
    #[error("`{found}` is axum 0.7's syntax; write `{write}`")]
    OldSyntax {
        /// The segment as written.
        found: String,
        /// The segment in axum 0.8's syntax.
        write: String,
    },
    /// An unmatched brace.
    #[error("the braces in `{0}` do not match; write `{{name}}` for a parameter")]
    Unbalanced(String),
    /// A parameter with an invalid name.
    #[error("`{0}` is not a valid parameter name; use letters, digits and `_`")]
    Name(String),
    /// Text after a parameter, or a second parameter, in one segment.
    #[error("in `{0}` text follows the parameter; a parameter must be at the end of its segment")]
    NotLast(String),
    /// `{*rest}` before the end, or after other text.
    #[error("`{0}` must be the path's whole last segment")]
    Wildcard(String),
    /// Too many segments.
    #[error("a path may have {LONGEST} segments, and this one has {0}")]
    Long(usize),
    /// A duplicate parameter name.
    #[error("duplicate parameter name `{0}`; give each parameter its own name")]
    Duplicate(String),
    /// An empty segment or a dot segment, which clients and proxies rewrite.
    #[error("clients and proxies can read the segment `{0}` in two ways; remove it")]
    Segment(String),
    /// A character that a request's path cannot contain.
    #[error(
        "a request's path cannot contain {0:?}; percent-encode the character, or remove the query"
    )]
    Character(char),
    /// A needless encoding, or one in lower case.
    #[error("requests have another form of this path; write \"{0}\"")]
    NotCanonical(String),
    /// A needless encoding of a delimiter.
    #[error("`{0}` needs no encoding in a path; write the character itself")]
    Encoded(char),
    /// A path that clients and proxies can read in two ways.
    #[error("{0}; remove it")]
    Ambiguous(#[from] PathAmbiguity),
}

/// Checks a path template.
///
/// # Errors
/// The first problem.
pub fn check_path(template: &str) -> Result<(), PathError> {
    parameters(template)?;
    match canonical_path(template)? {
        canonical if canonical != template => Err(PathError::NotCanonical(canonical.into_owned())),
        _ => needlessly_encoded(template).map_or(Ok(()), |odd| Err(PathError::Encoded(odd))),
    }
}

/// The names of a template's parameters, in order.
pub(crate) fn parameters(template: &str) -> Result<Vec<&str>, PathError> {
    let Some(rest) = template.strip_prefix('/') else {
        return Err(PathError::NoSlash(template.to_owned()));
    };
    if let Some(odd) =
        template.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '\\'))
    {
        return Err(PathError::Character(odd));
    }
    let count = rest.split('/').count();
    if count > LONGEST {
        return Err(PathError::Long(count));
    }
    let mut names: Vec<&str> = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if (segment.is_empty() && !last) || matches!(segment, "." | "..") {
            return Err(PathError::Segment(segment.to_owned()));
        }
        let Some(name) = parameter(segment)? else { continue };
        let whole = segment.len() == name.len() + 2;
        let bare = match name.strip_prefix('*') {
            Some(_) if !(last && whole) => return Err(PathError::Wildcard(segment.to_owned())),
            Some(bare) => bare,
            None => name,
        };
        if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(PathError::Name(name.to_owned()));
        }
        if names.contains(&bare) {
            return Err(PathError::Duplicate(bare.to_owned()));
        }
        names.push(bare);
    }
    Ok(names)
}

/// The text between the braces of a segment's parameter, if it has one.
fn parameter(segment: &str) -> Result<Option<&str>, PathError> {
    if let Some(name) = segment.strip_prefix(':') {
        let write = format!("{{{}}}", if name.is_empty() { "name" } else { name });
        return Err(PathError::OldSyntax { found: segment.to_owned(), write });
    }
    if let Some(name) = segment.strip_prefix('*') {
        let write = format!("{{*{}}}", if name.is_empty() { "rest" } else { name });
        return Err(PathError::OldSyntax { found: segment.to_owned(), write });
    }
    let bytes = segment.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        match (bytes[index], bytes.get(index + 1)) {
            (b'{', Some(b'{')) | (b'}', Some(b'}')) => index += 2,
            (b'}', _) => return Err(PathError::Unbalanced(segment.to_owned())),
            (b'{', _) => {
                let inner = &segment[index + 1..];
                let Some(end) = inner.find('}') else {
                    return Err(PathError::Unbalanced(segment.to_owned()));
                };
                if end + 1 < inner.len() {
                    return Err(PathError::NotLast(segment.to_owned()));
                }
                return Ok(Some(&inner[..end]));
            }
            _ => index += 1,
        }
    }
    Ok(None)
}

/// Checks a base: a path without parameters and without a final slash.
///
/// # Errors
/// The first problem.
pub fn check_base(base: &str) -> Result<(), String> {
    match parameters(base) {
        Err(error) => Err(error.to_string()),
        Ok(names) if !names.is_empty() => Err("a base has no parameters".into()),
        Ok(_) if base.ends_with('/') => Err("a base does not end with `/`; write \"/api\"".into()),
        Ok(_) => check_path(base).map_err(|error| error.to_string()),
    }
}

/// One segment of a template, by what it matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Segment {
    /// Exactly this text, its braces unescaped.
    Fixed(String),
    /// Any text after this prefix, its braces unescaped.
    Parameter(String),
    /// The rest of the path, which must not be empty.
    Wildcard,
}

/// A segment of a valid template.
pub(crate) fn segment(text: &str) -> Segment {
    let literal = |text: &str| text.replace("{{", "{").replace("}}", "}");
    match parameter(text) {
        Ok(Some(name)) if name.starts_with('*') => Segment::Wildcard,
        Ok(Some(name)) => Segment::Parameter(literal(&text[..text.len() - name.len() - 2])),
        _ => Segment::Fixed(literal(text)),
    }
}

/// The segments of a valid template, which starts with a slash.
pub(crate) fn segments(template: &str) -> Vec<Segment> {
    template.split('/').skip(1).map(segment).collect()
}

/// Whether some path matches both: `/a/b` matches `/{a}/b` and `/a/{b}`.
pub(crate) fn overlap(one: &[Segment], other: &[Segment]) -> bool {
    let ([first, rest @ ..], [second, others @ ..]) = (one, other) else {
        return one.is_empty() && other.is_empty();
    };
    // At the end of a path, a parameter is not empty. A wildcard never is.
    let takes = |prefix: &str, text: &str, rest: &[Segment]| {
        text.strip_prefix(prefix).is_some_and(|value| !value.is_empty() || !rest.is_empty())
    };
    let alike = match (first, second) {
        (Segment::Wildcard, Segment::Fixed(text)) => return takes("", text, others),
        (Segment::Fixed(text), Segment::Wildcard) => return takes("", text, rest),
        (Segment::Wildcard, _) | (_, Segment::Wildcard) => return true,
        (Segment::Fixed(text), Segment::Fixed(other)) => text == other,
        (Segment::Parameter(prefix), Segment::Fixed(text)) => takes(prefix, text, others),
        (Segment::Fixed(text), Segment::Parameter(prefix)) => takes(prefix, text, rest),
        (Segment::Parameter(prefix), Segment::Parameter(other)) => {
            prefix.starts_with(other) || other.starts_with(prefix)
        }
    };
    alike && overlap(rest, others)
}

/// The most segments of a template. Functions that walk along them recurse for each segment.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_overlap_if_a_path_matches_both() {
        for (one, other, both) in [
            ("/a", "/a", true),
            ("/a", "/A", false),
            ("/a", "/a/", false),
            ("/a/", "/a/{x}", false),
            ("/a//b", "/a/{x}/b", true),
            ("/{x}/b", "/a/{y}", true),
            ("/v-{x}", "/{y}", true),
            ("/v-{x}", "/v-", false),
            ("/v-{x}", "/w-{x}", false),
            ("/{*rest}", "/", false),
            ("/{*rest}", "/a/{x}", true),
            ("/a/{*rest}", "/a", false),
            ("/a/{*rest}", "/a/", false),
            ("/a/{*rest}", "/{x}/{*rest}", true),
        ] {
            let (one, other) = (segments(one), segments(other));
            assert_eq!(overlap(&one, &other), both, "{one:?} {other:?}");
            assert_eq!(overlap(&other, &one), both, "{other:?} {one:?}");
        }
    }

    #[test]
    fn axums_templates_are_accepted() {
        for path in ["/", "/a", "/a/", "/a/{id}", "/a-{id}/b", "/{*rest}", "/{{a}}", "/caf%C3%A9"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
            assert!(matchit::Router::new().insert(path, ()).is_ok(), "{path}");
        }
        assert_eq!(parameters("/a/{id}/b/{*rest}").unwrap(), ["id", "rest"]);
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        use PathError as E;
        let s = str::to_owned;
        for (path, error) in [
            ("", E::NoSlash(s(""))),
            ("a/b", E::NoSlash(s("a/b"))),
            ("/:id", E::OldSyntax { found: s(":id"), write: s("{id}") }),
            ("/*rest", E::OldSyntax { found: s("*rest"), write: s("{*rest}") }),
            ("/:", E::OldSyntax { found: s(":"), write: s("{name}") }),
            ("/*", E::OldSyntax { found: s("*"), write: s("{*rest}") }),
            ("/{id", E::Unbalanced(s("{id"))),
            ("/id}", E::Unbalanced(s("id}"))),
            ("/{}", E::Name(s(""))),
            ("/{a-b}", E::Name(s("a-b"))),
            ("/{a}b", E::NotLast(s("{a}b"))),
            ("/{a}{b}", E::NotLast(s("{a}{b}"))),
            ("/{*a}/b", E::Wildcard(s("{*a}"))),
            ("/x{*a}", E::Wildcard(s("x{*a}"))),
            ("/{a}/{a}", E::Duplicate(s("a"))),
            ("//a", E::Segment(s(""))),
            ("/a/../b", E::Segment(s(".."))),
            ("/a?b", E::Character('?')),
            ("/a b", E::Character(' ')),
            ("/é", E::Character('é')),
            ("/%61/caf%c3%a9", E::NotCanonical(s("/a/caf%C3%A9"))),
            ("/a%2fb", E::Ambiguous(canonical_path("/a%2fb").unwrap_err())),
            ("/a%3Ab", E::Encoded(':')),
            ("/a;b", E::Ambiguous(canonical_path("/a;b").unwrap_err())),
        ] {
            assert_eq!(check_path(path), Err(error), "{path}");
        }
    }

    #[test]
    fn a_path_has_at_most_the_longest_number_of_segments() {
        assert_eq!(check_path(&"/a".repeat(LONGEST)), Ok(()));
        assert_eq!(check_path(&"/a".repeat(LONGEST + 1)), Err(PathError::Long(LONGEST + 1)));
    }

    #[test]
    fn a_segment_is_parsed_by_its_syntax() {
        assert_eq!(segment("a"), Segment::Fixed("a".into()));
        assert_eq!(segment("{{a}}"), Segment::Fixed("{a}".into()));
        assert_eq!(segment("{id}"), Segment::Parameter("".into()));
        assert_eq!(segment("v-{id}"), Segment::Parameter("v-".into()));
        assert_eq!(segment("{{v}}{id}"), Segment::Parameter("{v}".into()));
        assert_eq!(segment("{*rest}"), Segment::Wildcard);
    }
}
