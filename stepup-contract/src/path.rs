//! Path templates in axum 0.8's syntax: `/users/{id}`, `/files/{*rest}`, `{{` for a literal brace.

use crate::spelling::{Ambiguous, needlessly_encoded, plain_path};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why a text is not a path template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("a path begins with `/`; write \"/{0}\"")]
    NoSlash(String),
    /// axum 0.7's way to write a parameter.
    #[error("`{found}` is axum 0.7's syntax; write `{write}`")]
    OldSyntax {
        /// The segment as it stands.
        found: String,
        /// The same in axum 0.8's syntax.
        write: String,
    },
    /// A brace without its partner.
    #[error("the braces in `{0}` do not match; write `{{name}}` for a parameter")]
    Unbalanced(String),
    /// A parameter with no usable name.
    #[error("`{0}` is not a parameter's name; use letters, digits and `_`")]
    Name(String),
    /// Text behind a parameter, or a second parameter, in one segment.
    #[error(
        "in `{0}` something follows the parameter; a parameter is the last thing in its segment"
    )]
    NotLast(String),
    /// `{*rest}` before the end, or behind other text.
    #[error("`{0}` must be the path's whole last segment")]
    Wildcard(String),
    /// So many segments that looking for them takes too much.
    #[error("a path has at most {LONGEST} segments, and this one {0}")]
    Long(usize),
    /// The same name twice.
    #[error("the parameter `{0}` stands twice; give each its own name")]
    Duplicate(String),
    /// An empty segment or a dot segment, which clients and proxies rewrite.
    #[error("the segment `{0}` can be read in two ways by clients and proxies; leave it out")]
    Segment(String),
    /// A character that no request's path has.
    #[error("{0:?} never stands in a request's path; percent-encode it, or leave the query out")]
    Character(char),
    /// An encoding of what needs none, or one in lower case.
    #[error("the path is spelled otherwise in requests; write \"{0}\"")]
    Spelling(String),
    /// An encoding of what stands for itself.
    #[error("`{0}` stands for itself in a path; write it without an encoding")]
    Encoded(char),
    /// Something that clients and proxies read in more than one way.
    #[error("{0}; leave it out")]
    Ambiguous(Ambiguous),
}

/// Checks a path template.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_path(template: &str) -> Result<(), PathError> {
    parameters(template)?;
    match plain_path(template) {
        Err(why) => Err(PathError::Ambiguous(why)),
        Ok(plain) if plain != template => Err(PathError::Spelling(plain.into_owned())),
        Ok(_) => needlessly_encoded(template).map_or(Ok(()), |odd| Err(PathError::Encoded(odd))),
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

/// What stands between the braces of a segment's parameter, if it has one.
fn parameter(segment: &str) -> Result<Option<&str>, PathError> {
    if let Some(name) = segment.strip_prefix(':') {
        let write = format!("{{{name}}}");
        return Err(PathError::OldSyntax { found: segment.to_owned(), write });
    }
    if segment.starts_with('*') {
        let write = format!("{{{segment}}}");
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

/// Where a router serves this path when it is nested under this base: axum serves an inner `/` at
/// the base itself, without a slash at the end.
pub fn joined<'a>(base: &'a str, path: &'a str) -> Cow<'a, str> {
    match (base, path) {
        ("", path) => path.into(),
        (base, "/") => base.into(),
        (base, path) => format!("{base}{path}").into(),
    }
}

/// One segment of a template, by what it matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// Exactly this text, its braces unescaped.
    Fixed(String),
    /// Anything behind this prefix, its braces unescaped.
    Parameter(String),
    /// All the rest, but not nothing.
    Wildcard,
}

/// What a segment of a checked template matches.
pub(crate) fn segment(text: &str) -> Segment {
    let literal = |text: &str| text.replace("{{", "{").replace("}}", "}");
    match parameter(text) {
        Ok(Some(name)) if name.starts_with('*') => Segment::Wildcard,
        Ok(Some(name)) => Segment::Parameter(literal(&text[..text.len() - name.len() - 2])),
        _ => Segment::Fixed(literal(text)),
    }
}

/// What stands for any value of a parameter. It is no part of any template, which is visible ASCII, so that no
/// other template takes what it stands for.
const ANY: &str = "\u{1}";

/// What stands for all that a wildcard takes.
const ALL: &str = "\u{2}";

/// How many segments a template may have: what walks along them calls itself for each.
const LONGEST: usize = 128;

/// The template with its parameters' names left out: templates that take the same requests give the same
/// text.
pub fn without_names(template: &str) -> String {
    let segments = template.split('/').map(|text| match segment(text) {
        Segment::Fixed(text) => text,
        Segment::Parameter(prefix) => format!("{prefix}{ANY}"),
        Segment::Wildcard => ALL.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Templates that overlap in more ways than can be looked at, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the paths overlap in so many ways that they cannot be compared; have fewer paths that have a parameter where \
     others have a fixed segment"
)]
pub struct Tangled;

/// How many samples are visited at most, for each template and beside. In a contract as people write them there are
/// not many more than it has endpoints; with parameters at crossing places they double with every template.
const MOST_SAMPLES: (usize, usize) = (64, 4096);

/// Visits paths such that each request which these checked templates can take is taken by the same of them
/// as one of the paths is: where templates overlap, a parameter stands for what another has there, too.
///
/// # Errors
/// When there are too many of them; some have been visited then.
pub(crate) fn samples<'a>(
    templates: impl IntoIterator<Item = &'a str>,
    visit: impl FnMut(&str),
) -> Result<(), Tangled> {
    let templates: Vec<Vec<Segment>> = templates
        .into_iter()
        .map(|template| template.split('/').skip(1).map(segment).collect())
        .collect();
    let left = MOST_SAMPLES.0 * templates.len() + MOST_SAMPLES.1;
    let mut sampler = Sampler { path: String::new(), visit, left };
    sampler.extend(templates.iter().map(Vec::as_slice).collect())
}

/// A walk along all templates at once.
struct Sampler<V> {
    path: String,
    visit: V,
    /// How many more samples may be visited.
    left: usize,
}

impl<V: FnMut(&str)> Sampler<V> {
    fn take(&mut self) -> Result<(), Tangled> {
        self.left = self.left.checked_sub(1).ok_or(Tangled)?;
        (self.visit)(&self.path);
        Ok(())
    }

    /// Visits the paths that begin like this one, for templates of which this is left.
    fn extend(&mut self, mut left: Vec<&[Segment]>) -> Result<(), Tangled> {
        left.sort_unstable();
        left.dedup();
        let firsts = || left.iter().filter_map(|left| left.first());
        let wildcard = firsts().any(|first| *first == Segment::Wildcard);
        let ends = left.iter().any(|left| left.is_empty());
        // One that began before takes a slash at the end; a parameter and a wildcard that begin here do not.
        if wildcard {
            self.path.push('/');
            self.take()?;
            self.path.pop();
        }
        if ends || wildcard {
            self.take()?;
        }
        let mut fixed: BTreeMap<&str, Vec<&[Segment]>> = BTreeMap::new();
        let mut parameters: BTreeMap<&str, Vec<&[Segment]>> = BTreeMap::new();
        for left in &left {
            match left.split_first() {
                Some((Segment::Fixed(text), rest)) => fixed.entry(text).or_default().push(rest),
                Some((Segment::Parameter(prefix), rest)) => {
                    parameters.entry(prefix).or_default().push(rest);
                }
                Some((Segment::Wildcard, _)) | None => {}
            }
        }
        let any = parameters.keys().map(|prefix| format!("{prefix}{ANY}"));
        let mut texts: BTreeSet<String> =
            any.chain(fixed.keys().map(|text| (*text).into())).collect();
        texts.extend(wildcard.then(|| ANY.to_owned()));
        for text in texts {
            let length = self.path.len();
            self.path.push('/');
            self.path.push_str(&text);
            let mut next = fixed.get(&*text).cloned().unwrap_or_default();
            for (_, rests) in parameters.iter().filter(|(prefix, _)| text.starts_with(**prefix)) {
                next.extend(rests);
            }
            if next.is_empty() {
                self.take()?;
            } else {
                // A wildcard takes more, as long as another template goes on.
                next.extend(wildcard.then_some(&[Segment::Wildcard][..]));
                self.extend(next)?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }
}

/// A sampled path as people write it.
pub(crate) fn readable(sample: &str) -> String {
    sample.replace(ANY, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axums_templates_are_accepted() {
        for path in ["/", "/a", "/a/", "/a/{id}", "/a-{id}/b", "/{*rest}", "/{{a}}", "/caf%C3%A9"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
            assert!(matchit::Router::new().insert(path, ()).is_ok(), "{path}");
        }
        assert_eq!(parameters("/a/{id}/b/{*rest}").unwrap(), ["id", "rest"]);
    }

    #[test]
    fn each_mistake_is_named() {
        use PathError as E;
        let s = str::to_owned;
        for (path, error) in [
            ("", E::NoSlash(s(""))),
            ("a/b", E::NoSlash(s("a/b"))),
            ("/:id", E::OldSyntax { found: s(":id"), write: s("{id}") }),
            ("/*rest", E::OldSyntax { found: s("*rest"), write: s("{*rest}") }),
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
            ("/%61/caf%c3%a9", E::Spelling(s("/a/caf%C3%A9"))),
            ("/a%2fb", E::Ambiguous(plain_path("/a%2fb").unwrap_err())),
            ("/a%3Ab", E::Encoded(':')),
            ("/a;b", E::Ambiguous(plain_path("/a;b").unwrap_err())),
        ] {
            assert_eq!(check_path(path), Err(error), "{path}");
        }
    }

    #[test]
    fn templates_that_overlap_are_sampled_where_they_do() {
        let of = |templates: &[&str]| {
            let mut paths = BTreeSet::new();
            samples(templates.iter().copied(), |path| paths.extend([readable(path)])).unwrap();
            Vec::from_iter(paths)
        };
        assert_eq!(of(&["/"]), ["/"]);
        assert_eq!(of(&["/a", "/a/"]), ["/a", "/a/"]);
        assert_eq!(of(&["/a/{id}", "/a/{key}"]), ["/a/…"]);
        let crossed = of(&["/a/{x}/c", "/a/b/{y}"]);
        assert_eq!(crossed, ["/a/b/c", "/a/b/…", "/a/…/c"]);
        let prefixed = of(&["/v-{x}", "/{y}"]);
        assert_eq!(prefixed, ["/v-…", "/…"]);
        let wild = of(&["/{*rest}", "/a/{b}/c"]);
        for path in ["/…", "/a", "/a/…", "/a/…/c", "/a/…/…", "/a/"] {
            assert!(wild.iter().any(|sample| sample == path), "{path} is not in {wild:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_samples() {
        // Each request goes on with any part of them.
        let crossing = (0..24).map(|at| {
            let segments = (0..24).map(|other| match other == at {
                true => "/x".to_owned(),
                false => format!("/{{p{other}}}"),
            });
            segments.collect::<String>()
        });
        let crossing: Vec<String> = crossing.collect();
        let mut count = 0;
        assert_eq!(samples(crossing.iter().map(String::as_str), |_| count += 1), Err(Tangled));
        assert_eq!(count, 24 * MOST_SAMPLES.0 + MOST_SAMPLES.1);
    }

    #[test]
    fn no_template_takes_what_stands_for_any_value() {
        for byte in 0..=u8::MAX {
            let text = char::from(byte).to_string();
            if text.contains(ANY) || text.contains(ALL) {
                assert!(check_path(&format!("/{text}")).is_err());
                assert!(check_path(&format!("/{text}{{x}}")).is_err());
            }
        }
        let texts = ["/{*all}", "/{a}/{b}", "/{a}", "/~{a}", "/~any~"].map(without_names);
        assert_eq!(BTreeSet::from(texts).len(), 5);
    }

    #[test]
    fn a_path_is_not_deeper_than_what_walks_it() {
        assert_eq!(check_path(&"/a".repeat(LONGEST)), Ok(()));
        assert_eq!(check_path(&"/a".repeat(LONGEST + 1)), Err(PathError::Long(LONGEST + 1)));
    }

    #[test]
    fn a_segment_is_known_by_what_it_matches() {
        assert_eq!(segment("a"), Segment::Fixed("a".into()));
        assert_eq!(segment("{{a}}"), Segment::Fixed("{a}".into()));
        assert_eq!(segment("{id}"), Segment::Parameter("".into()));
        assert_eq!(segment("v-{id}"), Segment::Parameter("v-".into()));
        assert_eq!(segment("{{v}}{id}"), Segment::Parameter("{v}".into()));
        assert_eq!(segment("{*rest}"), Segment::Wildcard);
    }
}
