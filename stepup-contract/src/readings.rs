//! The ways in which servers read a path: as it is written or with all of it decoded; with or without regard to
//! case, accents and widths, to what stands at the end of a segment, and to an extension. Each is some server's
//! habit, and so is each of them after another.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Whether every server reads this path as it is written. Most are such paths.
pub(crate) fn is_read_alike(path: &str) -> bool {
    let alike = |byte: u8| {
        byte.is_ascii_graphic()
            && !byte.is_ascii_uppercase()
            && !matches!(byte, b'%' | b'.' | b'+' | b'(')
    };
    path == "/" || (path.bytes().all(alike) && !path.ends_with('/'))
}

/// The ways to read the end of a path, and of its segments. Those that take a name's extension off it are among
/// them unless it is `stated`.
pub(crate) fn readings(path: &str, stated: bool) -> Vec<Cow<'_, str>> {
    let slashless = match path.trim_end_matches('/') {
        "" => "/",
        slashless => slashless,
    };
    let mut readings = vec![Cow::Borrowed(path), slashless.into(), trimmed(path).into()];
    if !stated {
        let within = readings.iter().flat_map(|reading| within(reading));
        let stems = readings.iter().flat_map(|reading| stems(reading)).chain(within);
        let stems: Vec<String> = stems.collect();
        for stem in stems {
            readings.push(trimmed(&stem).into());
            readings.push(stem.into());
        }
    }
    readings.sort_unstable();
    readings.dedup();
    readings
}

/// What a text of a path says when all of it is decoded. One that cannot be decoded stays as it is.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8().unwrap_or_else(|_| text.into())
}

/// A text without what some servers overlook in its letters: case, as any language has it, accents, widths and
/// other forms of compatibility; and with a space for a plus sign, which is one in a form (and for some servers in
/// a path).
pub(crate) fn folded(text: &str) -> String {
    let spaced = |c| if c == '+' { ' ' } else { c };
    if text.is_ascii() {
        return text.chars().map(|c| spaced(c.to_ascii_lowercase())).collect();
    }
    let letters = text.nfkd().filter(|c| !is_combining_mark(*c));
    // A dotless i and a long s have the upper case of other letters.
    letters.flat_map(char::to_uppercase).flat_map(char::to_lowercase).map(spaced).collect()
}

/// A segment without what some servers overlook at its end: dots and white space.
pub(crate) fn trimmed_segment(segment: &str) -> &str {
    segment.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// A path with its segments trimmed, and without those that are empty then.
fn trimmed(path: &str) -> String {
    let mut trimmed = String::with_capacity(path.len());
    for segment in path.split('/').map(trimmed_segment).filter(|segment| !segment.is_empty()) {
        trimmed.push('/');
        trimmed.push_str(segment);
    }
    if trimmed.is_empty() { "/".to_owned() } else { trimmed }
}

/// The path without the extensions of all its segments; and without what belongs to the server in front of the last:
/// the name of a script (RFC 3875 §4.1.13), and ASP.NET's `(S(…))`, which stands for a cookie.
fn within(path: &str) -> impl Iterator<Item = String> + use<> {
    const SCRIPTS: [&str; 10] =
        ["asp", "aspx", "cgi", "dll", "exe", "fcgi", "jsp", "php", "pl", "py"];
    let stem = |segment: &str| match segment.find('.') {
        Some(dot) if dot > 0 => segment.get(..dot).unwrap_or_default().to_owned(),
        _ => segment.to_owned(),
    };
    let stems: Vec<String> = path.split('/').map(stem).collect();
    let servers = |segment: &&str| {
        let script = segment.rsplit_once('.').is_some_and(|(_, end)| SCRIPTS.contains(&end));
        script || (segment.starts_with('(') && segment.ends_with(')'))
    };
    let (rest, last) = path.rsplit_once('/').unwrap_or(("", path));
    let mut kept: Vec<&str> = rest.split('/').filter(|segment| !servers(segment)).collect();
    kept.push(last);
    [stems.join("/"), kept.join("/")]
        .into_iter()
        .filter(|reading| reading.starts_with('/'))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The path without the extension of its last segment, and without all of them where it has several: some
/// servers take them for the form of the answer.
fn stems(path: &str) -> impl Iterator<Item = String> + use<'_> {
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    let name = path.get(last..).unwrap_or_default();
    let dots = name.rfind('.').into_iter().chain(name.find('.'));
    dots.filter_map(move |dot| path.get(..last + dot).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_is_read_in_every_way() {
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
            let read = readings(path, false);
            for reading in expected {
                assert!(read.iter().any(|read| read == reading), "{path}: {read:?}");
            }
            assert!(read.len() <= expected.len() + 2, "{path}: {read:?}");
        }
        assert_eq!(readings("/a.json", true), ["/a.json"]);
    }

    #[test]
    fn letters_are_read_without_their_forms() {
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
    fn most_paths_are_read_alike() {
        for path in ["/", "/a/b-c_d~e", "/users/@me:x", "/a=b,c"] {
            assert!(is_read_alike(path), "{path}");
            let folded = folded(path);
            assert_eq!(readings(&folded, false), [path], "{path}");
        }
        for path in ["/a/", "/A", "/a.b", "/a%20", "/a+b", "/\u{e9}"] {
            assert!(!is_read_alike(path), "{path}");
        }
    }
}
