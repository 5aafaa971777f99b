//! Runs a router on a real socket, and sends requests to it.

use axum::Router;
use http::HeaderMap;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A router that listens on a free loopback port until the handle is dropped.
#[derive(Debug)]
pub struct Server {
    /// The address of the router.
    pub address: SocketAddr,
    task: AbortHandle,
}

/// An HTTP response with its complete body.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Server {
    /// Starts a server with this router.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(app: Router) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let task = tokio::spawn(async move {
            // The server runs until the task is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Self { address, task: task.abort_handle() }
    }

    /// The URL of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request with this bearer token.
    ///
    /// # Panics
    /// If the server does not respond.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>) -> Answer {
        let client = reqwest::Client::new();
        let method = method.parse().expect("an HTTP method");
        let mut request = client.request(method, self.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Answer::of(request).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answer {
    /// Sends a request and reads the response.
    ///
    /// # Panics
    /// If the server does not respond.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.expect("a body of text");
        Self { status, headers, body }
    }

    /// The value of a header.
    ///
    /// # Panics
    /// If the header is duplicated or is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "duplicate header {name}");
        Some(first.to_str().expect("a header of text"))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The scheme and the parameters of the challenge, in order.
    ///
    /// # Panics
    /// If the challenge is malformed.
    pub fn challenge(&self) -> Option<(String, Vec<(String, String)>)> {
        let value = self.header("www-authenticate")?;
        let (scheme, mut rest) = value.split_once(' ').unwrap_or((value, ""));
        let mut parameters = Vec::new();
        while !rest.is_empty() {
            let (name, quoted) = rest.split_once("=\"").expect("name=\"value\"");
            let (text, behind) = quoted.split_once('"').expect("a closing quote");
            parameters.push((name.to_owned(), text.to_owned()));
            rest = match behind.strip_prefix(", ") {
                Some(next) => next,
                None => {
                    assert!(behind.is_empty(), "unexpected text in a challenge: {behind}");
                    ""
                }
            };
        }
        Some((scheme.to_owned(), parameters))
    }

    /// One parameter of the challenge.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, parameters) = self.challenge()?;
        parameters.into_iter().find(|(known, _)| known == name).map(|(_, text)| text)
    }
}
