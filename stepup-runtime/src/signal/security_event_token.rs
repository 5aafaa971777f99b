//! Security event tokens (RFC 8417): the one place that verifies them, and reads their events.

use crate::jose::jws::Jws;
use crate::refusal::Cause;
use crate::session::notice::Notice;
use crate::signal::event::{Meaning, event_time, is_about_user, meaning, notices, reason, relaxes};
use crate::signal::subject_identifier::{SubjectMapping, is_partial, targets};
use crate::signal::transmitter::ConnectedTransmitter;
use serde_json::{Map, Value};

/// Why a security event token is refused: an error code of RFC 8935 §2.4, and a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenRefusal {
    /// Not a security event token.
    Invalid(&'static str),
    /// The issuer is not a transmitter here.
    Issuer,
    /// The audience is another one, or not only this API.
    Audience,
    /// No key of the transmitter has signed it.
    Key,
    /// The transmitter's keys cannot be fetched at the moment.
    Unavailable,
}

/// The verified content of a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) notices: Vec<Notice>,
    /// Events that could not be used, each with the reason.
    pub(crate) unreadable: Vec<(String, String)>,
}

/// Verifies a token and reads its events. The transmitter is selected by `iss`, and only its own keys verify the token.
pub(crate) async fn read<'a>(
    token: &str,
    mut transmitters: impl Iterator<Item = &'a ConnectedTransmitter>,
    subject_of_email: &(dyn Fn(&str, &str) -> Option<String> + Sync),
) -> Result<Events, TokenRefusal> {
    let jws = Jws::parse(token).map_err(|_| TokenRefusal::Invalid("not a signed JWT"))?;
    let text = |name: &str| jws.claims.get(name).and_then(Value::as_str);
    let issuer = text("iss").ok_or(TokenRefusal::Issuer)?;
    let transmitter = transmitters.find(|known| known.options.issuer == issuer);
    let transmitter = transmitter.ok_or(TokenRefusal::Issuer)?;
    // An explicit type, so that no other JWT of the issuer is read as an event (SSF 1.0 §10.3).
    if jws.typ.as_deref() != Some("secevent+jwt") {
        return Err(TokenRefusal::Invalid("its typ is not secevent+jwt"));
    }
    // Only this API: otherwise another receiver of the transmitter could replay its tokens here.
    let ours = |audience: &Value| audience.as_str() == Some(&transmitter.options.audience);
    let only_ours = match jws.claims.get("aud") {
        Some(Value::Array(list)) => !list.is_empty() && list.iter().all(ours),
        Some(one) => ours(one),
        None => false,
    };
    if !only_ours {
        return Err(TokenRefusal::Audience);
    }
    transmitter.keys.verify(&jws).await.map_err(|cause| match cause {
        Cause::Unavailable { .. } => TokenRefusal::Unavailable,
        _ => TokenRefusal::Key,
    })?;
    if text("jti").is_none_or(str::is_empty) || !jws.claims.contains_key("iat") {
        return Err(TokenRefusal::Invalid("it has no jti or no iat"));
    }
    let events = match jws.claims.get("events") {
        Some(Value::Object(events)) => events.clone(),
        // Apple sends the events as text.
        Some(Value::String(text)) => apples_events(text)?,
        _ => return Err(TokenRefusal::Invalid("it has no events")),
    };
    let mapping =
        SubjectMapping { transmitter: &transmitter.options, about_user: false, subject_of_email };
    Ok(read_events(&events, &jws.claims, mapping))
}

/// Apple's form: one event as JSON text, with its name in `type`.
fn apples_events(text: &str) -> Result<Map<String, Value>, TokenRefusal> {
    let event = serde_json::from_str::<Map<String, Value>>(text);
    let event = event.map_err(|_| TokenRefusal::Invalid("its events are not an object"))?;
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Map::from_iter([(name, Value::Object(event))]))
}

fn read_events(
    events: &Map<String, Value>,
    claims: &Map<String, Value>,
    mapping: SubjectMapping<'_>,
) -> Events {
    let mut read = Events::default();
    for (uri, event) in events {
        let unreadable = |reason: &str| (uri.clone(), reason.to_owned());
        let Some(event) = event.as_object() else {
            read.unreadable.push(unreadable("the event is not an object"));
            continue;
        };
        let effects = match meaning(uri, event) {
            Meaning::Effects(effects) => effects,
            Meaning::Nothing => continue,
            Meaning::Unknown => {
                read.unreadable.push(unreadable("the event is unknown"));
                continue;
            }
            Meaning::Incomplete => {
                read.unreadable
                    .push(unreadable("the event lacks a member or has an unknown value"));
                continue;
            }
        };
        // SSF 1.0 has the subject in the token; older transmitters have it in the event.
        let subject = claims.get("sub_id").or_else(|| event.get("subject"));
        let subject = subject.unwrap_or(&Value::Null);
        let Some(at) = event_time(event, claims) else {
            read.unreadable.push(unreadable("the event has no time"));
            continue;
        };
        if is_partial(subject, event) && effects.iter().any(relaxes) {
            read.unreadable.push(unreadable("the event is about a device, a tenant or the like"));
            continue;
        }
        let mapping = SubjectMapping { about_user: is_about_user(uri), ..mapping };
        match targets(subject, mapping) {
            Ok(targets) => {
                let found = notices(&effects, &targets, at, &reason(uri, event));
                if found.len() < effects.len() * targets.len() {
                    read.unreadable.push(unreadable("the event does not apply to its subject"));
                }
                read.notices.extend(found);
            }
            Err(error) => read.unreadable.push(unreadable(&error.to_string())),
        }
    }
    read
}
