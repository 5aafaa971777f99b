//! An issuer's keys and their refresh: on a schedule, and when a token's key is unknown or a known key does not
//! confirm its signature. There is at most one fetch per cooldown, shared by all waiting requests, in its own task. No
//! lock is held during a fetch. After a failed fetch the old keys stay in use until they are too old. A key set without
//! a usable key is not a failure: it retires the old keys.

use crate::issuer::discovery::{DiscoveryError, Metadata, discover};
use crate::jose::jwk::VerifyingKey;
use crate::jose::jwk_set::{JwkSet, JwkSetError};
use crate::jose::jws::Jws;
use crate::refusal::{Cause, TokenError};
use crate::support::error_chain::ErrorChain;
use crate::support::http_client::{FetchError, Fetched, client, fetch};
use crate::support::single_flight::SingleFlight;
use arc_swap::{ArcSwap, ArcSwapOption};
use reqwest::Client;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub(crate) enum KeySource {
    /// At the address that the discovery document names.
    Discovery,
    /// At this URL.
    Url(String),
    /// In this text; nothing is fetched.
    Text(String),
}

/// When keys are refreshed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefreshPolicy {
    /// The shortest time between two fetches.
    pub(crate) cooldown: Duration,
    /// The longest time between two fetches.
    pub(crate) interval: Duration,
    /// How long keys stay in use while the issuer is unreachable.
    pub(crate) max_stale: Duration,
    /// Whether a program may start without keys.
    pub(crate) lazy: bool,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(30),
            interval: Duration::from_secs(600),
            max_stale: Duration::from_secs(24 * 3600),
            lazy: false,
        }
    }
}

/// Why an issuer's keys could not be loaded.
#[derive(Debug, Error)]
pub(crate) enum KeyStoreError {
    #[error("the HTTP client could not be created")]
    Client(#[from] reqwest::Error),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Set(#[from] JwkSetError),
}

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct KeyStore {
    current: ArcSwap<JwkSet>,
    remote: Option<Remote>,
}

/// An issuer from which keys are fetched.
#[derive(Debug)]
struct Remote {
    client: Client,
    issuer: String,
    source: KeySource,
    policy: RefreshPolicy,
    state: Mutex<State>,
    metadata: ArcSwapOption<Metadata>,
    started: Instant,
    /// When the issuer last confirmed the keys, in milliseconds after `started`, plus one; 0 means never.
    confirmed: AtomicU64,
    /// The task that refreshes on schedule.
    schedule: ArcSwapOption<AbortHandle>,
}

/// The refreshes so far.
#[derive(Debug, Default)]
struct State {
    /// When the last refresh started, and its result.
    last: Option<(Instant, Refreshed)>,
    running: Option<SingleFlight<Refreshed>>,
    /// The address of the key set, and its entity tag there.
    etag: Option<(String, String)>,
    /// Until when each of these key ids is treated as unknown without another fetch.
    unknown_kids: HashMap<String, Instant>,
}

/// The result of a search among the current keys.
#[derive(Debug)]
pub(crate) enum KeyLookup {
    /// This key has signed the token.
    Found(Arc<VerifyingKey>),
    /// No key can have signed the token, and a refresh would not change that.
    Refused(TokenError),
    /// Only a refresh of the keys can tell. These keys were tried.
    RefreshNeeded(Vec<Arc<VerifyingKey>>),
}

/// The result of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refreshed {
    /// The issuer has answered; its response may be kept for this long.
    Current(Option<Duration>),
    /// The issuer is unreachable.
    Unreachable,
}

/// The most unknown key ids that are remembered, and the longest of them in bytes.
const MAX_UNKNOWN_KIDS: usize = 1000;
const MAX_UNKNOWN_KID_LENGTH: usize = 128;

impl KeyStore {
    /// Loads the keys, and refreshes them from then on.
    pub(crate) async fn load(
        issuer: &str,
        source: KeySource,
        policy: RefreshPolicy,
        authorities: &[u8],
    ) -> Result<Arc<Self>, KeyStoreError> {
        if let KeySource::Text(text) = &source {
            let current = ArcSwap::from_pointee(JwkSet::parse(text.as_bytes())?);
            return Ok(Arc::new(Self { current, remote: None }));
        }
        let address = if let KeySource::Url(url) = &source { url } else { issuer };
        let remote = Remote {
            client: client(address, authorities)?,
            issuer: issuer.to_owned(),
            source,
            policy,
            state: Mutex::default(),
            metadata: ArcSwapOption::empty(),
            started: Instant::now(),
            confirmed: AtomicU64::new(0),
            schedule: ArcSwapOption::empty(),
        };
        let keys = Arc::new(Self { current: ArcSwap::default(), remote: Some(remote) });
        let first = match keys.fetch().await {
            Ok(max_age) => max_age,
            Err(error) if policy.lazy => {
                let error = ErrorChain(&error);
                tracing::error!(issuer, %error, "started without the issuer's keys, because of .lazy()");
                Some(Duration::ZERO)
            }
            Err(error) => return Err(error),
        };
        if let Some(remote) = &keys.remote {
            keys.schedule(remote, remote.pause(first));
        }
        Ok(keys)
    }

    /// Starts the scheduled refresh, unless it is already running.
    fn schedule(self: &Arc<Self>, remote: &Remote, pause: Duration) {
        let _only_one = remote.state();
        if let Ok(runtime) = Handle::try_current()
            && !remote.is_scheduled()
        {
            let task = runtime.spawn(refresh_on_schedule(Arc::downgrade(self), pause));
            remote.schedule.store(Some(Arc::new(task.abort_handle())));
        }
    }

    /// The current keys.
    pub(crate) fn current(&self) -> Arc<JwkSet> {
        self.current.load_full()
    }

    /// The issuer's metadata, if it was fetched.
    pub(crate) fn metadata(&self) -> Option<Arc<Metadata>> {
        self.remote.as_ref().and_then(|remote| remote.metadata.load_full())
    }

    /// Checks that the issuer has confirmed the keys recently enough for their use.
    pub(crate) fn check_fresh(self: &Arc<Self>) -> Result<(), Cause> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let RefreshPolicy { cooldown, interval, max_stale, .. } = remote.policy;
        match remote.age() {
            Some(age) if age < max_stale => {
                // Overdue: either the issuer is unreachable, or the runtime of the refresh task was dropped.
                if age > 2 * (interval + cooldown) && !remote.is_scheduled() {
                    self.schedule(remote, Duration::ZERO);
                }
                Ok(())
            }
            _ => Err(remote.unavailable()),
        }
    }

    /// The key that has signed this token. If no current key has signed it, the keys are refreshed once: the key may be
    /// new, or its id may have been reused.
    pub(crate) async fn verify(
        self: &Arc<Self>,
        jws: &Jws<'_>,
    ) -> Result<Arc<VerifyingKey>, Cause> {
        match self.verify_now(jws) {
            KeyLookup::Found(key) => Ok(key),
            KeyLookup::Refused(reason) => Err(reason.into()),
            KeyLookup::RefreshNeeded(tried) => self.verify_refreshed(jws, &tried).await,
        }
    }

    /// The current key that has signed this token, without waiting.
    pub(crate) fn verify_now(self: &Arc<Self>, jws: &Jws<'_>) -> KeyLookup {
        let kid = jws.kid.as_deref();
        let mut tried = Vec::new();
        if self.check_fresh().is_ok() {
            for key in self.current().candidates(kid, jws.algorithm) {
                if jws.is_signed_by(key) {
                    return KeyLookup::Found(Arc::clone(key));
                }
                tried.push(Arc::clone(key));
            }
        }
        match &self.remote {
            None if tried.is_empty() => KeyLookup::Refused(TokenError::UnknownKey),
            None => KeyLookup::Refused(TokenError::WrongSignature),
            Some(remote) if tried.is_empty() && remote.is_unknown_kid(kid) => {
                KeyLookup::Refused(TokenError::UnknownKey)
            }
            Some(_) => KeyLookup::RefreshNeeded(tried),
        }
    }

    /// The key that has signed this token, after a refresh. Keys that were `tried` before are not tried again.
    pub(crate) async fn verify_refreshed(
        self: &Arc<Self>,
        jws: &Jws<'_>,
        tried: &[Arc<VerifyingKey>],
    ) -> Result<Arc<VerifyingKey>, Cause> {
        const WRONG: Cause = Cause::InvalidToken(TokenError::WrongSignature);
        const UNKNOWN: Cause = Cause::InvalidToken(TokenError::UnknownKey);
        let kid = jws.kid.as_deref();
        let Some(remote) = &self.remote else { return Err(UNKNOWN) };
        let requested = Instant::now();
        let refreshed = self.refresh(remote).await;
        self.check_fresh()?;
        let keys = self.current();
        let mut candidates = keys.candidates(kid, jws.algorithm).peekable();
        if candidates.peek().is_some() {
            let mut new =
                candidates.filter(|key| !tried.iter().any(|tried| Arc::ptr_eq(tried, key)));
            return new.find(|key| jws.is_signed_by(key)).cloned().ok_or(WRONG);
        }
        match refreshed {
            Refreshed::Current(_) => {
                remote.remember_unknown_kid(kid, requested);
                Err(UNKNOWN)
            }
            Refreshed::Unreachable => Err(remote.unavailable()),
        }
    }

    /// Fetches the keys again, or waits for the running fetch, or returns the last result within the cooldown.
    async fn refresh(self: &Arc<Self>, remote: &Remote) -> Refreshed {
        let flight = {
            let mut state = remote.state();
            let running = state.running.clone().filter(SingleFlight::is_running);
            match (running, state.last) {
                (Some(running), _) => running,
                (None, Some((started, result))) if started.elapsed() < remote.policy.cooldown => {
                    return result;
                }
                (None, _) => {
                    state.last = Some((Instant::now(), Refreshed::Unreachable));
                    let flight = SingleFlight::start(Arc::clone(self).refresh_now());
                    state.running = Some(flight.clone());
                    flight
                }
            }
        };
        flight.wait().await.unwrap_or(Refreshed::Unreachable)
    }

    async fn refresh_now(self: Arc<Self>) -> Refreshed {
        let issuer = self.remote.as_ref().map_or("", |remote| &remote.issuer);
        let refreshed = match self.fetch().await {
            Ok(max_age) => Refreshed::Current(max_age),
            Err(error) => {
                let error = ErrorChain(&error);
                tracing::error!(issuer, %error, "the issuer's keys could not be refreshed; the old keys stay in use");
                Refreshed::Unreachable
            }
        };
        if let Some(remote) = &self.remote {
            let mut state = remote.state();
            state.last = state.last.map(|(started, _)| (started, refreshed));
        }
        refreshed
    }

    /// Fetches the keys and uses them. Returns how long the issuer allows them to be kept.
    async fn fetch(&self) -> Result<Option<Duration>, KeyStoreError> {
        let Some(remote) = &self.remote else { return Ok(None) };
        let url = match &remote.source {
            KeySource::Url(url) => url.clone(),
            KeySource::Discovery | KeySource::Text(_) => {
                let metadata = discover(&remote.client, &remote.issuer).await?;
                let url = metadata.jwks_uri.clone();
                remote.metadata.store(Some(Arc::new(metadata)));
                url
            }
        };
        // An entity tag is valid at its own address only.
        let known = remote.state().etag.clone().filter(|(tagged, _)| *tagged == url);
        let etag = known.as_ref().map(|(_, etag)| etag.as_str());
        let max_age = match fetch(&remote.client, &url, etag).await? {
            Fetched::NotModified { max_age } => max_age,
            Fetched::Document { body, etag, max_age } => {
                match JwkSet::parse(&body) {
                    Ok(new) => {
                        self.replace(remote, new);
                        remote.state().etag = etag.map(|etag| (url, etag));
                    }
                    Err(empty @ JwkSetError::NoUsableKey(_)) => {
                        // The issuer has answered: its old keys are no longer valid.
                        self.replace(remote, JwkSet::default());
                        remote.state().etag = None;
                        return Err(empty.into());
                    }
                    Err(error) => return Err(error.into()),
                }
                max_age
            }
        };
        let age = u64::try_from(remote.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        remote.confirmed.store(age + 1, Ordering::Release);
        Ok(max_age)
    }

    /// Uses a new key set and retires the keys that it lacks.
    fn replace(&self, remote: &Remote, new: JwkSet) {
        let old = self.current();
        let new = new.reusing_keys_from(&old);
        if new.is_same(&old) {
            return;
        }
        tracing::info!(issuer = remote.issuer, keys = ?new, "the issuer's keys have changed");
        remote.state().unknown_kids.clear();
        let new = Arc::new(new);
        self.current.store(Arc::clone(&new));
        old.retire_missing_from(&new);
    }
}

impl Drop for KeyStore {
    fn drop(&mut self) {
        if let Some(task) = self.remote.as_ref().and_then(|remote| remote.schedule.swap(None)) {
            task.abort();
        }
    }
}

/// Refreshes the keys until the key store is dropped.
async fn refresh_on_schedule(keys: Weak<KeyStore>, mut pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(keys) = keys.upgrade() else { return };
        let Some(remote) = &keys.remote else { return };
        pause = match keys.refresh(remote).await {
            Refreshed::Current(max_age) => remote.pause(max_age),
            Refreshed::Unreachable => remote.pause(Some(Duration::ZERO)),
        };
    }
}

impl Remote {
    /// A poisoned lock is usable: the state is plain data and always consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time until the next refresh, if the response may be kept for `max_age`.
    fn pause(&self, max_age: Option<Duration>) -> Duration {
        let RefreshPolicy { cooldown, interval, .. } = self.policy;
        max_age.unwrap_or(interval).min(interval).max(cooldown).max(Duration::from_millis(10))
    }

    /// Whether the scheduled refresh is running. Takes no lock: during an outage, every cached token calls this.
    fn is_scheduled(&self) -> bool {
        self.schedule.load().as_ref().is_some_and(|task| !task.is_finished())
    }

    /// The time since the issuer last confirmed the keys, if it ever has.
    fn age(&self) -> Option<Duration> {
        let millis = self.confirmed.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(millis)))
    }

    /// The refusal while the keys are unavailable, with the seconds until the next attempt.
    fn unavailable(&self) -> Cause {
        let since = self.state().last.map_or(Duration::MAX, |(started, _)| started.elapsed());
        let wait = self.policy.cooldown.saturating_sub(since).as_secs_f64().ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Cause::Unavailable { retry_after: wait.clamp(1.0, 3600.0) as u32 }
    }

    fn is_unknown_kid(&self, kid: Option<&str>) -> bool {
        let state = self.state();
        let until = kid.and_then(|kid| state.unknown_kids.get(kid));
        until.is_some_and(|until| Instant::now() < *until)
    }

    /// Remembers a key id that is missing from a set that was fetched after `requested`.
    fn remember_unknown_kid(&self, kid: Option<&str>, requested: Instant) {
        let Some(kid) = kid.filter(|kid| kid.len() <= MAX_UNKNOWN_KID_LENGTH) else { return };
        let now = Instant::now();
        let mut state = self.state();
        if state.last.is_none_or(|(started, _)| started < requested) {
            return;
        }
        if state.unknown_kids.len() >= MAX_UNKNOWN_KIDS {
            state.unknown_kids.retain(|_, until| now < *until);
        }
        if state.unknown_kids.len() < MAX_UNKNOWN_KIDS {
            state.unknown_kids.insert(kid.to_owned(), now + 2 * self.policy.cooldown);
        }
    }
}
