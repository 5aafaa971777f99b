//! An HTTP server with scripted responses, for issuers that are slow, broken or hostile.

use crate::paused_time::eventually;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How the server responds to a request.
#[derive(Debug, Clone)]
pub enum Response {
    /// Sends this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Waits, then responds in another way.
    After(Duration, Box<Response>),
    /// Waits until the test releases the hold, then responds in another way.
    Held(Hold, Box<Response>),
    /// Accepts the request and never answers.
    Hang,
    /// Announces the length of the whole body, sends half of it and closes the connection.
    HalfBody(Vec<u8>),
    /// Sends one byte of the body at a time, with this pause after each byte.
    Drip(Vec<u8>, Duration),
    /// Sends this many spaces and then the body, without a `Content-Length`.
    Padded(usize, Vec<u8>),
    /// Closes the connection without a response.
    Close,
}

impl Response {
    /// A response with a JSON document.
    pub fn json(value: &serde_json::Value) -> Self {
        let kind = ("content-type", "application/json".to_owned());
        Self::Answer(200, vec![kind], value.to_string().into_bytes())
    }

    /// A redirect to this URL.
    pub fn redirect(to: &str) -> Self {
        Self::Answer(302, vec![("location", to.to_owned())], Vec::new())
    }

    /// A response with this status and a short text.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), b"no".to_vec())
    }
}

/// Holds back responses until a test releases them.
#[derive(Debug, Clone, Default)]
pub struct Hold(watch::Sender<bool>);

impl Hold {
    /// Lets all responses that wait for this hold continue.
    pub fn release(&self) {
        self.0.send_replace(true);
    }

    async fn released(&self) {
        // The sender lives as long as `self`, so the wait does not fail.
        let _ = self.0.subscribe().wait_for(|released| *released).await;
    }
}

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// The header fields, with names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: String,
}

type Responses = Arc<Mutex<HashMap<String, Response>>>;

/// An HTTP server with a scripted response for each path. It stops when it is dropped.
#[derive(Debug)]
pub struct FakeIssuer {
    /// Its URL, which is also the issuer identifier.
    pub url: String,
    responses: Responses,
    requests: Arc<Mutex<Vec<Request>>>,
    task: AbortHandle,
}

impl FakeIssuer {
    /// Starts a server that responds to every request with 404.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let responses = Responses::default();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (serving, seen) = (Arc::clone(&responses), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving), Arc::clone(&seen)));
            }
        });
        Self { url, responses, requests, task: task.abort_handle() }
    }

    /// Sets the response for this path from now on.
    ///
    /// # Panics
    /// If another thread panicked while it held the lock.
    pub fn on(&self, path: &str, response: Response) {
        self.responses.lock().expect("no panic").insert(path.to_owned(), response);
    }

    /// Waits until the server has received more than this number of requests for this path.
    pub async fn wait_for_requests(&self, path: &str, more_than: usize) {
        eventually(async || self.requests(path).len() > more_than).await;
    }

    /// The requests for this path so far.
    ///
    /// # Panics
    /// If another thread panicked while it held the lock.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.requests.lock().expect("no panic");
        let path = format!(" {path}");
        requests.iter().filter(|request| request.line.ends_with(&path)).cloned().collect()
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    responses: Responses,
    seen: Arc<Mutex<Vec<Request>>>,
) -> Option<()> {
    let request = read(&mut stream).await?;
    let path = request.line.split(' ').nth(1)?.to_owned();
    seen.lock().ok()?.push(request);
    let response = responses.lock().ok()?.get(&path).cloned();
    let mut response = response.unwrap_or(Response::status(404));
    loop {
        response = match response {
            Response::After(pause, then) => {
                tokio::time::sleep(pause).await;
                *then
            }
            Response::Held(hold, then) => {
                hold.released().await;
                *then
            }
            _ => break,
        };
    }
    match response {
        Response::Answer(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            if status != 304 {
                let _ = write!(head, "content-length: {}\r\n", body.len());
            }
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(b"\r\n").await.ok()?;
            stream.write_all(&body).await.ok()?;
        }
        Response::Hang => std::future::pending().await,
        Response::HalfBody(body) => {
            stream.write_all(head(body.len()).as_bytes()).await.ok()?;
            stream.write_all(&body[..body.len() / 2]).await.ok()?;
        }
        Response::Drip(body, pause) => {
            stream.write_all(head(body.len()).as_bytes()).await.ok()?;
            for byte in body {
                stream.write_all(&[byte]).await.ok()?;
                tokio::time::sleep(pause).await;
            }
        }
        Response::Padded(length, body) => {
            stream.write_all(b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n").await.ok()?;
            let chunk = vec![b' '; 64 * 1024];
            for _ in 0..length / chunk.len() {
                stream.write_all(&chunk).await.ok()?;
            }
            stream.write_all(&body).await.ok()?;
        }
        Response::Close | Response::After(..) | Response::Held(..) => {}
    }
    stream.shutdown().await.ok()
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.rsplit_once(' ')?.0.to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Some(Request { line, headers, body })
}
