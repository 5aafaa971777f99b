//! What an application does with sessions: end them, require a new authentication, lock and disable accounts, and report
//! risk.

use crate::session::directory::SessionRecord;
use crate::session::log::SessionsError;
use crate::session::notice::{Notice, NoticeEffect, NoticeSource, NoticeTarget};
use crate::session::store::SessionStore;
use stepup_contract::RiskLevel;

/// Ends sessions, requires new authentications, and locks or disables accounts: see
/// [`StepUp::sessions`](crate::StepUp::sessions).
///
/// Each call returns once its notice is durable and in force in this process. Other instances follow within moments.
#[derive(Debug, Clone, Copy)]
#[must_use = "call one of its methods"]
pub struct SessionManager<'a> {
    store: Option<&'a SessionStore>,
    now: u64,
}

impl<'a> SessionManager<'a> {
    pub(crate) fn new(store: Option<&'a SessionStore>, now: u64) -> Self {
        Self { store, now }
    }

    /// Ends a session, or all sessions of a subject: tokens of authentications up to now are refused with 401.
    ///
    /// # Errors
    /// If the notice is not durable; see [`SessionsError`].
    pub async fn revoke(&self, target: NoticeTarget, reason: &str) -> Result<(), SessionsError> {
        self.add(target, NoticeEffect::Revoked { except: None }, reason).await
    }

    /// Ends all sessions of a subject except the one with this `sid`.
    ///
    /// # Errors
    /// If the notice is not durable, or the target is a session.
    pub async fn revoke_others(
        &self,
        subject: NoticeTarget,
        sid: &str,
        reason: &str,
    ) -> Result<(), SessionsError> {
        let except = Some(sid.to_owned());
        self.add(subject, NoticeEffect::Revoked { except }, reason).await
    }

    /// Requires that users authenticate again before they call a sensitive endpoint.
    ///
    /// # Errors
    /// If the notice is not durable.
    pub async fn require_reauthentication(
        &self,
        target: NoticeTarget,
        reason: &str,
    ) -> Result<(), SessionsError> {
        self.add(target, NoticeEffect::Reauthenticate, reason).await
    }

    /// Refuses calls with 403 for this number of seconds. A later, shorter lock does not shorten this one.
    ///
    /// # Errors
    /// If the notice is not durable.
    pub async fn lock(
        &self,
        target: NoticeTarget,
        seconds: u32,
        reason: &str,
    ) -> Result<(), SessionsError> {
        let until = self.now.saturating_add(seconds.into());
        self.add(target, NoticeEffect::Locked { until }, reason).await
    }

    /// Disables a subject's account: all of its tokens are refused with 401 until it is enabled.
    ///
    /// # Errors
    /// If the notice is not durable, or the target is a session.
    pub async fn disable(&self, subject: NoticeTarget, reason: &str) -> Result<(), SessionsError> {
        self.add(subject, NoticeEffect::Disabled, reason).await
    }

    /// Enables a subject's account.
    ///
    /// # Errors
    /// If the notice is not durable, or the target is a session.
    pub async fn enable(&self, subject: NoticeTarget, reason: &str) -> Result<(), SessionsError> {
        self.add(subject, NoticeEffect::Enabled, reason).await
    }

    /// Appends notices together.
    ///
    /// # Errors
    /// If they are not durable, or one is not valid.
    pub async fn append(&self, notices: Vec<Notice>) -> Result<(), SessionsError> {
        self.store.ok_or(SessionsError::NotConfigured)?.append(notices, self.now).await
    }

    /// The sessions of a subject that this instance has seen and that have not ended, the latest first.
    pub fn list(&self, issuer: &str, subject: &str) -> Vec<SessionRecord> {
        let sessions = self.store.map(|store| store.sessions_of(issuer, subject, self.now));
        sessions.unwrap_or_default()
    }

    /// How many sessions are not listed, because too many were seen.
    pub fn unlisted(&self) -> u64 {
        self.store.map_or(0, |store| store.directory.dropped())
    }

    /// How many sessions and subjects have notices in force.
    pub fn notices(&self) -> usize {
        self.store.map_or(0, SessionStore::len)
    }

    async fn add(
        &self,
        target: NoticeTarget,
        effect: NoticeEffect,
        reason: &str,
    ) -> Result<(), SessionsError> {
        let notice = Notice::new(target, effect, self.now, NoticeSource::App, reason);
        self.append(vec![notice]).await
    }
}

/// Reports the risk of sessions and subjects: see [`StepUp::risk`](crate::StepUp::risk).
#[derive(Debug, Clone, Copy)]
#[must_use = "call one of its methods"]
pub struct RiskManager<'a>(SessionManager<'a>);

impl<'a> RiskManager<'a> {
    pub(crate) fn new(sessions: SessionManager<'a>) -> Self {
        Self(sessions)
    }

    /// Sets the risk of a session, or of all sessions of a subject. The latest report counts; of a session's and its
    /// subject's risk the higher one counts.
    ///
    /// # Errors
    /// If the notice is not durable; see [`SessionsError`].
    pub async fn report(
        &self,
        target: NoticeTarget,
        level: RiskLevel,
        reason: &str,
    ) -> Result<(), SessionsError> {
        self.0.add(target, NoticeEffect::Risk { level, until: None }, reason).await
    }

    /// Sets the risk for this number of seconds.
    ///
    /// # Errors
    /// If the notice is not durable.
    pub async fn report_for(
        &self,
        target: NoticeTarget,
        level: RiskLevel,
        seconds: u32,
        reason: &str,
    ) -> Result<(), SessionsError> {
        let until = Some(self.0.now.saturating_add(seconds.into()));
        self.0.add(target, NoticeEffect::Risk { level, until }, reason).await
    }
}
