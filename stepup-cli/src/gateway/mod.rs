//! The authorizer for gateways: nginx, Caddy, Traefik and Envoy ask it about each request, and it gives the same answer
//! as a guarded handler.
//!
//! A check arrives at a listener (`listener`) in one gateway's form, over HTTP (`http`) or gRPC (`grpc`). The client's
//! own request is extracted from it (`client_request`), and the authorizer (`authorizer`) enforces the current contract
//! (`reload`). An allowed request gets headers that identify the caller for the upstream (`identity_headers`).
//! Operators use `admin` and `metrics`.
//!
//! Not here: options (`settings`) and gateways' configurations (`render`). Uses `settings`, `contract_file`, `request`
//! and `report`.

pub(crate) mod admin;
pub(crate) mod authorizer;
mod client_request;
pub(crate) mod grpc;
pub(crate) mod http;
mod identity_headers;
pub(crate) mod listener;
pub(crate) mod metrics;
pub(crate) mod reload;
pub(crate) mod shutdown;
pub(crate) mod signals;
