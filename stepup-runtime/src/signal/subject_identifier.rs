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
        "the subject has a format that this API cannot map to a user, such as an e-mail address"
    )]
    Format,
    #[error("the subject lacks a member of its format")]
    Incomplete,
    #[error(
        "the transmitter may not report events about this issuer's subjects; see Transmitter::speaks_for"
    )]
    OtherIssuer,
    #[error("the subject has too many aliases")]
    TooMany,
}

/// The sessions and subjects that an identifier names. A complex subject with a session names only that session.
pub(crate) fn targets(
    subject: &Value,
    transmitter: &Transmitter,
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
            let found: Vec<_> = simple.map(|one| simple_target(one, transmitter)).collect();
            let known: Vec<_> = found.iter().flatten().cloned().collect();
            match found.into_iter().find_map(Result::err) {
                Some(error) if known.is_empty() => Err(error),
                _ if known.is_empty() => Err(SubjectError::Missing),
                _ => Ok(known),
            }
        }
        Some("complex") => complex(subject, transmitter),
        Some(_) => simple_target(&Value::Object(subject.clone()), transmitter).map(|one| vec![one]),
        // Older transmitters do not name the format of a complex subject.
        None => complex(subject, transmitter),
    }
}

/// A complex subject: a session of a user, or the user.
fn complex(
    subject: &Map<String, Value>,
    transmitter: &Transmitter,
) -> Result<Vec<NoticeTarget>, SubjectError> {
    let user = subject.get("user").map(|user| simple_target(user, transmitter)).transpose();
    match (subject.get("session"), user) {
        (Some(session), user) => {
            let id = text(session.as_object().ok_or(SubjectError::Incomplete)?, "id");
            let id = id.ok_or(SubjectError::Incomplete)?;
            let user = user.ok().flatten();
            let issuer = user.as_ref().map(NoticeTarget::issuer);
            let issuer = issuer.unwrap_or_else(|| transmitter.default_issuer());
            Ok(vec![NoticeTarget::session(issuer, id)])
        }
        (None, user) => Ok(vec![user?.ok_or(SubjectError::Missing)?]),
    }
}

/// A subject that is not made of others.
fn simple_target(subject: &Value, transmitter: &Transmitter) -> Result<NoticeTarget, SubjectError> {
    let subject = subject.as_object().ok_or(SubjectError::Missing)?;
    let format = text(subject, "format").or_else(|| text(subject, "subject_type"));
    let needed = |name| text(subject, name).ok_or(SubjectError::Incomplete);
    let (issuer, id) = match format.map(|format| format.replace('-', "_")).as_deref() {
        Some("iss_sub") => (needed("iss")?, needed("sub")?),
        Some("opaque") => (transmitter.default_issuer(), needed("id")?),
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
        targets(&subject, &Transmitter::new(IDP, "aud"))
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
            (json!({"format": "email", "email": "a@b"}), Err(SubjectError::Format)),
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
