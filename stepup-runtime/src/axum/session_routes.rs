//! Ready routes for a page with "your active sessions".

use crate::axum::request::request_head;
use crate::enforcement::principal::Principal;
use crate::enforcement::step_up::StepUp;
use crate::refusal::{Cause, Refusal};
use crate::session::directory::SessionRecord;
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use std::sync::atomic::Ordering;
use stepup_contract::{Endpoint, Requirement};

impl StepUp {
    /// Routes for a page with "your active sessions": `GET /sessions` lists the caller's own sessions as JSON, and `DELETE
    /// /sessions/{id}` ends one of them (204; 404 if it is not the caller's). They require a valid token, and need no
    /// endpoint in the contract. Merge them at the root of the server.
    ///
    /// A session appears when this instance verifies one of its tokens with a `sid`. Behind a load balancer, each instance
    /// lists what it has seen itself; ending a session is in force at all of them.
    ///
    /// # Panics
    /// If the builder has no [`sessions`](crate::Builder::sessions).
    pub fn session_routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        assert!(
            self.0.sessions.is_some(),
            "session_routes() needs a session log; call StepUp::builder().sessions(Sessions::open(\"sessions.redb\")?)"
        );
        self.0.session_routes_mounted.store(true, Ordering::Relaxed);
        let (lists, ends) = (self.clone(), self.clone());
        let list = async move |head: Parts| match lists.caller(&head).await {
            Ok(caller) => listed(&lists, &caller),
            Err(refusal) => refusal.into_response(),
        };
        let end = async move |Path(id): Path<String>, head: Parts| match ends.caller(&head).await {
            Ok(caller) => ended(&ends, &caller, &id).await,
            Err(refusal) => refusal.into_response(),
        };
        Router::new().route("/sessions", get(list)).route("/sessions/{id}", delete(end))
    }

    /// The caller, if its token is valid.
    async fn caller(&self, head: &Parts) -> Result<Principal, Refusal> {
        let endpoint = Endpoint::new(head.uri.path(), Requirement::default());
        let caller = self.enforce(&endpoint, request_head(head)).await?;
        caller.ok_or_else(|| Refusal::from(Cause::CredentialRequired))
    }
}

fn listed(step_up: &StepUp, caller: &Principal) -> Response {
    let records = step_up.sessions().list(caller.issuer(), caller.subject());
    let sessions = records.iter().map(|record| {
        json!({
            "id": record.id(),
            "current": caller.session() == Some(&record.sid),
            "client": record.client,
            "amr": record.amr,
            "acr": record.acr,
            "first_seen": record.first_seen,
            "last_seen": record.last_seen,
            "last_authenticated": record.last_authenticated,
            "address": record.address,
            "user_agent": record.user_agent,
        })
    });
    let body = json!({"sessions": sessions.collect::<Vec<_>>()}).to_string();
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn ended(step_up: &StepUp, caller: &Principal, id: &str) -> Response {
    let sessions = step_up.sessions();
    let records = sessions.list(caller.issuer(), caller.subject());
    let Some(record) = records.iter().find(|record| record.id() == id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match sessions.revoke(SessionRecord::target(record), "ended by the user").await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        // The log says why. The client can try again.
        Err(_) => Refusal::from(Cause::Unavailable { retry_after: 1 }).into_response(),
    }
}
