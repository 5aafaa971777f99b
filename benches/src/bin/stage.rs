//! What `benches/gateways` needs beside the gateways: an issuer, a token of it, and an authorizer for Envoy that
//! allows everything, which is the floor of that mechanism. Says where they are, and stays until it is stopped.

use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status;
use serde_json::json;
use stepup_benches::token;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestIssuer};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response};

/// Allows everything.
struct Floor;

#[tonic::async_trait]
impl Authorization for Floor {
    async fn check(
        &self,
        _: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, tonic::Status> {
        Ok(Response::new(CheckResponse {
            status: Some(Status::default()),
            dynamic_metadata: None,
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
        }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let idp = TestIssuer::start_with(TestAlgorithm::Rs256).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let floor = listener.local_addr()?;
    println!(
        "{}",
        json!({
            "issuer": idp.url(),
            "audience": AUDIENCE,
            "jwks": idp.jwks(),
            "token": token(&idp),
            "floor": floor.to_string(),
        })
    );
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(AuthorizationServer::new(Floor))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
