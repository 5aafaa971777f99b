//! A client of `ext_authz` over gRPC, as Envoy is one.

use crate::server::Answer;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap as RawHeaders, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, OkHttpResponse};
use http::{HeaderMap, HeaderName};
use std::net::SocketAddr;
use tonic::transport::Channel;

/// See the module.
#[derive(Debug, Clone)]
pub struct EnvoyClient(AuthorizationClient<Channel>);

/// What a client's request is.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The target, as it stands in the request line.
    pub target: &'a str,
    /// The header fields.
    pub headers: &'a [(&'a str, &'a str)],
    /// Whether they are sent as they came, under `encode_raw_headers`.
    pub raw: bool,
}

impl EnvoyClient {
    /// Connects to a gateway.
    ///
    /// # Panics
    /// When it does not listen.
    pub async fn connect(address: SocketAddr) -> Self {
        let connected = AuthorizationClient::connect(format!("http://{address}")).await;
        Self(connected.expect("a connection"))
    }

    /// Asks, and gives what is let through, or the refusal as a client would see it.
    ///
    /// # Panics
    /// When it does not answer, or in no such way.
    pub async fn check(&mut self, asked: &Asked<'_>) -> Result<OkHttpResponse, Answer> {
        let mut http = HttpRequest {
            method: asked.method.to_owned(),
            path: asked.target.to_owned(),
            ..HttpRequest::default()
        };
        if asked.raw {
            let headers = asked.headers.iter().map(|(name, value)| HeaderValue {
                key: (*name).to_owned(),
                value: String::new(),
                raw_value: value.as_bytes().to_vec(),
            });
            http.header_map = Some(RawHeaders { headers: headers.collect() });
        } else {
            for (name, value) in asked.headers {
                // As Envoy does where a field stands twice.
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
            other => panic!("an answer that contradicts itself: {other:?}"),
        }
    }
}
