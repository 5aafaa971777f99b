//! The routes that receive signals from identity providers.

use crate::enforcement::step_up::StepUp;
use crate::signal::receiver::{LONGEST_SIGNAL, SIGNAL_PATHS};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use http::{HeaderMap, Response};
use std::sync::atomic::Ordering;

impl StepUp {
    /// Routes that receive signals: `POST /signals/events` (pushed security events, RFC 8935) and `POST /signals/logout`
    /// (OpenID Connect Back-Channel Logout). Each signal is authenticated by its signature, so the routes need no access
    /// token, and no endpoint in the contract. Merge them at the root of the server.
    ///
    /// # Panics
    /// If the builder has no [`sessions`](crate::Builder::sessions).
    pub fn signal_routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        assert!(
            self.0.sessions.is_some(),
            "signal_routes() needs a session log; call StepUp::builder().sessions(Sessions::open(\"sessions.redb\")?)"
        );
        self.0.signals.mounted.store(true, Ordering::Relaxed);
        let (events, logouts) = (self.clone(), self.clone());
        let [events_path, logouts_path] = SIGNAL_PATHS;
        let receive_event = async move |headers: HeaderMap, body: Bytes| -> Response<Body> {
            events.receive_event(&headers, &body).await.map(Body::from)
        };
        let receive_logout = async move |body: Bytes| -> Response<Body> {
            logouts.receive_logout(&body).await.map(Body::from)
        };
        Router::new()
            .route(events_path, post(receive_event))
            .route(logouts_path, post(receive_logout))
            .layer(DefaultBodyLimit::max(LONGEST_SIGNAL))
    }
}
