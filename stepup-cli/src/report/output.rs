//! Output to the terminal. A reader may stop early: the outcome and the exit code do not change.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints a result on standard output.
///
/// # Errors
/// If writing fails for another reason than a closed pipe.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a line on standard error, if possible.
pub(crate) fn print_error(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
