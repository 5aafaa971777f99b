//! A place in a file.

/// A place in a file; both fields are `None` for a compiled program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    /// As a JSON pointer (RFC 6901).
    pub(crate) pointer: Option<String>,
    /// The first line is 1.
    pub(crate) line: Option<usize>,
}
