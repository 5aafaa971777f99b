//! The sessions that this instance has seen, for people: "your active sessions". No decision reads it. It is bounded: at
//! the limit, further sessions are counted and not listed.

use crate::session::notice::NoticeTarget;
use crate::token::identity::IdentityKey;
use crate::token::verified::VerifiedToken;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most sessions, and the most of one subject.
const MOST_SESSIONS: usize = 100_000;
const MOST_OF_SUBJECT: usize = 100;

/// The longest user agent that is kept, in bytes.
const LONGEST_USER_AGENT: usize = 256;

/// A session of a user, as this instance has seen it. Times are in seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The issuer.
    pub issuer: String,
    /// The session's id at the issuer (`sid`).
    pub sid: String,
    /// The user (`sub`).
    pub subject: String,
    /// The client of the latest token.
    pub client: Option<String>,
    /// The authentication methods of the latest token.
    pub amr: Vec<String>,
    /// The authentication context class of the latest token.
    pub acr: Option<String>,
    /// When the session was first seen.
    pub first_seen: u64,
    /// When a token of the session was last verified. Requests with a cached token do not change it.
    pub last_seen: u64,
    /// When the user last authenticated, for example in a step-up.
    pub last_authenticated: Option<u64>,
    /// The address of the client, if it is known.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

impl SessionRecord {
    /// An identifier for pages, which does not reveal the `sid`.
    pub fn id(&self) -> String {
        let key = IdentityKey::session(&self.issuer, &self.sid, None).to_bytes();
        key.iter().fold(String::with_capacity(32), |id, byte| id + &format!("{byte:02x}"))
    }

    /// The session, for notices.
    pub fn target(&self) -> NoticeTarget {
        NoticeTarget::session(&self.issuer, &self.sid)
    }
}

/// What is known about a request in which a session was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sighting<'a> {
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<&'a str>,
}

/// The case of an e-mail address does not matter in practice.
fn email_key(issuer: &str, email: &str) -> IdentityKey {
    IdentityKey::subject(issuer, &email.to_lowercase(), None)
}

/// The sessions that this instance has seen.
#[derive(Debug, Default)]
pub(crate) struct SessionDirectory {
    sessions: Mutex<Sessions>,
    /// How many sessions were not listed.
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    of_subject: HashMap<IdentityKey, Vec<SessionRecord>>,
    number: usize,
    /// The subject of each verified e-mail address, and when a token with it was last seen.
    of_email: HashMap<IdentityKey, (String, u64)>,
}

/// The claims about an e-mail address (OpenID Connect Core §5.1).
#[derive(serde::Deserialize)]
struct EmailClaims {
    email: Option<String>,
    email_verified: Option<bool>,
}

impl EmailClaims {
    /// The address in a token, if its issuer has verified it.
    fn verified(token: &VerifiedToken) -> Option<String> {
        let claims = serde_json::from_slice::<Self>(&token.claims).ok()?;
        claims.email.filter(|_| claims.email_verified == Some(true))
    }
}

impl SessionDirectory {
    /// A poisoned lock is usable: the state is plain data.
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the session of a token that was just verified, if the token names it.
    pub(crate) fn add(&self, token: &VerifiedToken, sighting: Sighting<'_>, now: u64) {
        let email = EmailClaims::verified(token);
        let mut sessions = self.sessions();
        let Sessions { of_subject, number, of_email } = &mut *sessions;
        if let Some(email) = email {
            let key = email_key(&token.issuer.name, &email);
            if of_email.len() < MOST_SESSIONS || of_email.contains_key(&key) {
                of_email.insert(key, (token.subject.clone(), now));
            }
        }
        let Some(sid) = &token.session else { return };
        let subject = token.identity().subject;
        let of_this = of_subject.get(&subject).map_or(&[][..], Vec::as_slice);
        let is_known = of_this.iter().any(|known| known.sid == *sid);
        if !is_known && (*number >= MOST_SESSIONS || of_this.len() >= MOST_OF_SUBJECT) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let known = of_subject.entry(subject).or_default();
        let record = match known.iter_mut().find(|known| known.sid == *sid) {
            Some(record) => record,
            None => {
                *number += 1;
                known.push(SessionRecord {
                    issuer: token.issuer.name.clone(),
                    sid: sid.clone(),
                    subject: token.subject.clone(),
                    client: None,
                    amr: Vec::new(),
                    acr: None,
                    first_seen: now,
                    last_seen: now,
                    last_authenticated: None,
                    address: None,
                    user_agent: None,
                });
                let Some(record) = known.last_mut() else { return };
                record
            }
        };
        record.client.clone_from(&token.client);
        record.amr.clone_from(&token.amr);
        record.acr = token.authentication.acr.first().cloned();
        record.last_seen = now;
        record.last_authenticated = record.last_authenticated.max(token.authentication.auth_time);
        record.address = sighting.address.or(record.address);
        if let Some(agent) = sighting.user_agent {
            let end = agent.floor_char_boundary(LONGEST_USER_AGENT);
            record.user_agent = agent.get(..end).map(str::to_owned);
        }
    }

    /// The subject whose token contained this verified e-mail address.
    pub(crate) fn subject_of_email(&self, issuer: &str, email: &str) -> Option<String> {
        let sessions = self.sessions();
        sessions.of_email.get(&email_key(issuer, email)).map(|(subject, _)| subject.clone())
    }

    /// The sessions of a subject, the one that was seen last first.
    pub(crate) fn of(&self, subject: IdentityKey) -> Vec<SessionRecord> {
        let mut records = self.sessions().of_subject.get(&subject).cloned().unwrap_or_default();
        records.sort_by_key(|record| std::cmp::Reverse(record.last_seen));
        records
    }

    /// Forgets sessions that were last seen before this time.
    pub(crate) fn forget_before(&self, time: u64) {
        let mut sessions = self.sessions();
        let Sessions { of_subject, number, of_email } = &mut *sessions;
        of_email.retain(|_, (_, seen)| *seen >= time);
        of_subject.retain(|_, records| {
            records.retain(|record| record.last_seen >= time);
            !records.is_empty()
        });
        *number = of_subject.values().map(Vec::len).sum();
    }

    /// How many sessions were not listed, because the directory was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
