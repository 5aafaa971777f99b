//! Whom an event is about: subject identifiers (RFC 9493) and their older forms.

use crate::session::notice::NoticeTarget;
use crate::signal::transmitter::Transmitter;
use serde_json::{Map, Value};

/// The most targets of one event: an event with more aliases is refused.
const MOST_TARGETS: usize = 16;

/// Why the subject of an event cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubjectError {
    #[error("the event names no subject")]
    Missing,
    #[error(
        "the subject has a format that cannot be mapped to a user here, such as a phone number"
    )]
    Format,
    #[error("no token with this verified e-mail address was seen here")]
    UnknownEmail,
    #[error("the subject lacks a member of its format")]
    Incomplete,
    #[error(
        "the transmitter may not report events about this issuer's subjects; see Transmitter::speaks_for"
    )]
    OtherIssuer,
    #[error("the subject has too many aliases")]
    TooMany,
}

/// What is needed to map identifiers to subjects.
#[derive(Clone, Copy)]
pub(crate) struct SubjectMapping<'a> {
    pub(crate) transmitter: &'a Transmitter,
    /// Whether a complex subject names its user even if it has a session.
    pub(crate) about_user: bool,
    /// The subject of an issuer with a verified e-mail address, if a token contained the address.
    pub(crate) subject_of_email: &'a (dyn Fn(&str, &str) -> Option<String> + Sync),
}

/// The sessions and subjects that an identifier names. A complex subject with a session names only that session.
pub(crate) fn targets(
    subject: &Value,
    mapping: SubjectMapping<'_>,
) -> Result<Vec<NoticeTarget>, SubjectError> {
    let subject = subject.as_object().ok_or(SubjectError::Missing)?;
    let format = text(subject, "format").or_else(|| text(subject, "subject_type"));
    match format.map(|format| format.replace('-', "_")).as_deref() {
        Some("aliases") => {
            let aliases = subject.get("identifiers").and_then(Value::as_array);
            let aliases = aliases.ok_or(SubjectError::Incomplete)?;
            if aliases.len() > MOST_TARGETS {
                return Err(SubjectError::TooMany);
            }
            // Aliases must not be nested (RFC 9493 §3.2.8). One that can be mapped is enough.
            let simple = aliases.iter().filter(|one| one["format"] != "aliases");
            let found: Vec<_> = simple.map(|one| simple_target(one, mapping)).collect();
            let known: Vec<_> = found.iter().flatten().cloned().collect();
            match found.into_iter().find_map(Result::err) {
                Some(error) if known.is_empty() => Err(error),
                _ if known.is_empty() => Err(SubjectError::Missing),
                _ => Ok(known),
            }
        }
        Some("complex") => complex(subject, mapping),
        Some(_) => simple_target(&Value::Object(subject.clone()), mapping).map(|one| vec![one]),
        // Older transmitters do not name the format of a complex subject.
        None => complex(subject, mapping),
    }
}

/// Whether an event is only about a part of what its user does: a device, a tenant or an application. What is less strict
/// there must not be less strict for the user everywhere.
pub(crate) fn is_partial(subject: &Value, event: &Map<String, Value>) -> bool {
    let principal = text(event, "principal").map(str::to_ascii_lowercase);
    let of_other =
        principal.is_some_and(|principal| !["user", "session"].contains(&principal.as_str()));
    let whole = ["format", "subject_type", "user", "session"];
    let format = subject.get("format").and_then(Value::as_str);
    let complex = matches!(format, None | Some("complex")) && subject.get("subject_type").is_none();
    let mut members = subject.as_object().into_iter().flat_map(Map::keys);
    of_other || (complex && members.any(|member| !whole.contains(&member.as_str())))
}

/// A complex subject: a session of a user, or the user.
fn complex(
    subject: &Map<String, Value>,
    mapping: SubjectMapping<'_>,
) -> Result<Vec<NoticeTarget>, SubjectError> {
    let user = subject.get("user").map(|user| simple_target(user, mapping)).transpose();
    match (subject.get("session"), user) {
        (Some(session), user) if !(mapping.about_user && matches!(user, Ok(Some(_)))) => {
            let id = text(session.as_object().ok_or(SubjectError::Incomplete)?, "id");
            let id = id.ok_or(SubjectError::Incomplete)?;
            let user = user.ok().flatten();
            let issuer = user.as_ref().map(NoticeTarget::issuer);
            let issuer = issuer.unwrap_or_else(|| mapping.transmitter.default_issuer());
            Ok(vec![NoticeTarget::session(issuer, id)])
        }
        (_, user) => Ok(vec![user?.ok_or(SubjectError::Missing)?]),
    }
}

/// A subject that is not made of others.
fn simple_target(
    subject: &Value,
    mapping: SubjectMapping<'_>,
) -> Result<NoticeTarget, SubjectError> {
    let subject = subject.as_object().ok_or(SubjectError::Missing)?;
    let format = text(subject, "format").or_else(|| text(subject, "subject_type"));
    let needed = |name| text(subject, name).ok_or(SubjectError::Incomplete);
    let SubjectMapping { transmitter, subject_of_email, .. } = mapping;
    let (issuer, id) = match format.map(|format| format.replace('-', "_")).as_deref() {
        Some("iss_sub") => (needed("iss")?, needed("sub")?.to_owned()),
        Some("opaque") => (transmitter.default_issuer(), needed("id")?.to_owned()),
        Some("email") => {
            let issuer = transmitter.default_issuer();
            let subject = subject_of_email(issuer, needed("email")?);
            (issuer, subject.ok_or(SubjectError::UnknownEmail)?)
        }
        _ => return Err(SubjectError::Format),
    };
    if !transmitter.may_speak_for(issuer) {
        return Err(SubjectError::OtherIssuer);
    }
    Ok(NoticeTarget::subject(issuer, id))
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IDP: &str = "https://idp.example";

    fn of(subject: Value) -> Result<Vec<NoticeTarget>, SubjectError> {
        let transmitter = Transmitter::new(IDP, "aud");
        let known = |issuer: &str, email: &str| {
            (issuer == IDP && email == "alice@bank.example").then(|| "alice".to_owned())
        };
        let mapping = SubjectMapping {
            transmitter: &transmitter,
            about_user: false,
            subject_of_email: &known,
        };
        targets(&subject, mapping)
    }

    #[test]
    fn identifiers_name_sessions_and_subjects_of_their_issuer() {
        let alice = || Ok(vec![NoticeTarget::subject(IDP, "alice")]);
        let session = || Ok(vec![NoticeTarget::session(IDP, "s1")]);
        let iss_sub = json!({"format": "iss_sub", "iss": IDP, "sub": "alice"});
        for (subject, expected) in [
            (iss_sub.clone(), alice()),
            (json!({"subject_type": "iss-sub", "iss": IDP, "sub": "alice"}), alice()),
            (json!({"format": "opaque", "id": "alice"}), alice()),
            (json!({"format": "iss_sub", "iss": IDP, "sub": "alice", "more": 1}), alice()),
            (json!({"format": "complex", "user": iss_sub}), alice()),
            (json!({"user": iss_sub, "tenant": {"format": "opaque", "id": "t"}}), alice()),
            (
                json!({"format": "complex", "user": iss_sub, "session": {"format": "opaque", "id": "s1"}}),
                session(),
            ),
            (json!({"format": "complex", "session": {"format": "opaque", "id": "s1"}}), session()),
            (
                json!({"format": "aliases", "identifiers": [
                    {"format": "email", "email": "a@b"}, {"format": "opaque", "id": "alice"},
                ]}),
                alice(),
            ),
            (json!({"format": "email", "email": "alice@bank.example"}), alice()),
            (json!({"format": "email", "email": "a@b"}), Err(SubjectError::UnknownEmail)),
            (json!({"format": "phone_number", "phone_number": "+1"}), Err(SubjectError::Format)),
            (json!({"format": "iss_sub", "sub": "alice"}), Err(SubjectError::Incomplete)),
            (json!({"format": "opaque", "id": ""}), Err(SubjectError::Incomplete)),
            (
                json!({"format": "iss_sub", "iss": "https://other.example", "sub": "alice"}),
                Err(SubjectError::OtherIssuer),
            ),
            (json!({"format": "aliases", "identifiers": []}), Err(SubjectError::Missing)),
            (
                json!({"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": []}]}),
                Err(SubjectError::Missing),
            ),
            (json!("alice"), Err(SubjectError::Missing)),
            (json!({}), Err(SubjectError::Missing)),
        ] {
            assert_eq!(of(subject.clone()), expected, "{subject}");
        }
    }
}
