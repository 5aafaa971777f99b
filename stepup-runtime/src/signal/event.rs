//! The events of CAEP 1.0 and RISC 1.0, and the notices that they become.

use crate::session::notice::{Notice, NoticeEffect, NoticeSource, NoticeTarget};
use serde_json::{Map, Value};
use stepup_contract::RiskLevel;

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

/// A millisecond time is larger than this. Some transmitters send milliseconds, although the specifications require
/// seconds.
const LATEST_SECONDS: u64 = 100_000_000_000;

/// What an event means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// These effects, at each target.
    Effects(Vec<NoticeEffect>),
    /// Nothing changes, because the event reports something harmless, or is about the stream itself.
    Nothing,
    /// The event is unknown, and is ignored.
    Unknown,
    /// The event lacks a member that it must have.
    Incomplete,
}

/// What this event means.
pub(crate) fn meaning(uri: &str, event: &Map<String, Value>) -> Meaning {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let revoked = NoticeEffect::Revoked { except: None };
    let effects = |effects: &[NoticeEffect]| Meaning::Effects(effects.to_vec());
    if uri.starts_with(SSF) {
        return Meaning::Nothing;
    }
    match (uri.strip_prefix(CAEP), uri.strip_prefix(RISC)) {
        (Some("session-revoked"), _) => effects(&[revoked]),
        (Some("credential-change" | "token-claims-change"), _) => {
            effects(&[NoticeEffect::Reauthenticate])
        }
        (Some("assurance-level-change"), _) => match text("change_direction") {
            Some("increase") => Meaning::Nothing,
            _ => effects(&[NoticeEffect::Reauthenticate]),
        },
        (Some("risk-level-change"), _) => {
            let level = text("current_level").map(str::to_ascii_lowercase);
            match level.and_then(|level| level.parse::<RiskLevel>().ok()) {
                Some(level) => effects(&[NoticeEffect::Risk { level, until: None }]),
                None => Meaning::Incomplete,
            }
        }
        (Some("device-compliance-change"), _) => match text("current_status") {
            Some("compliant") => Meaning::Nothing,
            _ => effects(&[NoticeEffect::Reauthenticate]),
        },
        (Some("session-established" | "session-presented"), _) => Meaning::Nothing,
        (_, Some("account-disabled" | "account-purged")) => {
            effects(&[NoticeEffect::Disabled, revoked])
        }
        (_, Some("account-enabled")) => effects(&[NoticeEffect::Enabled]),
        (_, Some("credential-compromise" | "sessions-revoked")) => effects(&[revoked]),
        (_, Some("account-credential-change-required")) => effects(&[NoticeEffect::Reauthenticate]),
        _ => Meaning::Unknown,
    }
}

/// Whether an event is about the user even if its subject also names a session.
pub(crate) fn is_about_user(uri: &str) -> bool {
    uri.starts_with(RISC) || uri.strip_prefix(CAEP) == Some("credential-change")
}

/// Whether an effect makes the state less strict.
pub(crate) fn relaxes(effect: &NoticeEffect) -> bool {
    matches!(
        effect,
        NoticeEffect::Enabled
            | NoticeEffect::Risk { level: RiskLevel::Low | RiskLevel::Medium, .. }
    )
}

/// The notices of an event about these targets. An account event about a session is about nothing that can be disabled.
pub(crate) fn notices(
    effects: &[NoticeEffect],
    targets: &[NoticeTarget],
    at: u64,
    reason: &str,
) -> Vec<Notice> {
    let of = |target: &NoticeTarget| {
        let target = target.clone();
        effects.iter().map(move |effect| {
            Notice::new(target.clone(), effect.clone(), at, NoticeSource::Signal, reason)
        })
    };
    targets.iter().flat_map(of).filter(|notice| notice.check().is_ok()).collect()
}

/// The time of an event: its own, else the token's `toe` or `iat`, in seconds since the epoch.
pub(crate) fn event_time(event: &Map<String, Value>, claims: &Map<String, Value>) -> Option<u64> {
    let time = |value: Option<&Value>| value.and_then(Value::as_u64);
    let time = time(event.get("event_timestamp"))
        .or_else(|| time(claims.get("toe")))
        .or_else(|| time(claims.get("iat")))?;
    Some(if time > LATEST_SECONDS { time / 1000 } else { time })
}

/// A reason for people: the event, and what the transmitter says to administrators about it.
pub(crate) fn reason(uri: &str, event: &Map<String, Value>) -> String {
    let name = uri.rsplit('/').next().unwrap_or(uri);
    let admin = match event.get("reason_admin") {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Object(texts)) => texts.values().next().and_then(Value::as_str),
        _ => None,
    };
    admin.map_or_else(|| name.to_owned(), |admin| format!("{name}: {admin}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_events_of_caep_and_risc_have_their_effects() {
        let revoked = || NoticeEffect::Revoked { except: None };
        let risk = |level| Meaning::Effects(vec![NoticeEffect::Risk { level, until: None }]);
        let reauthenticate = || Meaning::Effects(vec![NoticeEffect::Reauthenticate]);
        for (kind, name, event, expected) in [
            (CAEP, "session-revoked", json!({}), Meaning::Effects(vec![revoked()])),
            (CAEP, "credential-change", json!({"change_type": "create"}), reauthenticate()),
            (CAEP, "token-claims-change", json!({"claims": {"role": "x"}}), reauthenticate()),
            (
                CAEP,
                "assurance-level-change",
                json!({"change_direction": "decrease"}),
                reauthenticate(),
            ),
            (
                CAEP,
                "assurance-level-change",
                json!({"change_direction": "increase"}),
                Meaning::Nothing,
            ),
            (CAEP, "assurance-level-change", json!({}), reauthenticate()),
            (CAEP, "risk-level-change", json!({"current_level": "HIGH"}), risk(RiskLevel::High)),
            (CAEP, "risk-level-change", json!({"current_level": "low"}), risk(RiskLevel::Low)),
            (CAEP, "risk-level-change", json!({"current_level": "odd"}), Meaning::Incomplete),
            (
                CAEP,
                "device-compliance-change",
                json!({"current_status": "not-compliant"}),
                reauthenticate(),
            ),
            (
                CAEP,
                "device-compliance-change",
                json!({"current_status": "compliant"}),
                Meaning::Nothing,
            ),
            (CAEP, "session-established", json!({}), Meaning::Nothing),
            (CAEP, "session-presented", json!({}), Meaning::Nothing),
            (
                RISC,
                "account-disabled",
                json!({}),
                Meaning::Effects(vec![NoticeEffect::Disabled, revoked()]),
            ),
            (
                RISC,
                "account-purged",
                json!({}),
                Meaning::Effects(vec![NoticeEffect::Disabled, revoked()]),
            ),
            (RISC, "account-enabled", json!({}), Meaning::Effects(vec![NoticeEffect::Enabled])),
            (RISC, "credential-compromise", json!({}), Meaning::Effects(vec![revoked()])),
            (RISC, "sessions-revoked", json!({}), Meaning::Effects(vec![revoked()])),
            (RISC, "account-credential-change-required", json!({}), reauthenticate()),
            (RISC, "something-new", json!({}), Meaning::Unknown),
            (SSF, "verification", json!({"state": "x"}), Meaning::Nothing),
            (SSF, "stream-updated", json!({"status": "paused"}), Meaning::Nothing),
        ] {
            let event = event.as_object().unwrap();
            assert_eq!(meaning(&format!("{kind}{name}"), event), expected, "{name} {event:?}");
        }
    }

    #[test]
    fn the_time_of_an_event_is_in_seconds() {
        let claims = json!({"iat": 30, "toe": 20});
        let claims = claims.as_object().unwrap();
        for (event, expected) in [
            (json!({"event_timestamp": 10}), 10),
            (json!({"event_timestamp": 1_800_000_000_123_u64}), 1_800_000_000),
            (json!({"event_timestamp": "10"}), 20),
            (json!({}), 20),
        ] {
            assert_eq!(event_time(event.as_object().unwrap(), claims), Some(expected), "{event}");
        }
    }
}
