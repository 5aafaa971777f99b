//! A notice: something that happened to a session or to a subject after its tokens were issued. Its JSON form is what
//! every log stores.

use crate::token::identity::IdentityKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use stepup_contract::RiskLevel;

/// The longest name of an issuer, and the longest of a session, subject or client, in bytes.
const LONGEST_ISSUER: usize = 2048;
const LONGEST_ID: usize = 512;

/// The longest reason, in bytes. A longer one is cut.
const LONGEST_REASON: usize = 256;

/// A session or a subject that a notice is about.
///
/// ```
/// use stepup_runtime::NoticeTarget;
///
/// let session = NoticeTarget::session("https://login.bank.example", "08a5019c-17e1");
/// let user = NoticeTarget::subject("https://login.bank.example", "alice").at_client("bank-app");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NoticeTarget {
    issuer: String,
    id: TargetId,
    client: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TargetId {
    Session(String),
    Subject(String),
}

impl NoticeTarget {
    /// A session of this issuer, by its `sid`.
    pub fn session(issuer: impl Into<String>, sid: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), id: TargetId::Session(sid.into()), client: None }
    }

    /// A subject of this issuer, by its `sub`: all of its sessions.
    pub fn subject(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), id: TargetId::Subject(subject.into()), client: None }
    }

    /// Restricts the target to tokens of this client.
    #[must_use]
    pub fn at_client(self, client: impl Into<String>) -> Self {
        Self { client: Some(client.into()), ..self }
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `sid`, if the target is a session.
    pub fn session_id(&self) -> Option<&str> {
        match &self.id {
            TargetId::Session(sid) => Some(sid),
            TargetId::Subject(_) => None,
        }
    }

    /// The `sub`, if the target is a subject.
    pub fn subject_id(&self) -> Option<&str> {
        match &self.id {
            TargetId::Session(_) => None,
            TargetId::Subject(subject) => Some(subject),
        }
    }

    /// The client that the target is restricted to.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    pub(crate) fn key(&self) -> IdentityKey {
        match &self.id {
            TargetId::Session(sid) => IdentityKey::session(&self.issuer, sid, self.client()),
            TargetId::Subject(subject) => {
                IdentityKey::subject(&self.issuer, subject, self.client())
            }
        }
    }
}

/// What a notice changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoticeEffect {
    /// The session has ended. At a subject: all authentications up to the event have, except in one session.
    Revoked {
        /// The `sid` of the session that continues.
        except: Option<String>,
    },
    /// Authentications up to the event no longer count for a step-up.
    Reauthenticate,
    /// The risk has changed.
    Risk {
        /// The new level.
        level: RiskLevel,
        /// Until when it applies, in seconds since the epoch; by default as long as the notice is kept.
        until: Option<u64>,
    },
    /// Calls are refused until this time, in seconds since the epoch.
    Locked {
        /// The end of the lock.
        until: u64,
    },
    /// The account is disabled, until it is enabled.
    Disabled,
    /// The account is enabled again.
    Enabled,
}

/// Where a notice comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoticeSource {
    /// The application.
    App,
    /// A security event of a transmitter (OpenID Shared Signals).
    Signal,
    /// A logout token (OpenID Connect Back-Channel Logout).
    Logout,
    /// Step-ups that failed.
    FailedStepUps,
}

/// Something that happened to a session or to a subject after its tokens were issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
#[non_exhaustive]
pub struct Notice {
    /// The session or the subject.
    pub target: NoticeTarget,
    /// What changes.
    pub effect: NoticeEffect,
    /// The time of the event, in seconds since the epoch.
    pub at: u64,
    /// Where it comes from.
    pub source: NoticeSource,
    /// The reason, for people.
    pub reason: String,
}

/// Why a notice is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNotice {
    /// The issuer is empty or too long.
    #[error("the issuer is empty or longer than {LONGEST_ISSUER} bytes")]
    Issuer,
    /// A session, subject or client is empty or too long.
    #[error("a session, subject or client is empty or longer than {LONGEST_ID} bytes")]
    Id,
    /// The effect does not apply to a session.
    #[error(
        "only a subject's account can be disabled or enabled, and only a subject has other sessions"
    )]
    NotOfASession,
    /// A lock or a risk that lasts longer than notices are kept.
    #[error("it lasts longer than notices are kept; raise Sessions::longest_session")]
    TooLong,
    /// The document names no target, or two.
    #[error("a notice names either a session or a subject")]
    Target,
    /// The document has an unknown effect, or lacks a part of it.
    #[error("the effect is unknown or incomplete; another version may have written it")]
    Effect,
}

impl Notice {
    /// A notice about an event at this time, in seconds since the epoch.
    pub fn new(
        target: NoticeTarget,
        effect: NoticeEffect,
        at: u64,
        source: NoticeSource,
        reason: impl Into<String>,
    ) -> Self {
        let mut reason: String = reason.into();
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        Self { target, effect, at, source, reason }
    }

    /// Checks the lengths of the names, and that the effect applies to the target.
    pub(crate) fn check(&self) -> Result<(), InvalidNotice> {
        let NoticeTarget { issuer, id, client } = &self.target;
        let valid = |text: &str, longest| !text.is_empty() && text.len() <= longest;
        if !valid(issuer, LONGEST_ISSUER) {
            return Err(InvalidNotice::Issuer);
        }
        let (TargetId::Session(id) | TargetId::Subject(id)) = id;
        let except = match &self.effect {
            NoticeEffect::Revoked { except } => except.as_ref(),
            _ => None,
        };
        if ![Some(id), client.as_ref(), except]
            .into_iter()
            .flatten()
            .all(|id| valid(id, LONGEST_ID))
        {
            return Err(InvalidNotice::Id);
        }
        let account = matches!(self.effect, NoticeEffect::Disabled | NoticeEffect::Enabled);
        if self.target.session_id().is_some() && (account || except.is_some()) {
            return Err(InvalidNotice::NotOfASession);
        }
        Ok(())
    }
}

impl fmt::Display for NoticeEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked { .. } => "revoked",
            Self::Reauthenticate => "reauthenticate",
            Self::Risk { .. } => "risk",
            Self::Locked { .. } => "locked",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
        })
    }
}

/// The JSON form of a notice. Unknown fields are an error: an old instance must not ignore what it does not understand.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    effect: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    at: u64,
    source: NoticeSource,
    reason: String,
}

impl From<Notice> for Document {
    fn from(notice: Notice) -> Self {
        let Notice { target, effect, at, source, reason } = notice;
        let name = effect.to_string();
        let (except, level, until) = match effect {
            NoticeEffect::Revoked { except } => (except, None, None),
            NoticeEffect::Risk { level, until } => (None, Some(level.to_string()), until),
            NoticeEffect::Locked { until } => (None, None, Some(until)),
            NoticeEffect::Reauthenticate | NoticeEffect::Disabled | NoticeEffect::Enabled => {
                (None, None, None)
            }
        };
        let (session, subject) = match target.id {
            TargetId::Session(sid) => (Some(sid), None),
            TargetId::Subject(subject) => (None, Some(subject)),
        };
        let NoticeTarget { issuer, client, .. } = target;
        Self {
            issuer,
            session,
            subject,
            client,
            effect: name,
            except,
            level,
            until,
            at,
            source,
            reason,
        }
    }
}

impl TryFrom<Document> for Notice {
    type Error = InvalidNotice;

    fn try_from(document: Document) -> Result<Self, InvalidNotice> {
        let Document { issuer, session, subject, client, effect, except, level, until, .. } =
            document;
        let id = match (session, subject) {
            (Some(sid), None) => TargetId::Session(sid),
            (None, Some(subject)) => TargetId::Subject(subject),
            _ => return Err(InvalidNotice::Target),
        };
        let level = level.map(|level| level.parse::<RiskLevel>()).transpose();
        let level = level.map_err(|_| InvalidNotice::Effect)?;
        let effect = match (effect.as_str(), except, level, until) {
            ("revoked", except, None, None) => NoticeEffect::Revoked { except },
            ("reauthenticate", None, None, None) => NoticeEffect::Reauthenticate,
            ("risk", None, Some(level), until) => NoticeEffect::Risk { level, until },
            ("locked", None, None, Some(until)) => NoticeEffect::Locked { until },
            ("disabled", None, None, None) => NoticeEffect::Disabled,
            ("enabled", None, None, None) => NoticeEffect::Enabled,
            _ => return Err(InvalidNotice::Effect),
        };
        let Document { at, source, reason, .. } = document;
        let notice =
            Self { target: NoticeTarget { issuer, id, client }, effect, at, source, reason };
        notice.check().map(|()| notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects() -> [NoticeEffect; 8] {
        [
            NoticeEffect::Revoked { except: None },
            NoticeEffect::Revoked { except: Some("s".into()) },
            NoticeEffect::Reauthenticate,
            NoticeEffect::Risk { level: RiskLevel::High, until: None },
            NoticeEffect::Risk { level: RiskLevel::Low, until: Some(7) },
            NoticeEffect::Locked { until: 9 },
            NoticeEffect::Disabled,
            NoticeEffect::Enabled,
        ]
    }

    #[test]
    fn the_json_form_keeps_every_notice() {
        for effect in effects() {
            let target = NoticeTarget::subject("https://idp", "alice").at_client("app");
            let notice = Notice::new(target, effect, 5, NoticeSource::App, "a reason");
            let json = serde_json::to_string(&notice).unwrap();
            assert_eq!(serde_json::from_str::<Notice>(&json).unwrap(), notice, "{json}");
        }
    }

    #[test]
    fn an_unknown_or_incomplete_document_is_an_error() {
        let document = |more: &str| {
            let json =
                format!("{{\"issuer\":\"i\",\"at\":1,\"source\":\"app\",\"reason\":\"\",{more}}}");
            serde_json::from_str::<Notice>(&json)
        };
        assert!(document("\"session\":\"s\",\"effect\":\"revoked\"").is_ok());
        for more in [
            "\"session\":\"s\",\"effect\":\"paused\"",
            "\"session\":\"s\",\"effect\":\"locked\"",
            "\"session\":\"s\",\"effect\":\"risk\"",
            "\"session\":\"s\",\"effect\":\"risk\",\"level\":\"severe\"",
            "\"session\":\"s\",\"effect\":\"revoked\",\"until\":7",
            "\"session\":\"s\",\"effect\":\"revoked\",\"more\":7",
            "\"session\":\"s\",\"subject\":\"x\",\"effect\":\"revoked\"",
            "\"effect\":\"revoked\"",
            "\"session\":\"\",\"effect\":\"revoked\"",
            "\"session\":\"s\",\"effect\":\"disabled\"",
        ] {
            assert!(document(more).is_err(), "{more}");
        }
    }
}
