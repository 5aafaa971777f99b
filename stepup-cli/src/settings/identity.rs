//! The identity headers, which identify the caller for the upstream: their fields, their names, and which of them are
//! sent.

use crate::report::failure::Failure;
use http::HeaderName;
use serde::Deserialize;
use std::str::FromStr;
use stepup_runtime::reads_as;

/// The field of an identity header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentityField {
    Subject,
    Issuer,
    Client,
    Scopes,
    Amr,
    Acr,
    AuthTime,
}

/// The number of identity fields.
pub(crate) const FIELDS: usize = 7;

const ALL: [(IdentityField, &str, HeaderName); FIELDS] = [
    (IdentityField::Subject, "subject", HeaderName::from_static("x-step-up-subject")),
    (IdentityField::Issuer, "issuer", HeaderName::from_static("x-step-up-issuer")),
    (IdentityField::Client, "client", HeaderName::from_static("x-step-up-client")),
    (IdentityField::Scopes, "scopes", HeaderName::from_static("x-step-up-scopes")),
    (IdentityField::Amr, "amr", HeaderName::from_static("x-step-up-amr")),
    (IdentityField::Acr, "acr", HeaderName::from_static("x-step-up-acr")),
    (IdentityField::AuthTime, "auth-time", HeaderName::from_static("x-step-up-auth-time")),
];

impl FromStr for IdentityField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = ALL.into_iter().find(|(_, name, _)| *name == text);
        known.map(|(field, ..)| field).ok_or_else(|| {
            let known = ALL.map(|(_, name, _)| name).join(", ");
            format!("unknown {text:?}; one of {known}")
        })
    }
}

/// A field that is sent, or that none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum FieldSelection {
    /// `nothing`
    Nothing,
    /// `subject`, for example
    Field(IdentityField),
}

impl FromStr for FieldSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "nothing" {
            return Ok(Self::Nothing);
        }
        text.parse().map(Self::Field).map_err(|error| format!("{error}, or nothing"))
    }
}

impl TryFrom<String> for FieldSelection {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The header name of one field: `subject=X-User`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RenamedHeader {
    field: IdentityField,
    header: HeaderName,
}

impl FromStr for RenamedHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, header) = text.split_once('=').ok_or("write it as subject=X-User")?;
        let field = field.parse()?;
        // Gateways and servers do not agree on how to read other characters.
        if header.is_empty() || !header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("{header:?} is not a header name; use letters, digits and `-`"));
        }
        let header = header.parse().map_err(|_| format!("{header:?} is not a header name"))?;
        Ok(Self { field, header })
    }
}

impl TryFrom<String> for RenamedHeader {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Headers that have another use.
const RESERVED: [&str; 14] = [
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dpop",
    "host",
    "set-cookie",
    "step-up-problem",
    "te",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// The identity headers. A client may send none of them, whether or not the upstream receives it.
#[derive(Debug)]
pub(crate) struct Identity {
    sent: Vec<(IdentityField, HeaderName)>,
    unsent: Vec<HeaderName>,
}

impl Identity {
    /// The default names with these changes. All fields are sent unless `selection` names some.
    pub(crate) fn new(
        renamed: &[RenamedHeader],
        selection: &[FieldSelection],
    ) -> Result<Self, Failure> {
        if selection.len() > 1 && selection.contains(&FieldSelection::Nothing) {
            let reason = "`nothing` cannot be combined with other fields; remove one of them";
            return Err(Failure::Usage(reason.into()));
        }
        let mut headers: Vec<(IdentityField, HeaderName)> =
            ALL.into_iter().map(|(field, _, header)| (field, header)).collect();
        for renamed in renamed {
            for (field, header) in &mut headers {
                if *field == renamed.field {
                    *header = renamed.header.clone();
                }
            }
        }
        for (index, (_, header)) in headers.iter().enumerate() {
            let duplicate = headers.iter().skip(index + 1).any(|(_, other)| other == header);
            if duplicate || RESERVED.contains(&header.as_str()) {
                let reason = format!("`{header}` has another use; choose another identity header");
                return Err(Failure::Usage(reason));
            }
        }
        let is_sent =
            |field| selection.is_empty() || selection.contains(&FieldSelection::Field(field));
        let (sent, unsent): (Vec<_>, Vec<_>) =
            headers.into_iter().partition(|(field, _)| is_sent(*field));
        let unsent = unsent.into_iter().map(|(_, header)| header).collect();
        Ok(Self { sent, unsent })
    }

    /// The fields that are sent, with the names of their headers.
    #[cfg(feature = "gateway")]
    pub(crate) fn fields(&self) -> &[(IdentityField, HeaderName)] {
        &self.sent
    }

    /// Whether the upstream receives the subject without the issuer, which is unique with one issuer only.
    #[cfg(feature = "gateway")]
    pub(crate) fn assumes_one_issuer(&self) -> bool {
        let sends = |one| self.sent.iter().any(|(field, _)| *field == one);
        sends(IdentityField::Subject) && !sends(IdentityField::Issuer)
    }

    /// The names of the headers that are sent.
    pub(crate) fn sent(&self) -> impl ExactSizeIterator<Item = &HeaderName> {
        self.sent.iter().map(|(_, header)| header)
    }

    /// The names of the headers that are not sent. Clients may not send them either, because a service may still read
    /// them.
    pub(crate) fn unsent(&self) -> impl ExactSizeIterator<Item = &HeaderName> {
        self.unsent.iter()
    }

    /// The names of all headers that clients may not send.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.sent().chain(self.unsent())
    }

    /// Whether a server may read this name as one of the headers although it is another name. The exact names are
    /// removed by the gateway; similar names are refused.
    pub(crate) fn is_confusable(&self, name: &str) -> bool {
        self.names().any(|header| header != name && reads_as(name, header.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_name_is_recognized_with_other_separators() {
        let identity = Identity::new(&[], &[]).unwrap();
        for name in ["x_step_up_subject", "x-step_up-subject", "x.step-up~subject"] {
            assert!(identity.is_confusable(name), "{name}");
        }
        for name in ["x-step-up-subject", "x_other", "x-step-up-subjects"] {
            assert!(!identity.is_confusable(name), "{name}");
        }
    }

    #[test]
    fn a_name_with_another_use_is_refused() {
        for given in ["subject=Authorization", "subject=Cookie", "subject=X-Step-Up-Acr"] {
            assert!(Identity::new(&[given.parse().unwrap()], &[]).is_err(), "{given}");
        }
        assert!("who=X".parse::<RenamedHeader>().unwrap_err().contains("subject, issuer"));
        for odd in ["subject=a b", "subject=X_User", "subject=X.User", "subject="] {
            assert!(odd.parse::<RenamedHeader>().is_err(), "{odd}");
        }
    }

    #[test]
    fn clients_may_not_send_headers_that_the_upstream_does_not_receive() {
        let selection: Vec<FieldSelection> =
            ["amr", "subject"].map(|one| one.parse().unwrap()).into();
        let identity = Identity::new(&["client=X-Client".parse().unwrap()], &selection).unwrap();
        assert_eq!(identity.sent().collect::<Vec<_>>(), ["x-step-up-subject", "x-step-up-amr"]);
        assert_eq!(identity.names().count(), FIELDS);
        assert!(identity.unsent().any(|name| name == "x-client"));
        assert!(identity.is_confusable("x_client"));

        let nothing = Identity::new(&[], &[FieldSelection::Nothing]).unwrap();
        assert_eq!(nothing.unsent().len(), FIELDS);
        let both = [FieldSelection::Nothing, FieldSelection::Field(IdentityField::Acr)];
        assert!(Identity::new(&[], &both).is_err());
        assert!("who".parse::<FieldSelection>().unwrap_err().contains("auth-time, or nothing"));
    }
}
