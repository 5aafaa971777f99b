//! The one spelling of a request's path. Between a gateway and the program behind it stand several
//! parsers, and what they read differently is a way around the contract (RFC 3986 §6.2.2, CWE-436): a path
//! that could be read in two ways is refused, whatever the contract says of it.

use std::borrow::Cow;
use thiserror::Error;

/// Why a path can be read in two ways. The text keeps to the character set of RFC 6750 §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Ambiguous(&'static str);

impl Ambiguous {
    pub(crate) const fn new(why: &'static str) -> Self {
        Self(why)
    }

    /// The sentence.
    pub fn why(self) -> &'static str {
        self.0
    }
}

const NO_SLASH: Ambiguous = Ambiguous("the path does not begin with a slash");
const EMPTY: Ambiguous = Ambiguous("the path has an empty segment");
const DOTS: Ambiguous = Ambiguous("the path has a dot segment");
const CHARACTER: Ambiguous =
    Ambiguous("the path has a character that stands for itself in no path");
const PARAMETER: Ambiguous = Ambiguous("the path has a semicolon, which some servers cut off");
const ESCAPE: Ambiguous = Ambiguous("the path has a percent sign without two hexadecimal digits");
const ESCAPED: Ambiguous =
    Ambiguous("the path hides a slash, a delimiter, a percent sign or a control character");
const LOOKALIKE: Ambiguous =
    Ambiguous("the path has a character that some servers normalize to a delimiter");
const TEXT: Ambiguous = Ambiguous("the path is not UTF-8");

/// The path as a contract's templates are matched with it: unreserved characters stand for themselves
/// (RFC 3986 §2.3), the hexadecimal digits of what stays encoded are upper case. `path` is the path of the
/// request line, without the query.
///
/// # Errors
/// When two parsers could read it in two ways: an empty segment, a dot segment, a backslash, a semicolon,
/// an encoded delimiter or control character, or a character that is normalized to one, a percent sign that
/// could be decoded twice, bytes that are not UTF-8.
///
/// ```
/// use stepup_contract::plain_path;
///
/// assert_eq!(plain_path("/%61pprove/%c3%a9").unwrap(), "/approve/%C3%A9");
/// assert!(plain_path("/public/..%2fapprove").is_err());
/// ```
pub fn plain_path(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if !path.starts_with('/') {
        return Err(NO_SLASH);
    }
    let plain = match path.contains('%') {
        true => Cow::Owned(decoded(path)?),
        false => Cow::Borrowed(path),
    };
    if let Some(odd) = plain.bytes().find(|byte| !stands_for_itself(*byte)) {
        return Err(if odd == b';' { PARAMETER } else { CHARACTER });
    }
    let has = |pair: &[u8; 2]| plain.as_bytes().windows(2).any(|bytes| bytes == pair);
    if has(b"//") {
        return Err(EMPTY);
    }
    if has(b"/.") && plain.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(DOTS);
    }
    Ok(plain)
}

/// The characters of RFC 3986 §3.3, semicolon apart, and the percent sign of what stays encoded. Braces
/// and the like are none, and are sent by some clients all the same; no parser reads them as another.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b';' | b'\\' | b'?' | b'#')
}

/// The compatibility forms of the delimiters and of dots (Unicode NFKC), and what is mapped to a slash where
/// text is made to fit a smaller character set.
const LOOKALIKES: [char; 13] = [
    '\u{2024}', '\u{2025}', '\u{2044}', '\u{2215}', '\u{fe52}', '\u{fe54}', '\u{fe68}', '\u{ff03}',
    '\u{ff05}', '\u{ff0e}', '\u{ff0f}', '\u{ff1b}', '\u{ff3c}',
];

/// Decodes what is unreserved.
fn decoded(path: &str) -> Result<String, Ambiguous> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = path.as_bytes();
    let mut plain = String::with_capacity(path.len());
    // What the path says when all of it is decoded.
    let mut meaning = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            // Beyond ASCII nothing stands for itself; refused by the caller, whatever it is here.
            plain.push(if byte.is_ascii() { char::from(byte) } else { '\\' });
            meaning.push(byte);
            at += 1;
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) else {
            return Err(ESCAPE);
        };
        #[expect(clippy::cast_possible_truncation, reason = "two hexadecimal digits")]
        let value = (high * 16 + low) as u8;
        at += 3;
        meaning.push(value);
        match value {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                plain.push(char::from(value));
            }
            b'/' | b'\\' | b';' | b'?' | b'#' | 0..=0x1f | 0x7f => return Err(ESCAPED),
            // Decoded twice, it would be another path.
            b'%' if digit(bytes.get(at)).is_some() && digit(bytes.get(at + 1)).is_some() => {
                return Err(ESCAPED);
            }
            _ => plain.extend(['%', hex(value >> 4), hex(value & 15)]),
        }
    }
    // An overlong encoding is a way to write a slash, too.
    let meaning = std::str::from_utf8(&meaning).map_err(|_| TEXT)?;
    if meaning.contains(LOOKALIKES) {
        return Err(LOOKALIKE);
    }
    Ok(plain)
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or_default().to_ascii_uppercase()
}

/// What a text of a path says when all of it is decoded, without what some servers overlook: the case of
/// letters. One that cannot be decoded stays as it is.
pub(crate) fn meaning(text: &str) -> String {
    if !text.contains('%') {
        return text.to_ascii_lowercase();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        (rest, bytes) = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                #[expect(clippy::cast_possible_truncation, reason = "two hexadecimal digits")]
                bytes.push((high * 16 + low) as u8);
                (behind.get(2..).unwrap_or_default(), bytes)
            }
            _ => {
                bytes.push(*first);
                (behind, bytes)
            }
        };
    }
    String::from_utf8(bytes).map_or_else(|_| text.to_ascii_lowercase(), |text| text.to_lowercase())
}

/// A request's path as a careless server reads it: decoded, in lower case, and without what is at its end and
/// counts for nothing there, a slash, dots or spaces.
pub(crate) fn careless(path: &str) -> Cow<'_, str> {
    const AT_THE_END: [char; 3] = ['/', '.', ' '];
    let as_written = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase() && byte != b'%';
    // Most paths are read with care and without it alike.
    if path.bytes().all(as_written) && !path.ends_with(AT_THE_END) {
        return Cow::Borrowed(if path.is_empty() { "/" } else { path });
    }
    let meaning = meaning(path);
    let trimmed = meaning.trim_end_matches(AT_THE_END);
    Cow::Owned(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}

/// The first character that a template encodes though it stands for itself (RFC 3986 §3.3).
pub(crate) fn needlessly_encoded(template: &str) -> Option<char> {
    let mut escapes = template.split('%').skip(1);
    escapes.find_map(|escape| {
        let value = escape.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok())?;
        let character = char::from(value);
        ":@!$&'()*+,=".contains(character).then_some(character)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for (path, plain) in [
            ("/", "/"),
            ("/a/", "/a/"),
            ("/a-b_c.d~e", "/a-b_c.d~e"),
            ("/%61/%7E%2D%2e%5F", "/a/~-._"),
            ("/a%20b", "/a%20b"),
            ("/%e2%82%ac", "/%E2%82%AC"),
            ("/100%25", "/100%25"),
            ("/100%25-", "/100%25-"),
            ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
            ("/{x}|^", "/{x}|^"),
            ("/a...b/.well-known/..x", "/a...b/.well-known/..x"),
        ] {
            assert_eq!(plain_path(path).as_deref(), Ok(plain), "{path}");
        }
    }

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        for (path, why) in [
            ("", NO_SLASH),
            ("a", NO_SLASH),
            ("*", NO_SLASH),
            ("http://a/b", NO_SLASH),
            ("//", EMPTY),
            ("//a", EMPTY),
            ("/a//b", EMPTY),
            ("/a//", EMPTY),
            ("/./a", DOTS),
            ("/a/..", DOTS),
            ("/a/%2e%2E/b", DOTS),
            ("/a/.%2e", DOTS),
            ("/a\\b", CHARACTER),
            ("/a#b", CHARACTER),
            ("/a?b", CHARACTER),
            ("/a b", CHARACTER),
            ("/a\tb", CHARACTER),
            ("/\u{e9}", CHARACTER),
            ("/\u{e9}%20", CHARACTER),
            ("/a;b", PARAMETER),
            ("/a%3bb", ESCAPED),
            ("/a%2fb", ESCAPED),
            ("/a%5Cb", ESCAPED),
            ("/a%00", ESCAPED),
            ("/a%0d%0a", ESCAPED),
            ("/a%7f", ESCAPED),
            ("/a%3fb", ESCAPED),
            ("/a%23b", ESCAPED),
            ("/a%252fb", ESCAPED),
            ("/a%", ESCAPE),
            ("/a%2", ESCAPE),
            ("/a%zz", ESCAPE),
            ("/a%u002f", ESCAPE),
            ("/a%c0%af", TEXT),
            ("/a%ff", TEXT),
            ("/a%ef%bc%8fb", LOOKALIKE),
            ("/%e2%80%a5/b", LOOKALIKE),
        ] {
            assert_eq!(plain_path(path), Err(why), "{path}");
        }
    }

    #[test]
    fn a_careless_server_overlooks_case_encodings_and_what_is_at_the_end() {
        for (path, read) in [
            ("/A/b/", "/a/b"),
            ("/", "/"),
            ("/a%3Ab", "/a:b"),
            ("/caf%C3%89", "/caf\u{e9}"),
            ("/a.%20/", "/a"),
            ("/a.json", "/a.json"),
            ("/a%", "/a%"),
        ] {
            assert_eq!(careless(path), read, "{path}");
        }
    }

    #[test]
    fn what_stands_for_itself_needs_no_encoding() {
        assert_eq!(needlessly_encoded("/a%3Ab"), Some(':'));
        assert_eq!(needlessly_encoded("/a%20b/%C3%A9/%25"), None);
    }
}
