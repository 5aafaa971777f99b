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

/// What an endpoint requires, as JSON text: the attribute's own keys, or an item of the `policy!` macro.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// `"trust":"…","security":{…`, without the scopes and the closing brace.
    text: &'static str,
    /// The JSON strings of the scopes, comma-separated.
    scopes: &'static str,
    /// Scopes that the endpoint requires in addition, in the same form.
    added_scopes: &'static str,
}

impl Policy {
    /// A policy from its text. Only the macros call this, with text that they have checked.
    #[doc(hidden)]
    pub const fn from_checked_json(text: &'static str, scopes: &'static str) -> Self {
        Self { text, scopes, added_scopes: "" }
    }

    /// The same with more scopes.
    #[doc(hidden)]
    pub const fn with_scopes(self, added_scopes: &'static str) -> Self {
        Self { added_scopes, ..self }
    }

    /// Whether everybody may call the endpoint.
    #[doc(hidden)]
    pub const fn is_public(self) -> bool {
        starts_with(self.text.as_bytes(), PUBLIC.as_bytes(), 0)
    }

    /// Whether the policy requires this scope, given as a JSON string.
    #[doc(hidden)]
    pub const fn requires_scope(self, scope: &str) -> bool {
        let scopes = self.scopes.as_bytes();
        let mut at = 0;
        while at < scopes.len() {
            // A quote inside a JSON string is escaped, and a scope contains no quotes.
            if starts_with(scopes, scope.as_bytes(), at) {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// The beginning of a public endpoint's policy.
pub const PUBLIC: &str = "\"trust\":\"public\"";

/// Whether the bytes from this index on start with these.
const fn starts_with(bytes: &[u8], start: &[u8], at: usize) -> bool {
    let mut index = 0;
    while index < start.len() {
        if at + index >= bytes.len() || bytes[at + index] != start[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The parts of one endpoint's line, each JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// `{"record":1,"runtime":"…","package":"…","version":"…",`
    head: &'static str,
    /// `"method":"…","path":"…",`, or nothing
    route: &'static str,
    /// `"handler":"…","summary":"…",`
    handler: &'static str,
    policy: Policy,
    end: &'static str,
}

/// The key in front of the scopes.
const SCOPES: &str = ",\"scopes\":[";

/// The end of the list of scopes.
const SCOPES_END: &str = "]";

/// The end of an endpoint's line: closes the policy and the line.
const END: &str = "}}\n";

/// The end of a service's line.
const SERVICE_END: &str = "}\n";

/// Copies the text to the beginning of the bytes, and returns the rest. In one step: the compiler's interpreter needs
/// milliseconds to copy a line byte by byte.
const fn fill<'a>(bytes: &'a mut [u8], text: &str) -> &'a mut [u8] {
    let (part, rest) = bytes.split_at_mut(text.len());
    part.copy_from_slice(text.as_bytes());
    rest
}

impl Record {
    /// Builds a record from these parts. Only the macros call this, with parts that they have checked.
    #[doc(hidden)]
    pub const fn new(
        head: &'static str,
        route: &'static str,
        handler: &'static str,
        policy: Policy,
    ) -> Self {
        Self { head, route, handler, policy, end: END }
    }

    /// The record of a service: `"service":"…"`, and its options.
    #[doc(hidden)]
    pub const fn service(head: &'static str, service: &'static str) -> Self {
        let policy = Policy::from_checked_json("", "");
        Self { head, route: "", handler: service, policy, end: SERVICE_END }
    }

    /// The same endpoint at a route that is given where it is mounted.
    #[doc(hidden)]
    pub const fn at(self, route: &'static str) -> Self {
        Self { route, ..self }
    }

    /// The texts around and between the scopes: key, separator, end.
    const fn around_scopes(&self) -> [&'static str; 3] {
        match (self.policy.scopes.is_empty(), self.policy.added_scopes.is_empty()) {
            (true, true) => ["", "", ""],
            (false, false) => [SCOPES, ",", SCOPES_END],
            _ => [SCOPES, "", SCOPES_END],
        }
    }

    /// The line's length in bytes.
    pub const fn len(&self) -> usize {
        let [key, separator, end] = self.around_scopes();
        let Policy { text, scopes, added_scopes } = self.policy;
        self.head.len()
            + self.route.len()
            + self.handler.len()
            + text.len()
            + (key.len() + scopes.len() + separator.len() + added_scopes.len() + end.len())
            + self.end.len()
    }

    /// Always false: a line has at least its braces.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The line, ending in a newline. `N` is [`Record::len`].
    pub const fn line<const N: usize>(&self) -> [u8; N] {
        let [key, separator, end] = self.around_scopes();
        let Policy { text, scopes, added_scopes } = self.policy;
        let mut line = [0; N];
        let mut rest = fill(&mut line, self.head);
        rest = fill(rest, self.route);
        rest = fill(rest, self.handler);
        rest = fill(rest, text);
        if !key.is_empty() {
            rest = fill(rest, key);
            rest = fill(rest, scopes);
            rest = fill(rest, separator);
            rest = fill(rest, added_scopes);
            rest = fill(rest, end);
        }
        fill(rest, self.end);
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

    const POLICY: Policy = Policy::from_checked_json("\"security\":{\"bound\":true", "\"a\",\"b\"");
    const PLAIN: Policy = Policy::from_checked_json(PUBLIC, "");
    const RECORD: Record = Record::new("{\"a\":1,", "", "\"handler\":\"h\",", POLICY);
    static LINE: [u8; RECORD.len()] = RECORD.line();
    const LATE: Record = Record::new("{", "", "", PLAIN).at("\"path\":\"/x\",");
    static LATE_LINE: [u8; LATE.len()] = LATE.line();
    const MORE: Record = Record::new("{", "", "", POLICY.with_scopes("\"c\""));
    static MORE_LINE: [u8; MORE.len()] = MORE.line();
    const ONLY: Record = Record::new("{", "", "", PLAIN.with_scopes("\"c\""));
    static ONLY_LINE: [u8; ONLY.len()] = ONLY.line();

    #[test]
    fn a_line_is_built_at_compile_time() {
        let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
        assert_eq!(
            text(&LINE),
            "{\"a\":1,\"handler\":\"h\",\"security\":{\"bound\":true,\"scopes\":[\"a\",\"b\"]}}\n"
        );
        assert_eq!(text(&LATE_LINE), "{\"path\":\"/x\",\"trust\":\"public\"}}\n");
        assert!(text(&MORE_LINE).ends_with("true,\"scopes\":[\"a\",\"b\",\"c\"]}}\n"));
        assert!(text(&ONLY_LINE).ends_with("\"public\",\"scopes\":[\"c\"]}}\n"));
    }

    #[test]
    fn a_policy_knows_its_scopes() {
        assert!(POLICY.requires_scope("\"a\"") && POLICY.requires_scope("\"b\""));
        assert!(!POLICY.requires_scope("\"c\"") && !PLAIN.requires_scope("\"a\""));
        assert!(PLAIN.is_public() && !POLICY.is_public());
    }

    #[test]
    fn padding_between_lines_is_skipped() {
        assert_eq!(lines(b"\0\0a\n\0b\n\0\0").collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
