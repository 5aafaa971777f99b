//! Checks over gRPC: Envoy's `ext_authz`, version 3.

use crate::gateway::authorizer::Authorizer;
use crate::gateway::identity_headers::identity_headers;
use crate::request::client_request::{ClientRequest, parse_target};
use crate::settings::listen::Mode;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue as Header, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::rpc::Status;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use stepup_runtime::{Admission, Cause, InvalidRequest, Refusal};
use tokio::time::timeout;
use tonic::Code;

/// The most header bytes that are read before a refusal; Envoy itself allows 60 KiB by default.
const READ_LIMIT: usize = 128 * 1024;

/// The time limit of a check, from its first byte to the response.
const CHECK_TIME: Duration = Duration::from_secs(30);

/// Answers the checks of one listener.
pub(crate) fn service(
    authorizer: Arc<Authorizer>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<tonic::body::Body>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    // The headers in up to two forms, and attributes of Envoy.
    let longest = authorizer.header_bytes.max(READ_LIMIT).saturating_mul(3);
    let server = AuthorizationServer::new(Envoy(authorizer));
    let server = TowerToHyperService::new(server.max_decoding_message_size(longest));
    service_fn(move |check: Request<Incoming>| {
        let answer = server.call(check);
        async move {
            let late = || tonic::Status::deadline_exceeded("the check took too long").into_http();
            timeout(CHECK_TIME, answer).await.unwrap_or_else(|_| Ok(late()))
        }
    })
}

/// The authorization service that Envoy calls.
pub(crate) struct Envoy(Arc<Authorizer>);

#[tonic::async_trait]
impl Authorization for Envoy {
    async fn check(
        &self,
        check: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        let request = check.into_inner().attributes.and_then(|a| a.request);
        let Some(request) = request.and_then(|request| request.http) else {
            return Err(tonic::Status::invalid_argument("the check contains no HTTP request"));
        };
        let request = client_request(&request).map_err(Cause::from);
        let answer = match self.0.authorize(Mode::EnvoyGrpc, request).await {
            Ok(admission) => self.allowed(&admission),
            Err(refusal) => refused(&refusal),
        };
        Ok(tonic::Response::new(answer))
    }
}

impl Envoy {
    fn allowed(&self, admission: &Admission) -> CheckResponse {
        let unsent = self.0.identity.unsent();
        let mut headers_to_remove: Vec<String> =
            unsent.map(|name| name.as_str().to_owned()).collect();
        let mut headers = Vec::with_capacity(self.0.identity.sent().len());
        for (name, value) in identity_headers(&self.0.identity, admission) {
            if value.is_empty() {
                headers_to_remove.push(name.as_str().to_owned());
            } else {
                headers.push(header(name.as_str(), String::from_utf8_lossy(&value).into_owned()));
            }
        }
        let ok = OkHttpResponse { headers, headers_to_remove, ..OkHttpResponse::default() };
        answer(Code::Ok, HttpResponse::OkResponse(ok))
    }
}

fn refused(refusal: &Refusal) -> CheckResponse {
    let (head, body) = Response::into_parts(refusal.to_response());
    let headers = head.headers.iter().map(|(name, value)| {
        header(name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: head.status.as_u16().into() }),
        headers: headers.collect(),
        body,
    };
    answer(Code::PermissionDenied, HttpResponse::DeniedResponse(denied))
}

fn answer(code: Code, response: HttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(Status { code: code as i32, ..Status::default() }),
        dynamic_metadata: None,
        http_response: Some(response),
    }
}

/// A header that replaces all others of its name.
fn header(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(Header { key: name.to_owned(), value, raw_value: Vec::new() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

/// The request's headers: with `encode_raw_headers` each as it was sent, otherwise those of one name joined by commas.
fn fields(request: &HttpRequest) -> impl Iterator<Item = (&str, &[u8])> {
    let raw = request.header_map.iter().flat_map(|map| &map.headers).map(|header| {
        let raw = header.raw_value.as_slice();
        (header.key.as_str(), if raw.is_empty() { header.value.as_bytes() } else { raw })
    });
    let joined = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    raw.chain(joined)
}

/// The client's request.
fn client_request(request: &HttpRequest) -> Result<ClientRequest, InvalidRequest> {
    let method = Method::from_bytes(request.method.as_bytes());
    let method = method.map_err(|_| InvalidRequest::Method)?;
    let target = parse_target(request.path.as_bytes())?;
    // Envoy replaces bytes that are not UTF-8 with `!` in the path, and not in the header.
    let odd =
        fields(request).any(|(name, value)| name == ":path" && value != request.path.as_bytes());
    if odd {
        return Err(InvalidRequest::Target);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in fields(request).filter(|(name, _)| !name.starts_with(':')) {
        let name = HeaderName::try_from(name).map_err(|_| InvalidRequest::Header)?;
        let value = HeaderValue::from_bytes(value);
        let value = value.map_err(|_| InvalidRequest::Header)?;
        headers.try_append(name, value).map_err(|_| InvalidRequest::TooManyHeaders)?;
    }
    // Envoy sends the host as a pseudo-header; the host is checked as in the other modes.
    if !headers.contains_key(HOST) && !request.host.is_empty() {
        let host = HeaderValue::from_str(&request.host).map_err(|_| InvalidRequest::Header)?;
        headers.insert(HOST, host);
    }
    Ok(ClientRequest { method, target, headers })
}
