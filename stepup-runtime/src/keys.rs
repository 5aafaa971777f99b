//! Where an issuer's keys come from, and their renewal. A token with an unknown key id makes the
//! set be fetched again: at most once per cooldown, once for all waiting requests, in a task of its
//! own that no client's disconnect cancels. No lock is held across the fetch, and a failure keeps
//! the old keys.

use crate::http_client::{FetchError, client, fetch};
use crate::jwks::{KeySet, KeySetError};
use arc_swap::ArcSwap;
use reqwest::Client;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stepup_contract::parse_strict;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

/// Where the keys are found.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// In the issuer's OpenID Connect discovery document.
    Discovery,
    /// At this URL.
    Url(String),
    /// In this text; there is nothing to fetch.
    Given(String),
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
    remote: Option<Arc<Remote>>,
}

#[derive(Debug)]
struct Remote {
    client: Client,
    issuer: String,
    location: Location,
    cooldown: Duration,
    renewal: Mutex<Renewal>,
}

/// The last or the running renewal.
#[derive(Debug)]
struct Renewal {
    /// When the last one began, and whether it brought a key set; false while it runs.
    last: Option<(Instant, bool)>,
    running: Option<watch::Receiver<()>>,
}

/// What a renewal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// The issuer was heard within the cooldown: its keys are what we have.
    Current,
    /// The issuer could not be heard.
    Unreachable,
}

impl Keys {
    /// Gets the keys for the first time.
    pub(crate) async fn load(
        issuer: &str,
        location: Location,
        cooldown: Duration,
    ) -> Result<Arc<Self>, KeysError> {
        if let Location::Given(text) = &location {
            let current = ArcSwap::from_pointee(KeySet::parse(text.as_bytes())?);
            return Ok(Arc::new(Self { current, remote: None }));
        }
        let renewal = Mutex::new(Renewal { last: None, running: None });
        let issuer = issuer.to_owned();
        let remote = Remote { client: client()?, issuer, location, cooldown, renewal };
        let current = ArcSwap::from_pointee(remote.fetch().await?);
        Ok(Arc::new(Self { current, remote: Some(Arc::new(remote)) }))
    }

    /// The keys at hand.
    pub(crate) fn current(&self) -> Arc<KeySet> {
        self.current.load_full()
    }

    /// Fetches the keys again, or waits for the fetch that runs, or tells what the last one came to
    /// when that is not long ago.
    pub(crate) async fn renew(self: &Arc<Self>) -> Renewed {
        let Some(remote) = &self.remote else { return Renewed::Current };
        let running = {
            let mut renewal = remote.renewal();
            // A task that has ended, however it ended, has dropped its end of the channel.
            let running = renewal.running.as_ref().filter(|running| running.has_changed().is_ok());
            match (running, renewal.last) {
                (Some(running), _) => Some(running.clone()),
                (None, Some((began, _))) if began.elapsed() < remote.cooldown => None,
                (None, _) => {
                    let (done, running) = watch::channel(());
                    renewal.running = Some(running.clone());
                    renewal.last = Some((Instant::now(), false));
                    tokio::spawn(Arc::clone(self).renewal(Arc::clone(remote), done));
                    Some(running)
                }
            }
        };
        if let Some(mut running) = running {
            // Nothing is ever sent; the error says that the task has ended.
            while running.changed().await.is_ok() {}
        }
        match remote.renewal().last {
            Some((_, true)) => Renewed::Current,
            _ => Renewed::Unreachable,
        }
    }

    async fn renewal(self: Arc<Self>, remote: Arc<Remote>, done: watch::Sender<()>) {
        let outcome = remote.fetch().await;
        let heard = outcome.is_ok();
        match outcome {
            Ok(keys) => {
                tracing::info!(issuer = remote.issuer, ?keys, "the issuer's keys were renewed");
                self.current.store(Arc::new(keys));
            }
            Err(error) => tracing::error!(
                issuer = remote.issuer,
                %error,
                "the issuer's keys could not be renewed; the old ones stay"
            ),
        }
        let mut renewal = remote.renewal();
        renewal.last = renewal.last.map(|(began, _)| (began, heard));
        drop(renewal);
        drop(done);
    }
}

impl Remote {
    /// A poisoned lock holds plain data that is right at any time.
    fn renewal(&self) -> std::sync::MutexGuard<'_, Renewal> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<KeySet, KeysError> {
        let url = match &self.location {
            Location::Url(url) => url.clone(),
            Location::Discovery | Location::Given(_) => self.discover().await?,
        };
        let text = fetch(&self.client, &url).await?;
        Ok(KeySet::parse(&text)?)
    }

    /// The `jwks_uri` of the issuer's discovery document, which must name this very issuer (OpenID
    /// Connect Discovery §4.3).
    async fn discover(&self) -> Result<String, KeysError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let text = fetch(&self.client, &url).await?;
        let wrong = |why: String| KeysError::Document { url: url.clone(), why };
        let document = parse_strict(&text).map_err(|why| wrong(why.to_string()))?;
        let field = |name| document.get(name).and_then(Value::as_str);
        match field("issuer") {
            Some(issuer) if issuer == self.issuer => {}
            Some(other) => {
                return Err(wrong(format!(
                    "names the issuer {other:?}, not {:?}; give Issuer::new the exact name",
                    self.issuer
                )));
            }
            None => return Err(wrong("names no `issuer`".into())),
        }
        field("jwks_uri").map(str::to_owned).ok_or_else(|| wrong("names no `jwks_uri`".into()))
    }
}
