//! The variants of a path: how servers read it, other than as written. Some ignore case or accents, some ignore the end
//! of a segment, some remove extensions. A server can combine these habits, so each variant is a variant of the others
//! too.

use crate::path::template::Segment;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Reads a path as some server does. `None` if the server reads the path as written.
type Habit = fn(&str) -> Option<String>;

/// Habits at the end of a path and of its segments, each with servers that have it.
const ENDINGS: [(Habit, &str); 2] = [
    (without_final_slash, "Express (strict routing off), Rails, Flask (strict_slashes=False)"),
    (
        with_trimmed_segments,
        "IIS and ASP.NET: Windows ignores dots and spaces at the end of a name",
    ),
];

/// Habits that remove extensions or segments, each with servers that have it.
const REMOVALS: [(Habit, &str); 4] = [
    (without_last_extension, "Rails (.:format), Spring MVC before 5.3 (suffix patterns)"),
    (without_extensions, "Struts, Apache MultiViews: several extensions of the last segment"),
    (without_inner_extensions, "PHP and CGI path info after a script: /admin.php/users"),
    (
        without_server_segments,
        "PHP front controllers (/index.php/pay), ASP.NET cookieless sessions",
    ),
];

/// The names of scripts that a server handles itself, by their extensions (RFC 3875 §4.1.13).
const SCRIPTS: [&str; 10] = ["asp", "aspx", "cgi", "dll", "exe", "fcgi", "jsp", "php", "pl", "py"];

/// Whether every server reads this path as written. Most paths have only one reading.
pub(crate) fn has_one_reading(path: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_graphic()
            && !byte.is_ascii_uppercase()
            && !matches!(byte, b'%' | b'.' | b'+' | b'(')
    };
    path == "/" || (path.bytes().all(plain) && !path.ends_with('/'))
}

/// The variants of a path, including the path itself. With `keep_extension`, the extension belongs to the path and is
/// not removed.
pub(crate) fn variants(path: &str, keep_extension: bool) -> Vec<Cow<'_, str>> {
    let apply = |habits: &[(Habit, &str)], path: &str| -> Vec<String> {
        habits.iter().filter_map(|(habit, _)| habit(path)).collect()
    };
    let mut variants = vec![Cow::Borrowed(path)];
    variants.extend(apply(&ENDINGS, path).into_iter().map(Cow::Owned));
    if !keep_extension {
        let removed: Vec<String> =
            variants.iter().flat_map(|variant| apply(&REMOVALS, variant)).collect();
        for variant in removed {
            variants.push(trimmed(&variant).into());
            variants.push(variant.into());
        }
    }
    variants.sort_unstable();
    variants.dedup();
    variants
}

/// A text, completely percent-decoded. A text that cannot be decoded is returned unchanged.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8().unwrap_or_else(|_| text.into())
}

/// A text reduced to what a lenient server compares:
///
/// | ignored | by |
/// |---|---|
/// | case | IIS, Express by default, file systems of Windows and macOS |
/// | accents and widths | collations of MySQL and SQL Server, best-fit conversions of Windows |
/// | the difference of `+` and a space | servers that decode a path like a form |
pub(crate) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    text.chars().for_each(|c| fold(c, &mut folded));
    folded
}

/// Adds the reduced form of a character, which does not depend on its neighbours.
fn fold(c: char, folded: &mut String) {
    if c.is_ascii() {
        folded.push(if c == '+' { ' ' } else { c.to_ascii_lowercase() });
        return;
    }
    let letters = std::iter::once(c).nfkd().filter(|c| !is_combining_mark(*c));
    // Upper case first, because a dotless i and a long s share the upper case of i and s.
    let letters = letters.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.extend(letters.map(|c| if c == '+' { ' ' } else { c }));
}

/// How much of a path the templates of a table can distinguish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The most segments of a template.
    pub(crate) segments: usize,
    /// The most bytes of a fixed text or a prefix in a template.
    pub(crate) bytes: usize,
}

impl Extent {
    /// Extends this to include a template.
    pub(crate) fn include(&mut self, template: &[Segment]) {
        self.segments = self.segments.max(template.len());
        for segment in template {
            if let Segment::Fixed(text) | Segment::Parameter(text) = segment {
                self.bytes = self.bytes.max(text.len());
            }
        }
    }
}

/// The start of a path that decides which template matches any of its variants, [`folded`].
///
/// A path with more segments than every template matches only wildcards, and a segment that is longer than every fixed
/// text matches only parameters. So the rest is left out, which limits the work for a hostile path. Each variant keeps
/// one segment more than the templates have, and the last segment keeps its end.
pub(crate) fn folded_start(path: &str, extent: Extent) -> String {
    let most = extent.segments.saturating_add(2);
    let mut counts = [0_usize; SURVIVAL.len()];
    let mut start = String::with_capacity(path.len().min(256));
    let (before, last) = path.rsplit_once('/').unwrap_or_default();
    for segment in before.split('/').skip(1) {
        if counts.iter().all(|count| *count == most) {
            break;
        }
        let segment = folded_segment(segment, extent.bytes);
        let mut decides = false;
        for (survives, count) in SURVIVAL.iter().zip(&mut counts) {
            if *count < most && survives(&segment) {
                *count += 1;
                decides = true;
            }
        }
        if decides {
            start.push('/');
            start.push_str(&segment);
        }
    }
    start.push('/');
    start.push_str(&folded_segment(last, extent.bytes));
    start
}

/// Whether the variants that apply a habit keep this segment.
const SURVIVAL: [fn(&str) -> bool; 6] = [
    |_| true,
    |segment| !trimmed_segment(segment).is_empty(),
    |segment| !is_servers_own(segment),
    |segment| !is_servers_own(segment) && !trimmed_segment(segment).is_empty(),
    |segment| {
        let segment = trimmed_segment(segment);
        !segment.is_empty() && !is_servers_own(segment)
    },
    |segment| !trimmed_segment(stem(segment)).is_empty(),
];

/// A folded segment without its middle, if it is longer than every text of a template. What habits look at stays: the
/// start, the end, and some of the dots and spaces after it.
fn folded_segment(segment: &str, longest: usize) -> String {
    let mut folded = folded(segment);
    let core = trimmed_segment(&folded).len();
    folded.truncate(boundary(&folded, core.saturating_add(END)));
    let (start, end) = (longest.saturating_add(END), core.saturating_sub(END));
    if start < end {
        let (start, end) = (boundary(&folded, start), boundary(&folded, end));
        folded.replace_range(start..end, "");
    }
    folded
}

/// The bytes at the end of a segment that are kept. Extensions of scripts are shorter.
const END: usize = 16;

/// The last character boundary up to this index.
fn boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// A segment without the dots and the white space at its end.
pub(crate) fn trimmed_segment(segment: &str) -> &str {
    segment.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// A path with trimmed segments, without those that are empty then.
fn trimmed(path: &str) -> String {
    let mut trimmed = String::with_capacity(path.len());
    for segment in path.split('/').map(trimmed_segment).filter(|segment| !segment.is_empty()) {
        trimmed.push('/');
        trimmed.push_str(segment);
    }
    if trimmed.is_empty() { "/".to_owned() } else { trimmed }
}

fn without_final_slash(path: &str) -> Option<String> {
    Some(match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        stripped => stripped.to_owned(),
    })
}

fn with_trimmed_segments(path: &str) -> Option<String> {
    Some(trimmed(path))
}

/// The start of the last segment, and the segment.
fn last_segment(path: &str) -> (usize, &str) {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    (start, path.get(start..).unwrap_or_default())
}

fn without_last_extension(path: &str) -> Option<String> {
    let (start, name) = last_segment(path);
    path.get(..start + name.rfind('.')?).map(str::to_owned)
}

fn without_extensions(path: &str) -> Option<String> {
    let (start, name) = last_segment(path);
    path.get(..start + name.find('.')?).map(str::to_owned)
}

fn without_inner_extensions(path: &str) -> Option<String> {
    let stems: Vec<&str> = path.split('/').map(stem).collect();
    Some(stems.join("/")).filter(|path| path.starts_with('/'))
}

/// A segment without its extensions.
fn stem(segment: &str) -> &str {
    match segment.find('.') {
        Some(dot) if dot > 0 => segment.get(..dot).unwrap_or_default(),
        _ => segment,
    }
}

/// Whether a server handles this segment itself.
fn is_servers_own(segment: &str) -> bool {
    let script = segment.rsplit_once('.').is_some_and(|(_, end)| SCRIPTS.contains(&end));
    script || (segment.starts_with('(') && segment.ends_with(')'))
}

fn without_server_segments(path: &str) -> Option<String> {
    let (rest, last) = path.rsplit_once('/').unwrap_or(("", path));
    let mut kept: Vec<&str> = rest.split('/').filter(|segment| !is_servers_own(segment)).collect();
    kept.push(last);
    Some(kept.join("/")).filter(|path| path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_has_every_variant() {
        for (path, expected) in [
            ("/", &["/"][..]),
            ("/a", &["/a"]),
            ("/a/", &["/a", "/a/"]),
            ("/a.json", &["/a", "/a.json"]),
            ("/a.x.y", &["/a", "/a.x", "/a.x.y"]),
            ("/a .json", &["/a", "/a ", "/a .json"]),
            ("/a.json ", &["/a", "/a.json", "/a.json "]),
            ("/a./b", &["/a./b", "/a/b"]),
            ("/a/...", &["/a", "/a/", "/a/..", "/a/..."]),
            ("/a/.json", &["/a", "/a/", "/a/.json"]),
            ("/a\u{a0}", &["/a", "/a\u{a0}"]),
        ] {
            let read = variants(path, false);
            for variant in expected {
                assert!(read.iter().any(|read| read == variant), "{path}: {read:?}");
            }
            assert!(read.len() <= expected.len() + 2, "{path}: {read:?}");
        }
        assert_eq!(variants("/a.json", true), ["/a.json"]);
    }

    #[test]
    fn letters_are_reduced_to_their_base_form() {
        for (text, read) in [
            ("/A+b", "/a b"),
            ("caf\u{c9}", "cafe"),
            ("\u{17f}ett\u{131}ngs", "settings"),
            ("\u{130}\u{212a}", "ik"),
            ("\u{ff30}ay", "pay"),
            ("stra\u{df}e", "strasse"),
        ] {
            assert_eq!(folded(text), read, "{text}");
        }
    }

    #[test]
    fn a_text_is_decoded_once() {
        for (text, read) in
            [("/a%3Ab", "/a:b"), ("/%2541", "/%41"), ("/a%", "/a%"), ("/%ff", "/%ff"), ("/a", "/a")]
        {
            assert_eq!(decoded(text), read, "{text}");
        }
    }

    #[test]
    fn most_paths_have_one_reading() {
        for path in ["/", "/a/b-c_d~e", "/users/@me:x", "/a=b,c"] {
            assert!(has_one_reading(path), "{path}");
            let folded = folded(path);
            assert_eq!(variants(&folded, false), [path], "{path}");
        }
        for path in ["/a/", "/A", "/a.b", "/a%20", "/a+b", "/\u{e9}"] {
            assert!(!has_one_reading(path), "{path}");
        }
    }
}
