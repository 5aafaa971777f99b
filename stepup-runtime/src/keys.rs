//! An issuer's keys and their renewal: on a schedule, and when a token comes whose key is unknown or
//! whose signature a known key does not confirm. At most one fetch per cooldown, once for all who
//! wait, in a task of its own. No lock is held across a fetch. A failure keeps the old keys, until
//! they have not been confirmed for too long; a set without a usable key is no failure, but withdraws
//! them.

use crate::discovery::{Metadata, discover};
use crate::flight::Flight;
use crate::http_client::{FetchError, Fetched, client, fetch};
use crate::jwks::{Key, KeySet, KeySetError};
use crate::jws::Jws;
use crate::refusal::Cause;
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

/// Where the keys are found.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// In the issuer's discovery document.
    Discovery,
    /// At this URL.
    Url(String),
    /// In this text; there is nothing to fetch.
    Given(String),
}

/// How keys are renewed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renewal {
    /// The shortest time between two fetches.
    pub(crate) cooldown: Duration,
    /// The longest time between two fetches.
    pub(crate) interval: Duration,
    /// How long keys serve that could not be confirmed.
    pub(crate) max_stale: Duration,
    /// Whether a program may start without keys.
    pub(crate) lazy: bool,
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(30),
            interval: Duration::from_secs(600),
            max_stale: Duration::from_secs(24 * 3600),
            lazy: false,
        }
    }
}

/// Why an issuer's keys could not be had.
#[derive(Debug, Error)]
pub(crate) enum KeysError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{url}: {why}")]
    Document { url: String, why: String },
    #[error(transparent)]
    Set(#[from] KeySetError),
}

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct Keys {
    current: ArcSwap<KeySet>,
    remote: Option<Remote>,
}

/// An issuer from which keys are fetched.
#[derive(Debug)]
struct Remote {
    client: Client,
    issuer: String,
    location: Location,
    renewal: Renewal,
    state: Mutex<State>,
    metadata: ArcSwapOption<Metadata>,
    started: Instant,
    /// When the issuer last confirmed the keys, in milliseconds after `started`, plus one; 0: never.
    confirmed: AtomicU64,
    /// The task that renews on schedule.
    schedule: ArcSwapOption<AbortHandle>,
}

/// What the renewals have come to.
#[derive(Debug, Default)]
struct State {
    /// When the last one began, and what it came to.
    last: Option<(Instant, Renewed)>,
    running: Option<Flight<Renewed>>,
    /// The set's address and the tag that it had there.
    tag: Option<(String, String)>,
    /// Until when these key ids are known to be unknown, so that they cost no further fetch.
    unknown: HashMap<String, Instant>,
}

/// What a renewal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewed {
    /// The issuer was heard within the cooldown: its keys are what we have. It allows them to be
    /// kept for so long.
    Current(Option<Duration>),
    /// The issuer could not be heard.
    Unreachable,
}

/// Most key ids that are remembered as unknown, and the longest of them.
const MAX_UNKNOWN: usize = 1000;
const MAX_UNKNOWN_LENGTH: usize = 128;

impl Keys {
    /// Gets the keys for the first time, and renews them from then on.
    pub(crate) async fn load(
        issuer: &str,
        location: Location,
        renewal: Renewal,
    ) -> Result<Arc<Self>, KeysError> {
        if let Location::Given(text) = &location {
            let current = ArcSwap::from_pointee(KeySet::parse(text.as_bytes())?);
            return Ok(Arc::new(Self { current, remote: None }));
        }
        let address = if let Location::Url(url) = &location { url } else { issuer };
        let remote = Remote {
            client: client(address)?,
            issuer: issuer.to_owned(),
            location,
            renewal,
            state: Mutex::default(),
            metadata: ArcSwapOption::empty(),
            started: Instant::now(),
            confirmed: AtomicU64::new(0),
            schedule: ArcSwapOption::empty(),
        };
        let keys = Arc::new(Self { current: ArcSwap::default(), remote: Some(remote) });
        let first = match keys.fetch().await {
            Ok(max_age) => max_age,
            Err(why) if renewal.lazy => {
                tracing::error!(issuer, %why, "starting without the issuer's keys, as .lazy() asks");
                Some(Duration::ZERO)
            }
            Err(why) => return Err(why),
        };
        if let Some(remote) = &keys.remote {
            keys.schedule(remote, remote.pause(first));
        }
        Ok(keys)
    }

    /// Renews on schedule from now on, unless that is done already.
    fn schedule(self: &Arc<Self>, remote: &Remote, pause: Duration) {
        let _one_at_a_time = remote.state();
        if let Ok(runtime) = Handle::try_current()
            && !remote.is_scheduled()
        {
            let task = runtime.spawn(on_schedule(Arc::downgrade(self), pause));
            remote.schedule.store(Some(Arc::new(task.abort_handle())));
        }
    }

    /// The keys at hand.
    pub(crate) fn current(&self) -> Arc<KeySet> {
        self.current.load_full()
    }

    /// What the issuer says of itself, where it was asked.
    pub(crate) fn metadata(&self) -> Option<Arc<Metadata>> {
        self.remote.as_ref().and_then(|remote| remote.metadata.load_full())
    }

    /// Whether the keys may be used: the issuer has confirmed them, not too long ago.
    pub(crate) fn check_fresh(self: &Arc<Self>) -> Result<(), Cause> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let Renewal { cooldown, interval, max_stale, .. } = remote.renewal;
        match remote.age() {
            Some(age) if age < max_stale => {
                // Overdue: an outage, or the runtime in which they were renewed is gone.
                if age > 2 * (interval + cooldown) && !remote.is_scheduled() {
                    self.schedule(remote, Duration::ZERO);
                }
                Ok(())
            }
            _ => Err(remote.unavailable()),
        }
    }

    /// Checks a signature. Gets the keys anew, once, when they do not confirm it: the key may be
    /// new, or be known with other numbers.
    pub(crate) async fn verify(self: &Arc<Self>, jws: &Jws<'_>) -> Result<Arc<Key>, Cause> {
        const WRONG: Cause = Cause::InvalidToken("the token's signature is wrong");
        const UNKNOWN: Cause = Cause::InvalidToken("the token's key is not known");
        let kid = jws.kid.as_deref();
        let mut tried = Vec::new();
        if self.check_fresh().is_ok() {
            for key in self.current().meant(kid, jws.algorithm) {
                if jws.is_signed_by(key) {
                    return Ok(Arc::clone(key));
                }
                tried.push(Arc::clone(key));
            }
        }
        let Some(remote) = &self.remote else {
            return Err(if tried.is_empty() { UNKNOWN } else { WRONG });
        };
        if tried.is_empty() && remote.is_known_unknown(kid) {
            return Err(UNKNOWN);
        }
        let asked = Instant::now();
        let renewed = self.renew(remote).await;
        self.check_fresh()?;
        let keys = self.current();
        let mut meant = keys.meant(kid, jws.algorithm).peekable();
        if meant.peek().is_some() {
            let mut new = meant.filter(|key| !tried.iter().any(|tried| Arc::ptr_eq(tried, key)));
            return new.find(|key| jws.is_signed_by(key)).cloned().ok_or(WRONG);
        }
        match renewed {
            Renewed::Current(_) => {
                remote.remember_unknown(kid, asked);
                Err(UNKNOWN)
            }
            Renewed::Unreachable => Err(remote.unavailable()),
        }
    }

    /// Fetches the keys again, or waits for the fetch that runs, or tells what the last one came to
    /// when that is not long ago.
    async fn renew(self: &Arc<Self>, remote: &Remote) -> Renewed {
        let flight = {
            let mut state = remote.state();
            let running = state.running.clone().filter(Flight::is_under_way);
            match (running, state.last) {
                (Some(running), _) => running,
                (None, Some((began, came_to))) if began.elapsed() < remote.renewal.cooldown => {
                    return came_to;
                }
                (None, _) => {
                    state.last = Some((Instant::now(), Renewed::Unreachable));
                    let flight = Flight::start(Arc::clone(self).renewal());
                    state.running = Some(flight.clone());
                    flight
                }
            }
        };
        flight.landed().await.unwrap_or(Renewed::Unreachable)
    }

    async fn renewal(self: Arc<Self>) -> Renewed {
        let issuer = self.remote.as_ref().map_or("", |remote| &remote.issuer);
        let renewed = match self.fetch().await {
            Ok(max_age) => Renewed::Current(max_age),
            Err(error) => {
                tracing::error!(issuer, %error, "the keys could not be renewed; the old ones stay");
                Renewed::Unreachable
            }
        };
        if let Some(remote) = &self.remote {
            let mut state = remote.state();
            state.last = state.last.map(|(began, _)| (began, renewed));
        }
        renewed
    }

    /// Fetches the keys and puts them in use. Tells how long the issuer allows them to be kept.
    async fn fetch(&self) -> Result<Option<Duration>, KeysError> {
        let Some(remote) = &self.remote else { return Ok(None) };
        let url = match &remote.location {
            Location::Url(url) => url.clone(),
            Location::Discovery | Location::Given(_) => {
                let metadata = discover(&remote.client, &remote.issuer).await?;
                let url = metadata.jwks_uri.clone();
                remote.metadata.store(Some(Arc::new(metadata)));
                url
            }
        };
        // A tag says something of the document at its own address only.
        let known = remote.state().tag.clone().filter(|(tagged, _)| *tagged == url);
        let tag = known.as_ref().map(|(_, tag)| tag.as_str());
        let max_age = match fetch(&remote.client, &url, tag).await? {
            Fetched::NotModified { max_age } => max_age,
            Fetched::Document { body, etag, max_age } => {
                match KeySet::parse(&body) {
                    Ok(new) => {
                        self.replace(remote, new);
                        remote.state().tag = etag.map(|tag| (url, tag));
                    }
                    Err(none @ KeySetError::NoneUsable(_)) => {
                        // That is no outage: the issuer says that the keys it had are its no more.
                        self.replace(remote, KeySet::default());
                        remote.state().tag = None;
                        return Err(none.into());
                    }
                    Err(odd) => return Err(odd.into()),
                }
                max_age
            }
        };
        let age = u64::try_from(remote.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        remote.confirmed.store(age + 1, Ordering::Release);
        Ok(max_age)
    }

    /// Puts a set in use, and withdraws what it holds no more.
    fn replace(&self, remote: &Remote, new: KeySet) {
        let old = self.current();
        let new = new.continuing(&old);
        if new.is_same(&old) {
            return;
        }
        tracing::info!(issuer = remote.issuer, keys = ?new, "the issuer's keys are new");
        remote.state().unknown.clear();
        let new = Arc::new(new);
        self.current.store(Arc::clone(&new));
        old.withdraw_for(&new);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(task) = self.remote.as_ref().and_then(|remote| remote.schedule.swap(None)) {
            task.abort();
        }
    }
}

/// Renews the keys again and again, until nobody uses them any more.
async fn on_schedule(keys: Weak<Keys>, mut pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(keys) = keys.upgrade() else { return };
        let Some(remote) = &keys.remote else { return };
        pause = match keys.renew(remote).await {
            Renewed::Current(max_age) => remote.pause(max_age),
            Renewed::Unreachable => remote.pause(Some(Duration::ZERO)),
        };
    }
}

impl Remote {
    /// A poisoned lock holds plain data that is right at any time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait for the next renewal, where the answer may be kept for this long.
    fn pause(&self, max_age: Option<Duration>) -> Duration {
        let Renewal { cooldown, interval, .. } = self.renewal;
        max_age.unwrap_or(interval).min(interval).max(cooldown).max(Duration::from_millis(10))
    }

    /// Whether the keys are renewed on schedule. Takes no lock: hits come here during an outage.
    fn is_scheduled(&self) -> bool {
        self.schedule.load().as_ref().is_some_and(|task| !task.is_finished())
    }

    /// How long ago the issuer has confirmed the keys, if it ever has.
    fn age(&self) -> Option<Duration> {
        let millis = self.confirmed.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(millis)))
    }

    /// The refusal while the keys cannot be had, with the seconds until the next attempt.
    fn unavailable(&self) -> Cause {
        let since = self.state().last.map_or(Duration::MAX, |(began, _)| began.elapsed());
        let wait = self.renewal.cooldown.saturating_sub(since).as_secs_f64().ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Cause::Unavailable { retry_after: wait.clamp(1.0, 3600.0) as u32 }
    }

    fn is_known_unknown(&self, kid: Option<&str>) -> bool {
        let state = self.state();
        let until = kid.and_then(|kid| state.unknown.get(kid));
        until.is_some_and(|until| Instant::now() < *until)
    }

    /// Remembers a key id that a fetch begun after `asked` has not brought.
    fn remember_unknown(&self, kid: Option<&str>, asked: Instant) {
        let Some(kid) = kid.filter(|kid| kid.len() <= MAX_UNKNOWN_LENGTH) else { return };
        let now = Instant::now();
        let mut state = self.state();
        if state.last.is_none_or(|(began, _)| began < asked) {
            return;
        }
        if state.unknown.len() >= MAX_UNKNOWN {
            state.unknown.retain(|_, until| now < *until);
        }
        if state.unknown.len() < MAX_UNKNOWN {
            state.unknown.insert(kid.to_owned(), now + 2 * self.renewal.cooldown);
        }
    }
}
