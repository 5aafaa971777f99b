//! How the gateway runs: by flags, else by the environment, else by the settings file, else as is usual.

use crate::failure::Failure;
use crate::gateway::SHORTEST_RELOAD;
use crate::gateway::identity::{Named, Told};
use crate::gateway::mode::{Listen, Mode, listened};
use crate::gateway::serve::Limits;
use clap::builder::FalseyValueParser;
use serde::Deserialize;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;
use stepup_runtime::Dpop;

/// hyper's parser has no smaller buffer.
const LEAST_HEADER_BYTES: u32 = 8192;

/// See the module.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[command(next_help_heading = "The gateway")]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Options {
    /// The contract to enforce: JSON, or a compiled program. It is read again when it changes.
    #[arg(long, value_name = "FILE", env = "STEPUP_CONTRACT")]
    pub(crate) contract: Option<PathBuf>,
    /// Where to listen, and for whom: nginx, forward-auth (Caddy, Traefik), envoy-http or envoy-grpc
    /// [default: nginx=127.0.0.1:9001, and so on: forward-auth at 9002, envoy-http at 9003, envoy-grpc at
    /// 9004].
    #[arg(long, value_name = "MODE=ADDRESS", env = "STEPUP_LISTEN", value_delimiter = ',')]
    listen: Vec<Listen>,
    /// Where to serve /livez, /readyz and /metrics [default: 127.0.0.1:9000].
    #[arg(long, value_name = "ADDRESS", env = "STEPUP_ADMIN", value_parser = listened)]
    admin: Option<SocketAddr>,
    /// The address under which clients reach the API: StepUp::builder().resource.
    #[arg(long, value_name = "URL", env = "STEPUP_RESOURCE")]
    pub(crate) resource: Option<String>,
    /// Where the API's metadata is: StepUp::builder().resource_metadata.
    #[arg(long, value_name = "URL", env = "STEPUP_RESOURCE_METADATA")]
    pub(crate) resource_metadata: Option<String>,
    /// Require nonces in DPoP proofs, made with this key: a file of 32 random bytes, the same for all
    /// instances.
    #[arg(long, value_name = "FILE", env = "STEPUP_DPOP_NONCE_KEY")]
    pub(crate) dpop_nonce_key: Option<PathBuf>,
    /// Rename a header that tells the upstream who calls: subject, issuer, client, scopes, amr, acr or
    /// auth-time [default: subject=X-Step-Up-Subject, and so on].
    #[arg(long, value_name = "WHAT=HEADER", env = "STEPUP_IDENTITY", value_delimiter = ',')]
    pub(crate) identity: Vec<Named>,
    /// Which of them the upstream is told, such as subject,scopes, or nothing [default: all]. Clients
    /// cannot send the others either.
    #[arg(long, value_name = "WHAT", env = "STEPUP_TELL", value_delimiter = ',')]
    pub(crate) tell: Vec<Told>,
    /// Start even if an issuer cannot satisfy the contract, and only log it.
    #[arg(long, value_name = "BOOL", env = "STEPUP_ALLOW_UNSATISFIABLE", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new())]
    allow_unsatisfiable: Option<bool>,
    /// How many threads answer [default: half of the cores; the gateway that asks needs the others].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_WORKERS")]
    workers: Option<NonZeroU16>,
    /// The most bytes that the headers of a client's request may have, 8192 or more [default: 32768].
    #[arg(long, value_name = "BYTES", env = "STEPUP_MAX_HEADER_BYTES")]
    max_header_bytes: Option<u32>,
    /// The most questions that may wait for an issuer at once; others are answered with 503 [default:
    /// 1024].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_MAX_CONCURRENCY")]
    max_concurrency: Option<NonZeroU32>,
    /// The most connections at once; others wait [default: 4096].
    #[arg(long, value_name = "NUMBER", env = "STEPUP_MAX_CONNECTIONS")]
    max_connections: Option<NonZeroU32>,
    /// How often to look for a changed contract [default: 1].
    #[arg(long, value_name = "SECONDS", env = "STEPUP_RELOAD_SECONDS")]
    reload_seconds: Option<f32>,
    /// How long to go on answering after a signal to stop, while /readyz is 503: what a load balancer
    /// needs to notice [default: 0].
    #[arg(long, value_name = "SECONDS", env = "STEPUP_DRAIN_SECONDS")]
    drain_seconds: Option<u32>,
    /// How long questions that are being answered may take after that [default: 30].
    #[arg(long, value_name = "SECONDS", env = "STEPUP_SHUTDOWN_SECONDS")]
    shutdown_seconds: Option<u32>,
}

impl Options {
    /// These, and what they leave open as the file has it.
    pub(crate) fn over(self, file: Self) -> Self {
        let list = |here: bool| if here { &self.listen } else { &file.listen };
        let listen = list(!self.listen.is_empty()).clone();
        Self {
            listen,
            contract: self.contract.or(file.contract),
            admin: self.admin.or(file.admin),
            resource: self.resource.or(file.resource),
            resource_metadata: self.resource_metadata.or(file.resource_metadata),
            dpop_nonce_key: self.dpop_nonce_key.or(file.dpop_nonce_key),
            identity: if self.identity.is_empty() { file.identity } else { self.identity },
            tell: if self.tell.is_empty() { file.tell } else { self.tell },
            allow_unsatisfiable: self.allow_unsatisfiable.or(file.allow_unsatisfiable),
            workers: self.workers.or(file.workers),
            max_header_bytes: self.max_header_bytes.or(file.max_header_bytes),
            max_concurrency: self.max_concurrency.or(file.max_concurrency),
            max_connections: self.max_connections.or(file.max_connections),
            reload_seconds: self.reload_seconds.or(file.reload_seconds),
            drain_seconds: self.drain_seconds.or(file.drain_seconds),
            shutdown_seconds: self.shutdown_seconds.or(file.shutdown_seconds),
        }
    }

    /// What has no meaning is no setting.
    ///
    /// # Errors
    /// A number that is too low or none at all.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let bytes = self.max_header_bytes.filter(|bytes| *bytes < LEAST_HEADER_BYTES);
        let seconds = self.reload_seconds.filter(|seconds| {
            let time = Duration::try_from_secs_f32(*seconds);
            !time.is_ok_and(|time| time >= SHORTEST_RELOAD)
        });
        let bytes = bytes
            .map(|bytes| format!("max-header-bytes is {bytes}; the least is {LEAST_HEADER_BYTES}"));
        let seconds = seconds.map(|seconds| {
            let least = SHORTEST_RELOAD.as_secs_f32();
            format!("reload-seconds is {seconds}; write a number of seconds from {least} on")
        });
        bytes.or(seconds).map_or(Ok(()), |why| Err(Failure::Usage(why)))
    }

    /// How proofs of DPoP are checked.
    pub(crate) fn dpop(&self) -> Result<Dpop, Failure> {
        let Some(path) = &self.dpop_nonce_key else { return Ok(Dpop::default()) };
        let key = fs::read(path).map_err(|why| Failure::Unreadable { path: path.clone(), why })?;
        let key = <[u8; 32]>::try_from(key).map_err(|key| {
            let (file, length) = (path.display(), key.len());
            Failure::Usage(format!("{file}: a nonce key has 32 random bytes, not {length}"))
        })?;
        Ok(Dpop::default().nonces(key))
    }

    pub(crate) fn allows_unsatisfiable(&self) -> bool {
        self.allow_unsatisfiable.unwrap_or(false)
    }

    /// Where to be asked, and how.
    pub(crate) fn listeners(&self) -> Vec<(Mode, SocketAddr)> {
        if self.listen.is_empty() {
            Mode::ALL.map(|mode| (mode, (Ipv4Addr::LOCALHOST, mode.port()).into())).into()
        } else {
            self.listen.iter().map(|listen| (listen.mode, listen.address)).collect()
        }
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin.unwrap_or((Ipv4Addr::LOCALHOST, 9000).into())
    }

    pub(crate) fn workers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.map_or((cores / 2).max(1), |given| given.get().into())
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            header_bytes: self.max_header_bytes.unwrap_or(32 * 1024),
            connections: size(self.max_connections, 4096),
        }
    }

    pub(crate) fn concurrency(&self) -> usize {
        size(self.max_concurrency, 1024)
    }

    pub(crate) fn reload_interval(&self) -> Duration {
        let given = self.reload_seconds.map(Duration::try_from_secs_f32);
        given.and_then(Result::ok).unwrap_or(Duration::from_secs(1))
    }

    pub(crate) fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds.unwrap_or(0).into())
    }

    pub(crate) fn shutdown_time(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds.unwrap_or(30).into())
    }
}

/// A number of things that each take memory.
fn size(given: Option<NonZeroU32>, usual: usize) -> usize {
    given.map_or(usual, |given| usize::try_from(given.get()).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_means_nothing_is_no_setting() {
        let of = |toml: &str| toml::from_str::<Options>(toml).unwrap().check();
        for good in ["", "max-header-bytes = 8192\nreload-seconds = 0.05", "reload-seconds = 60"] {
            assert!(of(good).is_ok(), "{good}");
        }
        for (odd, said) in [
            ("max-header-bytes = 8191", "the least is 8192"),
            ("reload-seconds = 0.01", "from 0.05 on"),
            ("reload-seconds = -1", "from 0.05 on"),
            ("reload-seconds = nan", "from 0.05 on"),
        ] {
            assert!(of(odd).unwrap_err().to_string().contains(said), "{odd}");
        }
    }
}
