//! Output to the terminal. A reader may stop early: the outcome and the exit code do not change.

use crate::report::display::visible;
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

/// Prints a message on standard error, if possible. What a terminal would interpret is escaped, because messages quote
/// files and arguments.
pub(crate) fn print_error(message: impl Display) {
    let message = message.to_string();
    let lines: Vec<String> = message.trim_end().lines().map(visible).collect();
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}
