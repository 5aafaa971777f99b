//! Whether a waiver or an accepted change applies to a finding.

/// Whether a finding is an accepted exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waived {
    /// It is not.
    No,
    /// It is, for this reason.
    Yes(String),
    /// It was, until this day.
    Expired(String),
}

impl Waived {
    /// The result of several exceptions for one finding: one that applies is enough.
    pub(crate) fn any(exceptions: impl Iterator<Item = Self>) -> Self {
        let mut result = Self::No;
        for exception in exceptions {
            match exception {
                Self::Yes(_) => return exception,
                Self::Expired(_) => result = exception,
                Self::No => {}
            }
        }
        result
    }

    /// The reason if the exception applies, and the last day if the exception has expired.
    pub(crate) fn reason_and_last_day(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::No => (None, None),
            Self::Yes(reason) => (Some(reason), None),
            Self::Expired(day) => (None, Some(day)),
        }
    }

    pub(crate) fn applies(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}
