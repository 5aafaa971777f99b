//! Representative paths. The number of paths that a set of templates matches is unlimited, but the number of ways to
//! match them is not: for each way, one representative path is enough.

use crate::path::template::{Segment, segment};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Represents any value of a parameter. No template contains this character, because templates are visible ASCII, so no
/// fixed segment equals it.
const ANY: &str = "\u{1}";

/// Represents any value of a wildcard.
const ALL: &str = "\u{2}";

/// The template without its parameters' names. Templates that match the same paths give the same text.
pub fn without_names(template: &str) -> String {
    let segments = template.split('/').map(|text| match segment(text) {
        Segment::Fixed(text) => text,
        Segment::Parameter(prefix) => format!("{prefix}{ANY}"),
        Segment::Wildcard => ALL.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The templates overlap in more ways than can be enumerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the paths overlap in too many ways to compare them; reduce the number of paths that have a parameter where others \
     have a fixed segment, or that differ only in their case or their ending"
)]
pub struct TooManyOverlaps;

/// The most representatives that are visited, per template and in addition. A typical contract has few more than
/// endpoints; with parameters at crossing positions the number doubles with every template.
const MOST_REPRESENTATIVES: (usize, usize) = (64, 4096);

/// Visits representative paths: every path that these templates match is matched by the same templates as one of the
/// representatives. `visit` returns the additional cost of a visit, in representatives.
///
/// # Errors
/// If the limit is reached; some representatives have been visited then.
pub(crate) fn representatives(
    templates: impl IntoIterator<Item = Vec<Segment>>,
    visit: impl FnMut(&str) -> usize,
) -> Result<(), TooManyOverlaps> {
    let templates = Vec::from_iter(templates);
    let left = MOST_REPRESENTATIVES.0 * templates.len() + MOST_REPRESENTATIVES.1;
    let mut walk = Walk { path: String::new(), visit, left };
    walk.extend(templates.iter().map(Vec::as_slice).collect())
}

/// A walk along all templates at once.
struct Walk<V> {
    path: String,
    visit: V,
    /// How many more representatives may be visited.
    left: usize,
}

impl<V: FnMut(&str) -> usize> Walk<V> {
    fn visit(&mut self) -> Result<(), TooManyOverlaps> {
        self.left = self.left.checked_sub(1).ok_or(TooManyOverlaps)?;
        let cost = (self.visit)(&self.path);
        self.left = self.left.checked_sub(cost).ok_or(TooManyOverlaps)?;
        Ok(())
    }

    /// Visits the paths that start with the current one. `left` is the rest of each template.
    fn extend(&mut self, mut left: Vec<&[Segment]>) -> Result<(), TooManyOverlaps> {
        left.sort_unstable();
        left.dedup();
        let firsts = || left.iter().filter_map(|left| left.first());
        let wildcard = firsts().any(|first| *first == Segment::Wildcard);
        let ends = left.iter().any(|left| left.is_empty());
        // A wildcard that started earlier matches a final slash; a parameter or wildcard that starts here does not.
        if wildcard {
            self.path.push('/');
            self.visit()?;
            self.path.pop();
        }
        if ends || wildcard {
            self.visit()?;
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
        // If a parameter starts here too, the walk continues there.
        texts.extend((wildcard && !parameters.contains_key("")).then(|| ALL.to_owned()));
        for text in texts {
            let length = self.path.len();
            self.path.push('/');
            self.path.push_str(&text);
            let mut next = fixed.get(&*text).cloned().unwrap_or_default();
            // There may be many prefixes, but a text has few beginnings.
            let beginnings = (0..=text.len()).filter_map(|end| text.get(..end));
            for rests in beginnings.filter_map(|beginning| parameters.get(beginning)) {
                next.extend(rests);
            }
            if next.is_empty() {
                self.visit()?;
            } else {
                // A wildcard also matches the next segments of other templates.
                next.extend(wildcard.then_some(&[Segment::Wildcard][..]));
                self.extend(next)?;
            }
            self.path.truncate(length);
        }
        Ok(())
    }
}

/// A representative path for people.
pub(crate) fn readable(representative: &str) -> String {
    representative.replace(ANY, "…").replace(ALL, "{*}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::template::{check_path, segments};

    #[test]
    fn overlapping_templates_have_a_representative_of_the_overlap() {
        let of = |templates: &[&str]| {
            let mut paths = BTreeSet::new();
            let templates = templates.iter().map(|template| segments(template));
            let visit = |path: &str| {
                paths.insert(readable(path));
                0
            };
            representatives(templates, visit).unwrap();
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
        for path in ["/{*}", "/a", "/a/…", "/a/…/c", "/a/…/{*}", "/a/"] {
            assert!(wild.iter().any(|one| one == path), "{path} is not in {wild:?}");
        }
    }

    #[test]
    fn the_number_of_representatives_is_limited() {
        // Every subset of the templates can match a path.
        let crossing = (0..24).map(|at| {
            let segments = (0..24).map(|other| match other == at {
                true => "/x".to_owned(),
                false => format!("/{{p{other}}}"),
            });
            segments.collect::<String>()
        });
        let crossing: Vec<String> = crossing.collect();
        let mut count = 0;
        let crossing = crossing.iter().map(|template| segments(template));
        let visit = |_: &str| {
            count += 1;
            1
        };
        assert_eq!(representatives(crossing, visit), Err(TooManyOverlaps));
        assert_eq!(count, (24 * MOST_REPRESENTATIVES.0 + MOST_REPRESENTATIVES.1) / 2);
    }

    #[test]
    fn no_template_contains_the_placeholder_characters() {
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
}
