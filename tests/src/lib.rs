//! Helpers that the tests share.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

pub mod bank;
pub mod browser;
pub mod chromium;
pub mod command;
pub mod contracts;
pub mod envoy;
pub mod fake_issuer;
pub mod gateways;
pub mod http2;
pub mod introspecting_issuer;
pub mod lenient_router;
pub mod log;
pub mod paused_time;
pub mod peers;
pub mod proxy;
pub mod redis;
pub mod rotating_issuer;
pub mod server;
pub mod seven_arguments;
pub mod upstream;
pub mod vectors;

/// The examples of the README and of the documentation compile.
#[cfg(doctest)]
pub mod documentation {
    #[doc = include_str!("../../README.md")]
    pub struct Readme;
    #[doc = include_str!("../../docs/identity-providers.md")]
    pub struct IdentityProviders;
    #[doc = include_str!("../../docs/contract.md")]
    pub struct Contract;
    #[doc = include_str!("../../docs/gateways.md")]
    pub struct Gateways;
    #[doc = include_str!("../../docs/auth0.md")]
    pub struct Auth0;
    #[doc = include_str!("../../docs/sessions.md")]
    pub struct Sessions;
    #[doc = include_str!("../../docs/okta.md")]
    pub struct Okta;
}
