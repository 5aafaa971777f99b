//! The canonical form of a request's path. Several parsers read a path between a gateway and the program behind it, and
//! a path that they read differently could bypass the contract (RFC 3986 §6.2.2, CWE-436). A path that can be read in
//! two ways is refused, whatever the contract says about it.

use std::borrow::Cow;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Why a path can be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathAmbiguity {
    /// No slash at the start.
    NoSlash,
    /// An empty segment.
    EmptySegment,
    /// A `.` or `..` segment.
    DotSegment,
    /// A character that a path may not contain.
    Character,
    /// A semicolon, at which some servers cut the path.
    Semicolon,
    /// A percent sign without two hexadecimal digits.
    InvalidEscape,
    /// An encoded slash, delimiter, percent sign or control character.
    EncodedDelimiter,
    /// A character that Unicode normalization turns into a delimiter.
    NormalizesToDelimiter,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A method in lower case, which some servers accept.
    MethodCase,
    /// A needless encoding, without which the path matches another endpoint.
    NeedlessEncoding,
    /// Another case, encoding or ending than an endpoint's, which some servers ignore.
    SimilarToEndpoint,
    /// The path does not accept the method, and some servers continue with a more general path that does.
    MethodFallthrough,
}

impl PathAmbiguity {
    /// The text that the client receives. It uses the characters of RFC 6750 §3.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoSlash => "the path does not start with a slash",
            Self::EmptySegment => "the path has an empty segment",
            Self::DotSegment => "the path has a dot segment",
            Self::Character => "the path contains a character that must be encoded",
            Self::Semicolon => "the path contains a semicolon, at which some servers cut it",
            Self::InvalidEscape => {
                "the path contains a percent sign without two hexadecimal digits"
            }
            Self::EncodedDelimiter => {
                "the path contains an encoded slash, delimiter, percent sign or control character"
            }
            Self::NormalizesToDelimiter => {
                "the path contains a character that some servers normalize to a delimiter"
            }
            Self::NotUtf8 => "the path is not UTF-8",
            Self::MethodCase => "the method is not in upper case, which some servers ignore",
            Self::NeedlessEncoding => {
                "the path contains a needless encoding, and some servers route it to another endpoint"
            }
            Self::SimilarToEndpoint => {
                "the path differs from an endpoint only in its case, encoding or ending, which some servers ignore"
            }
            Self::MethodFallthrough => {
                "the path does not accept this method, and some servers use a more general path that does"
            }
        }
    }
}

impl fmt::Display for PathAmbiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for PathAmbiguity {}

/// The form of a request's path that is matched with a contract's templates: unreserved characters are decoded (RFC
/// 3986 §2.3), and the hexadecimal digits of other escapes are in upper case. `path` is the path of the request line,
/// without the query.
///
/// # Errors
/// If two parsers could read the path in two ways: an empty segment, a dot segment, a backslash, a semicolon, an
/// encoded delimiter or control character, or a character that is normalized to one, a percent sign that could be
/// decoded twice, bytes that are not UTF-8.
///
/// ```
/// use stepup_contract::canonical_path;
///
/// assert_eq!(canonical_path("/%61pprove/%c3%a9").unwrap(), "/approve/%C3%A9");
/// assert!(canonical_path("/public/..%2fapprove").is_err());
/// ```
pub fn canonical_path(path: &str) -> Result<Cow<'_, str>, PathAmbiguity> {
    if !path.starts_with('/') {
        return Err(PathAmbiguity::NoSlash);
    }
    let canonical = match path.contains('%') {
        true => Cow::Owned(decode_unreserved(path)?),
        false => Cow::Borrowed(path),
    };
    if let Some(odd) = canonical.bytes().find(|byte| !is_path_byte(*byte)) {
        return Err(if odd == b';' { PathAmbiguity::Semicolon } else { PathAmbiguity::Character });
    }
    let has = |pair: &[u8; 2]| canonical.as_bytes().windows(2).any(|bytes| bytes == pair);
    if has(b"//") {
        return Err(PathAmbiguity::EmptySegment);
    }
    if has(b"/.") && canonical.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(PathAmbiguity::DotSegment);
    }
    Ok(canonical)
}

/// The characters of RFC 3986 §3.3 without the semicolon, and the percent sign of the remaining escapes. Braces and
/// similar characters are not among them, but some clients send them unencoded, and no parser reads them in another
/// way.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b';' | b'\\' | b'?' | b'#')
}

/// Characters that conversions to smaller character sets turn into a slash, although Unicode normalization does not.
const SLASHES: [char; 5] = ['\u{2044}', '\u{2215}', '\u{2216}', '\u{29f5}', '\u{29f8}'];

/// Refuses a completely decoded path if a second decoding or Unicode normalization (NFKC) would change its meaning.
fn check_decoded(decoded: &str) -> Result<(), PathAmbiguity> {
    let mut normal = Cow::Borrowed(decoded);
    if !decoded.is_ascii() {
        let delimits = |c: char| matches!(c, '/' | '\\' | ';' | '?' | '#' | '%') || c.is_control();
        let mut normalized = String::with_capacity(decoded.len());
        // Character by character, because the order of combining marks does not matter here.
        for c in decoded.chars() {
            if c.is_ascii() {
                normalized.push(c);
                continue;
            }
            let start = normalized.len();
            normalized.extend(std::iter::once(c).nfkd());
            let added = normalized.get(start..).unwrap_or_default();
            if SLASHES.contains(&c) || added.chars().any(delimits) {
                return Err(PathAmbiguity::NormalizesToDelimiter);
            }
        }
        if normalized.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(PathAmbiguity::NormalizesToDelimiter);
        }
        normal = normalized.into();
    }
    let digits = |text: &[u8], count: usize| {
        text.get(..count).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut escapes = normal.as_bytes().split(|byte| *byte == b'%').skip(1);
    let is_escape = |rest: &[u8]| match rest {
        // The form `%uXXXX`, which some servers accept for characters outside Latin-1.
        [b'u' | b'U', rest @ ..] => digits(rest, 4),
        rest => digits(rest, 2),
    };
    if escapes.any(is_escape) { Err(PathAmbiguity::EncodedDelimiter) } else { Ok(()) }
}

/// Decodes the unreserved characters.
fn decode_unreserved(path: &str) -> Result<String, PathAmbiguity> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = path.as_bytes();
    let mut canonical = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            // A byte outside ASCII must be encoded. The caller refuses the backslash that replaces it.
            canonical.push(if byte.is_ascii() { char::from(byte) } else { '\\' });
            decoded.push(byte);
            at += 1;
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) else {
            return Err(PathAmbiguity::InvalidEscape);
        };
        #[expect(clippy::cast_possible_truncation, reason = "two hexadecimal digits")]
        let value = (high * 16 + low) as u8;
        at += 3;
        decoded.push(value);
        match value {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                canonical.push(char::from(value));
            }
            b'/' | b'\\' | b';' | b'?' | b'#' | 0..=0x1f | 0x7f => {
                return Err(PathAmbiguity::EncodedDelimiter);
            }
            _ => canonical.extend(['%', hex(value >> 4), hex(value & 15)]),
        }
    }
    // An overlong encoding of a slash is not UTF-8 either.
    let decoded = std::str::from_utf8(&decoded).map_err(|_| PathAmbiguity::NotUtf8)?;
    check_decoded(decoded)?;
    Ok(canonical)
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or_default().to_ascii_uppercase()
}

/// The first character of a template that is encoded although a path may contain it (RFC 3986 §3.3).
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
    use super::PathAmbiguity::*;
    use super::*;

    #[test]
    fn a_path_has_one_canonical_form() {
        for (path, canonical) in [
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
            assert_eq!(canonical_path(path).as_deref(), Ok(canonical), "{path}");
        }
    }

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        for (path, reason) in [
            ("", NoSlash),
            ("a", NoSlash),
            ("*", NoSlash),
            ("http://a/b", NoSlash),
            ("//", EmptySegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/./a", DotSegment),
            ("/a/..", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.%2e", DotSegment),
            ("/a\\b", Character),
            ("/a#b", Character),
            ("/a?b", Character),
            ("/a b", Character),
            ("/a\tb", Character),
            ("/\u{e9}", Character),
            ("/\u{e9}%20", Character),
            ("/a;b", Semicolon),
            ("/a%3bb", EncodedDelimiter),
            ("/a%2fb", EncodedDelimiter),
            ("/a%5Cb", EncodedDelimiter),
            ("/a%00", EncodedDelimiter),
            ("/a%0d%0a", EncodedDelimiter),
            ("/a%7f", EncodedDelimiter),
            ("/a%3fb", EncodedDelimiter),
            ("/a%23b", EncodedDelimiter),
            ("/a%252fb", EncodedDelimiter),
            ("/a%", InvalidEscape),
            ("/a%2", InvalidEscape),
            ("/a%zz", InvalidEscape),
            ("/a%u002f", InvalidEscape),
            ("/a%c0%af", NotUtf8),
            ("/a%ff", NotUtf8),
            ("/a%ef%bc%8fb", NormalizesToDelimiter),
            ("/%e2%80%a5/b", NormalizesToDelimiter),
            ("/a/%ef%b8%b0/b", NormalizesToDelimiter),
            ("/a%ef%bc%9fb", NormalizesToDelimiter),
            ("/a%cd%beb", NormalizesToDelimiter),
            ("/a%e2%84%80b", NormalizesToDelimiter),
            ("/a%e2%81%84b", NormalizesToDelimiter),
            // The digits of a double encoding may be encoded themselves, or full-width characters.
            ("/a%25%32%66b", EncodedDelimiter),
            ("/%256%31", EncodedDelimiter),
            ("/a%25%ef%bc%92f", EncodedDelimiter),
            ("/a%25u002f", EncodedDelimiter),
        ] {
            assert_eq!(canonical_path(path), Err(reason), "{path}");
        }
    }

    #[test]
    fn a_needless_encoding_is_found() {
        assert_eq!(needlessly_encoded("/a%3Ab"), Some(':'));
        assert_eq!(needlessly_encoded("/a%20b/%C3%A9/%25"), None);
    }
}
