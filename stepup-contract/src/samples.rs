//! Paths that stand for all requests which templates can take: there is no end of those, but of the ways in which
//! templates take them there is one.

use crate::path::{Segment, segment};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What stands for any value of a parameter. It is no part of any template, which is visible ASCII, so that no
/// other template takes what it stands for.
const ANY: &str = "\u{1}";

/// What stands for all that a wildcard takes.
const ALL: &str = "\u{2}";

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
     others have a fixed segment, or that differ in their case or their end alone"
)]
pub struct Tangled;

/// How many samples are visited at most, for each template and beside. In a contract as people write them there are
/// not many more than it has endpoints; with parameters at crossing places they double with every template.
const MOST_SAMPLES: (usize, usize) = (64, 4096);

/// Visits paths such that each request which these templates can take is taken by the same of them as one of the
/// paths is: where templates overlap, a parameter stands for what another has there, too. `visit` tells how much there
/// was to look at, in samples.
///
/// # Errors
/// When there is too much of it; some has been visited then.
pub(crate) fn samples(
    templates: impl IntoIterator<Item = Vec<Segment>>,
    visit: impl FnMut(&str) -> usize,
) -> Result<(), Tangled> {
    let templates = Vec::from_iter(templates);
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

impl<V: FnMut(&str) -> usize> Sampler<V> {
    fn take(&mut self) -> Result<(), Tangled> {
        self.left = self.left.checked_sub(1).ok_or(Tangled)?;
        let more = (self.visit)(&self.path);
        self.left = self.left.checked_sub(more).ok_or(Tangled)?;
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
        // Where a parameter begins as well, one goes on behind it.
        texts.extend((wildcard && !parameters.contains_key("")).then(|| ALL.to_owned()));
        for text in texts {
            let length = self.path.len();
            self.path.push('/');
            self.path.push_str(&text);
            let mut next = fixed.get(&*text).cloned().unwrap_or_default();
            // Prefixes may be many, and the beginnings of one text are few.
            let beginnings = (0..=text.len()).filter_map(|end| text.get(..end));
            for rests in beginnings.filter_map(|beginning| parameters.get(beginning)) {
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
    sample.replace(ANY, "…").replace(ALL, "{*}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{check_path, segments};

    #[test]
    fn templates_that_overlap_are_sampled_where_they_do() {
        let of = |templates: &[&str]| {
            let mut paths = BTreeSet::new();
            let templates = templates.iter().map(|template| segments(template));
            let visit = |path: &str| {
                paths.insert(readable(path));
                0
            };
            samples(templates, visit).unwrap();
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
        let crossing = crossing.iter().map(|template| segments(template));
        let visit = |_: &str| {
            count += 1;
            1
        };
        assert_eq!(samples(crossing, visit), Err(Tangled));
        assert_eq!(count, (24 * MOST_SAMPLES.0 + MOST_SAMPLES.1) / 2);
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
}
