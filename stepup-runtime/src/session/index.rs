//! The state of all sessions and subjects with notices, in memory. Few sessions have notices, so every instance keeps all
//! of them, and a request finds its state without waiting and without a lock.

use crate::session::notice::Notice;
use crate::session::state::{SessionState, SessionStatus};
use crate::token::identity::{IdentityKey, TokenIdentity};
use papaya::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of all sessions and subjects with notices.
#[derive(Debug, Default)]
pub(crate) struct NoticeIndex {
    states: HashMap<IdentityKey, SessionState>,
    /// Whether any target is restricted to a client.
    at_clients: AtomicBool,
    /// Held while a state is changed.
    writing: Mutex<()>,
}

impl NoticeIndex {
    /// Adds notices. Adding a notice again changes nothing.
    pub(crate) fn add(&self, notices: &[Notice]) {
        let _writing = self.writing.lock();
        let states = self.states.pin();
        for notice in notices {
            if notice.target.client().is_some() {
                self.at_clients.store(true, Ordering::Release);
            }
            let key = notice.target.key();
            let known = states.get(&key).copied().unwrap_or_default();
            let state = known.join(SessionState::of(notice));
            if state != known {
                states.insert(key, state);
            }
        }
    }

    /// What all notices mean for a token of this identity.
    pub(crate) fn status(&self, identity: &TokenIdentity, now: u64) -> SessionStatus {
        let states = self.states.pin();
        let session = |key: Option<IdentityKey>| {
            let state = key.and_then(|key| states.get(&key));
            state.map_or(SessionStatus::CLEAR, |state| state.of_session(now))
        };
        let subject = |key: Option<IdentityKey>| {
            let state = key.and_then(|key| states.get(&key));
            state.map_or(SessionStatus::CLEAR, |state| state.of_subject(identity, now))
        };
        let status = session(identity.session).and(subject(Some(identity.subject)));
        if !self.at_clients.load(Ordering::Acquire) {
            return status;
        }
        status.and(session(identity.session_at_client)).and(subject(identity.subject_at_client))
    }

    /// Forgets states that can affect no token any more. `retention` is in seconds.
    pub(crate) fn forget_over(&self, now: u64, retention: u64) {
        let _writing = self.writing.lock();
        self.states.pin().retain(|_, state| !state.is_over(now, retention));
    }

    /// How many sessions and subjects have a state.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }
}
