//! The lines of the link section `.stepup`: one JSON line per endpoint, written at compile time.
//!
//! The attribute joins a line from four texts with [`Record`]; the line's bytes lie in the section
//! and are what the guard parses its requirement from, what [`Contract::collect`] reads in the
//! running program, and what `stepup export` reads from the file. [`crate::Contract`] is assembled
//! from lines in one place, `collect`.
//!
//! ```json
//! {"record":1,"runtime":"0.1","package":"bank","version":"0.1.0","method":"POST","path":"/approve","trust":"sensitive","handler":"bank::approve","security":{"step-up":true,"methods":["mfa"]}}
//! ```
//!
//! [`Contract::collect`]: crate::Contract::collect

/// Version of the line's format.
pub const FORMAT: u64 = 1;

/// Name of the link section in ELF and PE files; in Mach-O it is `__DATA,__stepup`.
pub const SECTION: &str = ".stepup";

/// Name of the section in Mach-O files.
pub const SECTION_MACHO: &str = "__stepup";

/// The versions that can share a program: the runtime's major and minor number while it is 0.x.
pub const RUNTIME: &str =
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// A requirement as JSON text, made by the `policy!` macro.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    security: &'static str,
}

impl Policy {
    /// A policy from the text of its `security` object. Called by the macro, which has checked it.
    #[doc(hidden)]
    pub const fn from_checked_json(security: &'static str) -> Self {
        Self { security }
    }

    /// The `security` object, as compact JSON.
    pub const fn security(self) -> &'static str {
        self.security
    }
}

/// The parts of one endpoint's line, each JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// `{"record":1,"runtime":"…","package":"…","version":"…",`
    head: &'static str,
    /// `"method":"…","path":"…",`, or nothing
    route: &'static str,
    /// `"trust":"…","handler":"…","security":`
    endpoint: &'static str,
    /// The `security` object.
    security: &'static str,
}

impl Record {
    /// A record of these parts. Called by the attribute, which has checked them.
    #[doc(hidden)]
    pub const fn new(
        head: &'static str,
        route: &'static str,
        endpoint: &'static str,
        security: &'static str,
    ) -> Self {
        Self { head, route, endpoint, security }
    }

    /// The same endpoint at a route that is given where it is mounted, by the crate of this head.
    #[doc(hidden)]
    pub const fn at(self, route: &'static str) -> Self {
        Self { route, ..self }
    }

    const fn parts(&self) -> [&'static str; 5] {
        [self.head, self.route, self.endpoint, self.security, "}\n"]
    }

    /// The line's length in bytes.
    pub const fn len(&self) -> usize {
        let parts = self.parts();
        let (mut len, mut part) = (0, 0);
        while part < parts.len() {
            len += parts[part].len();
            part += 1;
        }
        len
    }

    /// Never: a line has at least its braces.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The line, ending in a newline. `N` is [`Record::len`].
    pub const fn line<const N: usize>(&self) -> [u8; N] {
        let parts = self.parts();
        let mut line = [0; N];
        let (mut at, mut part) = (0, 0);
        while part < parts.len() {
            let bytes = parts[part].as_bytes();
            // As a whole: byte by byte the compiler's interpreter takes milliseconds for a line.
            line.split_at_mut(at).1.split_at_mut(bytes.len()).0.copy_from_slice(bytes);
            at += bytes.len();
            part += 1;
        }
        line
    }
}

/// The lines of a section's bytes. Linkers may pad between and behind them with zeros.
pub fn lines(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    section.split(|byte| matches!(byte, b'\n' | 0)).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record = Record::new("{\"a\":1,", "", "\"security\":", "{}");
    static LINE: [u8; RECORD.len()] = RECORD.line();
    static LATE: [u8; RECORD.at("\"path\":\"/x\",").len()] = RECORD.at("\"path\":\"/x\",").line();

    #[test]
    fn a_line_is_joined_at_compile_time() {
        assert_eq!(LINE.as_slice(), b"{\"a\":1,\"security\":{}}\n");
        assert_eq!(LATE.as_slice(), b"{\"a\":1,\"path\":\"/x\",\"security\":{}}\n");
    }

    #[test]
    fn padding_between_lines_is_passed_over() {
        assert_eq!(lines(b"\0\0a\n\0b\n\0\0").collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
