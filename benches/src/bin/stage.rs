//! The other servers of `benches/gateways`: an issuer, and two authorizers for Envoy that allow every request. One
//! authorizer adds no headers: the lower bound (floor) of any authorizer. The other adds as many headers as Step-up.
//! The argument is the signature algorithm of tokens. Prints the addresses and a token as JSON, and runs until it is
//! stopped.

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status;
use serde_json::json;
use std::io;
use stepup_benches::token;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestIssuer};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response};

/// Allows every request, and adds these headers to it.
struct Floor(Vec<HeaderValueOption>);

#[tonic::async_trait]
impl Authorization for Floor {
    async fn check(
        &self,
        _: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, tonic::Status> {
        let headers = self.0.clone();
        Ok(Response::new(CheckResponse {
            status: Some(Status::default()),
            dynamic_metadata: None,
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
                headers,
                ..OkHttpResponse::default()
            })),
        }))
    }
}

/// An authorizer that adds as many headers as Step-up.
fn floor_with_headers() -> Floor {
    let names = ["subject", "issuer", "client", "scopes", "amr", "acr", "auth-time"];
    let header = |name| HeaderValueOption {
        header: Some(HeaderValue {
            key: format!("x-step-up-{name}"),
            value: "some value of usual length".to_owned(),
            raw_value: Vec::new(),
        }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    };
    Floor(names.map(header).into())
}

/// Serves this authorizer and returns its address.
async fn serve(floor: Floor) -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(AuthorizationServer::new(floor));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(address.to_string())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The same number of threads as in `stepup gateway`.
    let cores = std::thread::available_parallelism()?.get();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads((cores / 2).max(1)).enable_all().build()?.block_on(stage())
}

async fn stage() -> Result<(), Box<dyn std::error::Error>> {
    let algorithm = match std::env::args().nth(1).as_deref() {
        None | Some("RS256") => TestAlgorithm::Rs256,
        Some("ES256") => TestAlgorithm::Es256,
        Some("EdDSA") => TestAlgorithm::EdDsa,
        Some(other) => return Err(format!("unknown {other}; RS256, ES256 or EdDSA").into()),
    };
    let idp = TestIssuer::start_with(algorithm).await?;
    let floor = serve(Floor(Vec::new())).await?;
    let floor_with_headers = serve(floor_with_headers()).await?;
    println!(
        "{}",
        json!({
            "issuer": idp.url(),
            "audience": AUDIENCE,
            "jwks": idp.jwks(),
            "token": token(&idp),
            "floor": floor,
            "floor_with_headers": floor_with_headers,
        })
    );
    std::future::pending().await
}
