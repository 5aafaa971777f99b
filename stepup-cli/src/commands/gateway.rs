//! `stepup gateway`: starts the authorizer for gateways.

use crate::contract_file::input;
use crate::gateway::authorizer::Authorizer;
use crate::gateway::listener::{Limits, Listener, Protocol};
use crate::gateway::metrics::Metrics;
use crate::gateway::reload::ContractReload;
use crate::gateway::shutdown::Shutdown;
use crate::gateway::{admin, grpc, http, signals};
use crate::report::failure::Failure;
use crate::report::output::print;
use crate::settings::file::SettingsFile;
use crate::settings::gateway_options::GatewayOptions;
use crate::settings::identity::Identity;
use crate::settings::issuer::IssuerArguments;
use crate::settings::listen::Mode;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};
use stepup_runtime::{Builder, Contract, Dpop, RequestLimits, Sessions, StepUp, Transmitter};

/// Answer gateways that ask whether a request satisfies a contract.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: GatewayOptions,
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.settings.load()?;
    let options = arguments.options.clone().over(settings.gateway);
    options.check()?;
    // An issuer from flags or the environment replaces those of the file.
    let issuers = match &arguments.issuer.issuer {
        Some(_) => vec![arguments.issuer.clone()],
        None => settings.issuers,
    };
    start_logging();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(workers(&options)).enable_all().build()?;
    let outcome = runtime.block_on(serve(&options, &issuers));
    // A blocking read of a file must not delay the exit.
    runtime.shutdown_background();
    outcome
}

/// Logs to standard error, at the level of `RUST_LOG`, or `info`.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A closed standard error must not end the process, and a second call in one process is harmless.
    let _ = subscriber.log_internal_errors(false).try_init();
}

async fn serve(options: &GatewayOptions, issuers: &[IssuerArguments]) -> Result<(), Failure> {
    let path = options.contract.clone().ok_or_else(|| {
        Failure::Usage(
            "no contract; use --contract contract.json, or contract = \"contract.json\" under [gateway] in stepup.toml"
                .into(),
        )
    })?;
    let contract = input::contract(&path)?;
    let identity = Identity::new(&options.identity, &options.tell)?;
    if issuers.len() > 1 && identity.assumes_one_issuer() {
        tracing::warn!(
            "the upstream receives subjects without their issuers, and there are several issuers whose subjects may have \
             the same name; send the issuer too"
        );
    }
    let step_up = step_up(options, issuers, &contract).await?;

    let metrics = Arc::new(Metrics::new());
    let refuse_weaker = options.refuse_weaker.unwrap_or(false);
    let handle = step_up.clone();
    let reload = ContractReload::new(path, &contract, step_up, Arc::clone(&metrics), refuse_weaker);
    let limits = limits(options);
    let authorizer = Arc::new(Authorizer::new(
        reload.enforcer(),
        identity,
        Arc::clone(&metrics),
        options.max_concurrency.map_or(1024, count),
        usize::try_from(limits.header_bytes).unwrap_or(usize::MAX),
    ));
    // All ports are bound before the first check is answered.
    let mut listeners = Vec::new();
    for (mode, address) in addresses(options) {
        let protocol = match mode {
            Mode::EnvoyGrpc => Protocol::Http2,
            Mode::Nginx | Mode::ForwardAuth | Mode::EnvoyHttp => Protocol::Http1,
        };
        listeners.push((mode, Listener::bind(address, protocol, limits).await?));
    }
    let signal_listener = match options.signals {
        Some(address) => Some(Listener::bind(address, Protocol::Http1, limits).await?),
        None => None,
    };
    let admin_address = options.admin.unwrap_or((Ipv4Addr::LOCALHOST, 9000).into());
    let admin_listener = Listener::bind(admin_address, Protocol::Http1, limits).await?;
    let mut ports = String::new();
    for (mode, listener) in &listeners {
        ports.push_str(&format!("{mode} on {}\n", listener.address));
    }
    if let Some(listener) = &signal_listener {
        ports.push_str(&format!("signals on {}\n", listener.address));
    }
    // Registered before the ports are printed, because a program that reads the ports may send a signal at once.
    let shutdown = Shutdown::on_signals()?;
    print(&format!("{ports}admin on {}\n", admin_listener.address))?;

    let drain_time = Duration::from_secs(options.drain_seconds.unwrap_or(0).into());
    // During this time `/readyz` tells load balancers to use other instances, while this one still answers.
    let mut drained = shutdown.delayed(drain_time);
    let mut tasks = tokio::task::JoinSet::new();
    for (mode, listener) in listeners {
        let (authorizer, stop) = (Arc::clone(&authorizer), drained.clone());
        if mode == Mode::EnvoyGrpc {
            tasks.spawn(listener.serve(grpc::service(authorizer), stop));
        } else {
            tasks.spawn(listener.serve(http::service(mode, authorizer), stop));
        }
    }
    if let Some(listener) = signal_listener {
        tasks.spawn(listener.serve(signals::service(handle), drained.clone()));
    }
    // Operators get answers until the end.
    let admin_service = admin::service(metrics, shutdown.clone());
    let admin = tokio::spawn(admin_listener.serve(admin_service, Shutdown::never()));
    let interval = options.reload_seconds.map(Duration::try_from_secs_f32);
    let interval = interval.and_then(Result::ok).unwrap_or(Duration::from_secs(1));
    let reload = tokio::spawn(reload.follow(interval));
    shutdown.clone().wait().await;
    tracing::info!(drain = ?drain_time, "shutting down; running checks are still answered");
    drained.wait().await;
    let finish = async { while tasks.join_next().await.is_some() {} };
    let time = Duration::from_secs(options.shutdown_seconds.unwrap_or(30).into());
    if tokio::time::timeout(time, finish).await.is_err() {
        tracing::warn!("some checks were not answered in time");
    }
    reload.abort();
    admin.abort();
    Ok(())
}

async fn step_up(
    options: &GatewayOptions,
    issuers: &[IssuerArguments],
    contract: &Contract,
) -> Result<StepUp, Failure> {
    // Without any issuer, an empty one produces the error with the fix.
    let none = [IssuerArguments::default()];
    let issuers = if issuers.is_empty() { &none } else { issuers };
    let mut builder = StepUp::builder()
        .allow_unsatisfiable(options.allow_unsatisfiable.unwrap_or(false))
        .dpop(dpop(options.dpop_nonce_key.as_deref())?);
    builder = builder.websocket_tokens(options.websocket_tokens.unwrap_or(false));
    for origin in &options.allow_origin {
        builder = builder.allow_origin(origin);
    }
    let mut limits = RequestLimits::default();
    if let Some(bytes) = options.max_token_bytes {
        limits = limits.token_bytes(count(bytes));
    }
    if let Some(bytes) = options.max_target_bytes {
        limits = limits.target_bytes(count(bytes));
    }
    builder = builder.request_limits(limits);
    for issuer in issuers {
        builder = builder.issuer(issuer.to_verify()?);
    }
    builder = with_signals(builder, options)?;
    if let Some(resource) = &options.resource {
        builder = builder.resource(resource);
    }
    if let Some(url) = &options.resource_metadata {
        builder = builder.resource_metadata(url);
    }
    builder.contract(contract.clone()).build().await.map_err(Failure::other)
}

/// How DPoP proofs are checked, with a nonce key from this file.
fn dpop(nonce_key: Option<&Path>) -> Result<Dpop, Failure> {
    let Some(path) = nonce_key else { return Ok(Dpop::default()) };
    let key =
        fs::read(path).map_err(|source| Failure::Unreadable { path: path.to_owned(), source })?;
    let key = <[u8; 32]>::try_from(key).map_err(|key| {
        let (file, length) = (path.display(), key.len());
        Failure::Usage(format!("{file}: a nonce key has 32 random bytes, not {length}"))
    })?;
    Ok(Dpop::default().nonces(key))
}

fn addresses(options: &GatewayOptions) -> Vec<(Mode, SocketAddr)> {
    if options.listen.is_empty() {
        return Mode::ALL.map(|mode| (mode, (Ipv4Addr::LOCALHOST, mode.port()).into())).into();
    }
    options.listen.iter().map(|listen| (listen.mode, listen.address)).collect()
}

/// Adds the session log and the senders of signals.
fn with_signals(mut builder: Builder, options: &GatewayOptions) -> Result<Builder, Failure> {
    match options.sessions.as_deref() {
        None => {}
        Some("memory") => builder = builder.sessions(Sessions::memory()),
        Some(url) if url.contains("://") => {
            let sessions = Sessions::redis(url).map_err(Failure::other)?;
            let replicas = options.session_replicas.unwrap_or(0).into();
            builder = builder.sessions(sessions.replicas(replicas));
        }
        Some(path) => {
            builder = builder.sessions(Sessions::open(path).map_err(Failure::other)?);
        }
    }
    let receives = !(options.logout_audience.is_empty() && options.transmitter.is_empty());
    match (options.signals, receives) {
        (None, true) => {
            let fix = "signals are received nowhere; use --signals 127.0.0.1:9005";
            return Err(Failure::Usage(fix.into()));
        }
        (Some(_), false) => {
            let fix =
                "no signal is accepted; use --logout-audience CLIENT_ID, or --transmitter ISSUER";
            return Err(Failure::Usage(fix.into()));
        }
        _ => {}
    }
    for client in &options.logout_audience {
        builder = builder.logout_audience(client);
    }
    for transmitter in &options.transmitter {
        let audience = options.signal_audience.as_ref().ok_or_else(|| {
            Failure::Usage(
                "a transmitter needs the audience of its events; use --signal-audience".into(),
            )
        })?;
        builder = builder.transmitter(Transmitter::new(transmitter, audience));
    }
    Ok(builder)
}

fn limits(options: &GatewayOptions) -> Limits {
    Limits {
        header_bytes: options.max_header_bytes.unwrap_or(32 * 1024),
        connections: options.max_connections.map_or(4096, count),
    }
}

fn workers(options: &GatewayOptions) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    options.workers.map_or((cores / 2).max(1), |workers| workers.get().into())
}

fn count(given: NonZeroU32) -> usize {
    usize::try_from(given.get()).unwrap_or(usize::MAX)
}
