//! The options of the gateway. Flags override the environment, which overrides the settings
//! file, which overrides the defaults.

#[cfg(feature = "gateway")]
use crate::report::failure::Failure;
use crate::settings::identity::{FieldSelection, RenamedHeader};
use crate::settings::listen::{Listen, listen_address};
use clap::builder::FalseyValueParser;
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
#[cfg(feature = "gateway")]
use std::time::Duration;

/// The smallest buffer of hyper's parser.
#[cfg(feature = "gateway")]
const LEAST_HEADER_BYTES: u32 = 8192;

/// The shortest time between two checks of the contract's file.
#[cfg(feature = "gateway")]
const SHORTEST_RELOAD: Duration = Duration::from_millis(50);

/// The options of the gateway.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[command(next_help_heading = "The gateway")]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct GatewayOptions {
    /// The contract to enforce: JSON, or a compiled program. The file is read again when it changes.
    #[arg(long, value_name = "FILE", env = "STEPUP_CONTRACT")]
    pub(crate) contract: Option<PathBuf>,
    /// Where to listen, and for which gateway: nginx, forward-auth (Caddy, Traefik), envoy-http or envoy-grpc
    /// [default: nginx=127.0.0.1:9001, and so on: forward-auth at 9002, envoy-http at 9003, envoy-grpc at
    /// 9004].
    #[arg(long, value_name = "MODE=ADDRESS", env = "STEPUP_LISTEN", value_delimiter = ',')]
    pub(crate) listen: Vec<Listen>,
    /// Where to serve /livez, /readyz and /metrics [default: 127.0.0.1:9000].
    #[arg(long, value_name = "ADDRESS", env = "STEPUP_ADMIN", value_parser = listen_address)]
    pub(crate) admin: Option<SocketAddr>,
    /// The address at which clients reach the API: StepUp::builder().resource.
    #[arg(long, value_name = "URL", env = "STEPUP_RESOURCE")]
    pub(crate) resource: Option<String>,
    /// The address of the API's metadata: StepUp::builder().resource_metadata.
    #[arg(long, value_name = "URL", env = "STEPUP_RESOURCE_METADATA")]
    pub(crate) resource_metadata: Option<String>,
    /// Require nonces in DPoP proofs, made with this key: a file of 32 random bytes, the same for all
    /// instances.
    #[arg(long, value_name = "FILE", env = "STEPUP_DPOP_NONCE_KEY")]
    pub(crate) dpop_nonce_key: Option<PathBuf>,
    /// Rename a header that identifies the caller for the upstream: subject, issuer, client, scopes, amr, acr or
    /// auth-time [default: subject=X-Step-Up-Subject, and so on].
    #[arg(long, value_name = "WHAT=HEADER", env = "STEPUP_IDENTITY", value_delimiter = ',')]
    pub(crate) identity: Vec<RenamedHeader>,
    /// Which of them the upstream receives, such as subject,scopes, or nothing [default: all]. Clients
    /// cannot send the others either.
    #[arg(long, value_name = "WHAT", env = "STEPUP_TELL", value_delimiter = ',')]
    pub(crate) tell: Vec<FieldSelection>,
    /// The origin of a web page that may read refusals (CORS): scheme, host and port; repeat it for several.
    #[arg(long, value_name = "ORIGIN", env = "STEPUP_ALLOW_ORIGIN", value_delimiter = ',')]
    pub(crate) allow_origin: Vec<String>,
    /// Keep notices about sessions: in memory, in this file, or in Redis. Contracts with risk need it.
    #[arg(long, value_name = "memory|FILE|URL", env = "STEPUP_SESSIONS")]
    pub(crate) sessions: Option<String>,
    /// How many replicas of Redis must confirm a notice [default: 0].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_SESSION_REPLICAS")]
    pub(crate) session_replicas: Option<u16>,
    /// Where to receive signals, at /signals/events and /signals/logout.
    #[arg(long, value_name = "ADDRESS", env = "STEPUP_SIGNALS", value_parser = listen_address)]
    pub(crate) signals: Option<SocketAddr>,
    /// A client whose back-channel logouts are received; repeat it for several.
    #[arg(long, value_name = "CLIENT_ID", env = "STEPUP_LOGOUT_AUDIENCE", value_delimiter = ',')]
    pub(crate) logout_audience: Vec<String>,
    /// A transmitter whose security events are received; repeat it for several.
    #[arg(long, value_name = "ISSUER", env = "STEPUP_TRANSMITTER", value_delimiter = ',')]
    pub(crate) transmitter: Vec<String>,
    /// The audience of the transmitters' security events.
    #[arg(long, value_name = "AUDIENCE", env = "STEPUP_SIGNAL_AUDIENCE")]
    pub(crate) signal_audience: Option<String>,
    /// Also accept a token as the subprotocol of a WebSocket: StepUp::builder().websocket_tokens.
    #[arg(long, value_name = "BOOL", env = "STEPUP_WEBSOCKET_TOKENS", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new())]
    pub(crate) websocket_tokens: Option<bool>,
    /// Start even if an issuer cannot satisfy the contract, and log the reason.
    #[arg(long, value_name = "BOOL", env = "STEPUP_ALLOW_UNSATISFIABLE", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new())]
    pub(crate) allow_unsatisfiable: Option<bool>,
    /// Keep the old contract if a changed one authorizes callers whom the old one refuses, as `stepup diff` reports it.
    #[arg(long, value_name = "BOOL", env = "STEPUP_REFUSE_WEAKER", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new())]
    pub(crate) refuse_weaker: Option<bool>,
    /// The number of threads [default: half of the cores; the gateway needs the others].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_WORKERS")]
    pub(crate) workers: Option<NonZeroU16>,
    /// The most header bytes of a client's request, 8192 or more [default: 32768].
    #[arg(long, value_name = "BYTES", env = "STEPUP_MAX_HEADER_BYTES")]
    pub(crate) max_header_bytes: Option<u32>,
    /// The most bytes of an access token; a longer one gets 431 [default: 16384].
    #[arg(long, value_name = "BYTES", env = "STEPUP_MAX_TOKEN_BYTES")]
    pub(crate) max_token_bytes: Option<NonZeroU32>,
    /// The most bytes of a client's path and query; longer ones get 414 [default: 8192].
    #[arg(long, value_name = "BYTES", env = "STEPUP_MAX_TARGET_BYTES")]
    pub(crate) max_target_bytes: Option<NonZeroU32>,
    /// The most checks that may wait for an issuer at once; others are answered with 503 [default:
    /// 1024].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_MAX_CONCURRENCY")]
    pub(crate) max_concurrency: Option<NonZeroU32>,
    /// The most concurrent connections; others wait [default: 4096].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_MAX_CONNECTIONS")]
    pub(crate) max_connections: Option<NonZeroU32>,
    /// How often to look for a changed contract [default: 1].
    #[arg(long, value_name = "SECONDS", env = "STEPUP_RELOAD_SECONDS")]
    pub(crate) reload_seconds: Option<f32>,
    /// How long to continue answering after the shutdown signal, while /readyz is 503, so that a load
    /// balancer notices [default: 0].
    #[arg(long, value_name = "SECONDS", env = "STEPUP_DRAIN_SECONDS")]
    pub(crate) drain_seconds: Option<u32>,
    /// How long running checks may take after that [default: 30].
    #[arg(long, value_name = "SECONDS", env = "STEPUP_SHUTDOWN_SECONDS")]
    pub(crate) shutdown_seconds: Option<u32>,
}

#[cfg(feature = "gateway")]
impl GatewayOptions {
    /// These options; missing options come from the file.
    pub(crate) fn over(self, file: Self) -> Self {
        Self {
            listen: if self.listen.is_empty() { file.listen } else { self.listen },
            contract: self.contract.or(file.contract),
            admin: self.admin.or(file.admin),
            resource: self.resource.or(file.resource),
            resource_metadata: self.resource_metadata.or(file.resource_metadata),
            dpop_nonce_key: self.dpop_nonce_key.or(file.dpop_nonce_key),
            identity: if self.identity.is_empty() { file.identity } else { self.identity },
            allow_origin: match self.allow_origin.is_empty() {
                true => file.allow_origin,
                false => self.allow_origin,
            },
            tell: if self.tell.is_empty() { file.tell } else { self.tell },
            sessions: self.sessions.or(file.sessions),
            session_replicas: self.session_replicas.or(file.session_replicas),
            signals: self.signals.or(file.signals),
            logout_audience: match self.logout_audience.is_empty() {
                true => file.logout_audience,
                false => self.logout_audience,
            },
            transmitter: match self.transmitter.is_empty() {
                true => file.transmitter,
                false => self.transmitter,
            },
            signal_audience: self.signal_audience.or(file.signal_audience),
            websocket_tokens: self.websocket_tokens.or(file.websocket_tokens),
            allow_unsatisfiable: self.allow_unsatisfiable.or(file.allow_unsatisfiable),
            refuse_weaker: self.refuse_weaker.or(file.refuse_weaker),
            workers: self.workers.or(file.workers),
            max_header_bytes: self.max_header_bytes.or(file.max_header_bytes),
            max_token_bytes: self.max_token_bytes.or(file.max_token_bytes),
            max_target_bytes: self.max_target_bytes.or(file.max_target_bytes),
            max_concurrency: self.max_concurrency.or(file.max_concurrency),
            max_connections: self.max_connections.or(file.max_connections),
            reload_seconds: self.reload_seconds.or(file.reload_seconds),
            drain_seconds: self.drain_seconds.or(file.drain_seconds),
            shutdown_seconds: self.shutdown_seconds.or(file.shutdown_seconds),
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// If a number is too low or not a number.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let bytes = self.max_header_bytes.filter(|bytes| *bytes < LEAST_HEADER_BYTES);
        let seconds = self.reload_seconds.filter(|seconds| {
            let time = Duration::try_from_secs_f32(*seconds);
            !time.is_ok_and(|time| time >= SHORTEST_RELOAD)
        });
        let bytes = bytes.map(|bytes| {
            format!("max-header-bytes is {bytes}; the minimum is {LEAST_HEADER_BYTES}")
        });
        let seconds = seconds.map(|seconds| {
            let least = SHORTEST_RELOAD.as_secs_f32();
            format!("reload-seconds is {seconds}; the minimum is {least}")
        });
        bytes.or(seconds).map_or(Ok(()), |reason| Err(Failure::Usage(reason)))
    }
}

#[cfg(all(test, feature = "gateway"))]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_its_minimum_is_an_error() {
        let of = |toml: &str| toml::from_str::<GatewayOptions>(toml).unwrap().check();
        for good in ["", "max-header-bytes = 8192\nreload-seconds = 0.05", "reload-seconds = 60"] {
            assert!(of(good).is_ok(), "{good}");
        }
        for (odd, message) in [
            ("max-header-bytes = 8191", "the minimum is 8192"),
            ("reload-seconds = 0.01", "the minimum is 0.05"),
            ("reload-seconds = -1", "the minimum is 0.05"),
            ("reload-seconds = nan", "the minimum is 0.05"),
        ] {
            assert!(of(odd).unwrap_err().to_string().contains(message), "{odd}");
        }
    }
}
