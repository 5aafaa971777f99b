//! What is printed. Nobody has to read it to its end: what was decided stands, and the exit code says so.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints a result on standard output.
///
/// # Errors
/// When it cannot be written, other than for want of a reader.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Tells of something on standard error, where it can be told.
pub(crate) fn tell(what: impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}
