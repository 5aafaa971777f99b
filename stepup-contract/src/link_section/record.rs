//! The lines of the link section `.stepup`: one JSON line per endpoint, written at compile time.
//!
//! The attribute builds a line from four texts with [`Record`]. The guard parses its requirement from the bytes of this
//! line, [`Contract::collect`] reads the same bytes in the running program, and `stepup export` reads them from the
//! file. `collect` is the one place that assembles a contract from lines.
//!
//! ```json
//! {"record":1,"runtime":"0.1","package":"bank","version":"0.1.0","method":"POST","path":"/approve","trust":"sensitive","handler":"bank::approve","security":{"step-up":true,"methods":["mfa"]}}
//! ```
//!
//! [`Contract::collect`]: crate::Contract::collect

/// The version of the line's format.
pub const FORMAT: u64 = 1;

/// The name of the link section in ELF and PE files; in Mach-O it is `__DATA,__stepup`.
pub const SECTION: &str = ".stepup";

/// The name of the section in Mach-O files.
pub const SECTION_MACHO: &str = "__stepup";

/// The version of the runtime that can share a program: its major and minor number, as long as the major number is 0.
pub const RUNTIME: &str =
    concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// A requirement as JSON text, written by the `policy!` macro.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    security: &'static str,
}

impl Policy {
    /// A policy from the text of its `security` object. Only the macro calls this, with text that it has checked.
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

/// The end of every line.
const END: &str = "}\n";

/// Copies the text to the beginning of the bytes, and returns the rest. In one step: the compiler's interpreter needs
/// milliseconds to copy a line byte by byte.
const fn fill<'a>(bytes: &'a mut [u8], text: &str) -> &'a mut [u8] {
    let (part, rest) = bytes.split_at_mut(text.len());
    part.copy_from_slice(text.as_bytes());
    rest
}

impl Record {
    /// Builds a record from these parts. Only the attribute calls this, with parts that it has checked.
    #[doc(hidden)]
    pub const fn new(
        head: &'static str,
        route: &'static str,
        endpoint: &'static str,
        security: &'static str,
    ) -> Self {
        Self { head, route, endpoint, security }
    }

    /// The same endpoint at a route that is given where it is mounted.
    #[doc(hidden)]
    pub const fn at(self, route: &'static str) -> Self {
        Self { route, ..self }
    }

    /// The line's length in bytes.
    pub const fn len(&self) -> usize {
        self.head.len() + self.route.len() + self.endpoint.len() + self.security.len() + END.len()
    }

    /// Always false: a line has at least its braces.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The line, ending in a newline. `N` is [`Record::len`].
    pub const fn line<const N: usize>(&self) -> [u8; N] {
        let mut line = [0; N];
        let rest = fill(&mut line, self.head);
        let rest = fill(rest, self.route);
        let rest = fill(rest, self.endpoint);
        let rest = fill(rest, self.security);
        fill(rest, END);
        line
    }
}

/// The lines in a section's bytes. Linkers may add zeros between and after them.
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
    fn a_line_is_built_at_compile_time() {
        assert_eq!(LINE.as_slice(), b"{\"a\":1,\"security\":{}}\n");
        assert_eq!(LATE.as_slice(), b"{\"a\":1,\"path\":\"/x\",\"security\":{}}\n");
    }

    #[test]
    fn padding_between_lines_is_skipped() {
        assert_eq!(lines(b"\0\0a\n\0b\n\0\0").collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
