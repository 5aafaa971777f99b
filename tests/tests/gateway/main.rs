//! Tests of `stepup gateway`: the process itself, and the process as an authorization server for nginx, Caddy, Traefik
//! and Envoy.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod client_responses;
mod cors;
mod decision_parity;
mod envoy_bytes;
mod envoy_concurrency;
mod gateway_bypass;
mod lifecycle;
mod paths;
mod process;
mod proxies;
mod public;
mod sessions;
mod websockets;
