//! The one spelling of a request's path. Between a gateway and the program behind it stand several
//! parsers, and what they read differently is a way around the contract (RFC 3986 §6.2.2, CWE-436): a path
//! that could be read in two ways is refused, whatever the contract says of it.

use std::borrow::Cow;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

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

/// What is mapped to a slash where text is made to fit a smaller character set, and by no rule of Unicode's.
const SLASHES: [char; 5] = ['\u{2044}', '\u{2215}', '\u{2216}', '\u{29f5}', '\u{29f8}'];

/// Refuses what a path says, all of it decoded, if it would be another path for who decodes it once more or
/// normalizes it (Unicode NFKC).
fn check_meaning(meaning: &str) -> Result<(), Ambiguous> {
    let normal: Cow<'_, str> =
        if meaning.is_ascii() { meaning.into() } else { meaning.nfkd().collect::<String>().into() };
    let delimits = |c: char| matches!(c, '/' | '\\' | ';' | '?' | '#' | '%') || c.is_control();
    let looks = |c: char| SLASHES.contains(&c) || (!c.is_ascii() && c.nfkd().any(delimits));
    if meaning.chars().any(looks)
        || (!meaning.is_ascii() && normal.split('/').any(|part| matches!(part, "." | "..")))
    {
        return Err(LOOKALIKE);
    }
    let digits = |text: &[u8], count: usize| {
        text.get(..count).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut escapes = normal.as_bytes().split(|byte| *byte == b'%').skip(1);
    let decodes = |behind: &[u8]| match behind {
        // As some servers write what is beyond Latin 1.
        [b'u' | b'U', behind @ ..] => digits(behind, 4),
        behind => digits(behind, 2),
    };
    if escapes.any(decodes) { Err(ESCAPED) } else { Ok(()) }
}

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
            _ => plain.extend(['%', hex(value >> 4), hex(value & 15)]),
        }
    }
    // An overlong encoding is a way to write a slash, too.
    let meaning = std::str::from_utf8(&meaning).map_err(|_| TEXT)?;
    check_meaning(meaning)?;
    Ok(plain)
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or_default().to_ascii_uppercase()
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
            ("/a/%ef%b8%b0/b", LOOKALIKE),
            ("/a%ef%bc%9fb", LOOKALIKE),
            ("/a%cd%beb", LOOKALIKE),
            ("/a%e2%84%80b", LOOKALIKE),
            ("/a%e2%81%84b", LOOKALIKE),
            // The digits of what is decoded twice may be encoded themselves, or wide.
            ("/a%25%32%66b", ESCAPED),
            ("/%256%31", ESCAPED),
            ("/a%25%ef%bc%92f", ESCAPED),
            ("/a%25u002f", ESCAPED),
        ] {
            assert_eq!(plain_path(path), Err(why), "{path}");
        }
    }

    #[test]
    fn what_stands_for_itself_needs_no_encoding() {
        assert_eq!(needlessly_encoded("/a%3Ab"), Some(':'));
        assert_eq!(needlessly_encoded("/a%20b/%C3%A9/%25"), None);
    }
}
