//! A client of the gRPC service `ext_authz`. It sends the same messages as Envoy.

use crate::server::Answer;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap as RawHeaders, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, OkHttpResponse};
use http::{HeaderMap, HeaderName};
use std::net::SocketAddr;
use tonic::transport::Channel;

/// Sends checks to a gateway over gRPC, with the same messages as Envoy.
#[derive(Debug, Clone)]
pub struct EnvoyClient(AuthorizationClient<Channel>);

/// A client's request, which Envoy describes in a check.
#[derive(Debug, Clone)]
pub struct ClientRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The request target, as in the request line.
    pub target: &'a str,
    /// The header fields.
    pub headers: &'a [(&'a str, &'a str)],
    /// Whether the header fields are sent unmodified, as Envoy does with `encode_raw_headers`.
    pub raw: bool,
}

impl EnvoyClient {
    /// Connects to a gateway.
    ///
    /// # Panics
    /// If the gateway does not listen.
    pub async fn connect(address: SocketAddr) -> Self {
        let connected = AuthorizationClient::connect(format!("http://{address}")).await;
        Self(connected.expect("a connection"))
    }

    /// Sends a check for this request. Returns the headers for the upstream, or the refusal as the client would see it.
    ///
    /// # Panics
    /// If the gateway does not answer, or if its answer is incomplete.
    pub async fn check(&mut self, request: &ClientRequest<'_>) -> Result<OkHttpResponse, Answer> {
        self.check_at("api", request).await
    }

    /// Like [`check`](Self::check), for a request to this host.
    ///
    /// # Panics
    /// If the gateway does not answer, or if its answer is incomplete.
    pub async fn check_at(
        &mut self,
        host: &str,
        request: &ClientRequest<'_>,
    ) -> Result<OkHttpResponse, Answer> {
        let mut http = HttpRequest {
            method: request.method.to_owned(),
            path: request.target.to_owned(),
            host: host.to_owned(),
            ..HttpRequest::default()
        };
        if request.raw {
            let headers = request.headers.iter().map(|(name, value)| HeaderValue {
                key: (*name).to_owned(),
                value: String::new(),
                raw_value: value.as_bytes().to_vec(),
            });
            http.header_map = Some(RawHeaders { headers: headers.collect() });
        } else {
            for (name, value) in request.headers {
                // Envoy joins the values of duplicate fields with a comma.
                let joined = http.headers.entry((*name).to_owned()).or_default();
                *joined =
                    if joined.is_empty() { (*value).into() } else { format!("{joined},{value}") };
            }
        }
        let request = Some(Request { http: Some(http), ..Request::default() });
        let attributes = Some(AttributeContext { request, ..AttributeContext::default() });
        let answer = self.0.check(CheckRequest { attributes }).await.expect("an answer");
        let answer = answer.into_inner();
        let allowed = answer.status.expect("a status").code == 0;
        match answer.http_response.expect("a response") {
            HttpResponse::OkResponse(ok) if allowed => Ok(ok),
            HttpResponse::DeniedResponse(denied) if !allowed => {
                let mut headers = HeaderMap::new();
                for option in denied.headers {
                    let header = option.header.expect("a header");
                    let name = HeaderName::try_from(header.key).expect("a name");
                    headers.append(name, header.value.parse().expect("a value"));
                }
                let code = denied.status.expect("a status").code;
                let status = u16::try_from(code).expect("an HTTP status");
                Err(Answer { status, headers, body: denied.body })
            }
            other => panic!("status and response contradict each other: {other:?}"),
        }
    }
}
