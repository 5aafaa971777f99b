//! `stepup gateway`: the authorizer for gateways that are there already. nginx, Caddy, Traefik and Envoy ask
//! it about each request, and it gives the answer that a guarded handler would give.
//!
//! A question comes in by a listener, which speaks one gateway's way of asking (`mode`): over HTTP (`http`) or
//! gRPC (`grpc`). What comes out of it is the head of the client's own request, which the authorizer
//! (`authorizer`) holds against the contract at hand (`live`). A request that is let through gets headers that
//! tell the upstream who calls (`identity`).

mod admin;
mod authorizer;
mod grpc;
mod histogram;
mod http;
mod identity;
mod live;
mod metrics;
mod mode;
mod options;
mod serve;

pub(crate) use identity::{Identity, Named, Told};
pub(crate) use mode::{Mode, head, listened, target_of};
pub(crate) use options::Options;

use crate::failure::Failure;
use crate::issuer::IssuerArguments;
use crate::output::print;
use crate::settings;
use authorizer::Authorizer;
use live::Live;
use metrics::Metrics;
use serve::{Listener, Protocol, Stop};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use stepup_runtime::StepUp;

/// Answer gateways that ask whether a request satisfies a contract.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    settings: settings::From,
    #[command(flatten)]
    issuer: IssuerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = arguments.settings.near()?;
    let options = arguments.options.clone().over(settings.gateway);
    options.check()?;
    // An issuer by flags or by the environment stands for those of the file.
    let issuers = match &arguments.issuer.issuer {
        Some(_) => vec![arguments.issuer.clone()],
        None => settings.issuers,
    };
    log();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(options.workers()).enable_all().build()?;
    let ended = runtime.block_on(serve(options, &issuers));
    // What still reads a file is not waited for.
    runtime.shutdown_background();
    ended
}

/// The log goes to standard error, at the level that `RUST_LOG` says.
fn log() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    // A second call in one process would be the only failure.
    let to = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A log that nobody reads on is no reason to end.
    let _ = to.log_internal_errors(false).try_init();
}

async fn serve(options: Options, issuers: &[IssuerArguments]) -> Result<(), Failure> {
    let path = options.contract.clone().ok_or_else(|| {
        Failure::Usage(
            "no contract; say --contract contract.json, or contract = \"contract.json\" under [gateway] in stepup.toml"
                .into(),
        )
    })?;
    let none = [IssuerArguments::default()];
    // Without any, the error that says what to write.
    let issuers = if issuers.is_empty() { &none } else { issuers };
    let contract = crate::input::contract(&path)?;
    let mut builder =
        StepUp::builder().allow_unsatisfiable(options.allows_unsatisfiable()).dpop(options.dpop()?);
    for issuer in issuers {
        builder = builder.issuer(issuer.to_trust()?);
    }
    if let Some(resource) = &options.resource {
        builder = builder.resource(resource);
    }
    if let Some(url) = &options.resource_metadata {
        builder = builder.resource_metadata(url);
    }
    let identity = Identity::new(&options.identity, &options.tell)?;
    if issuers.len() > 1 && identity.is_of_one_issuer() {
        tracing::warn!(
            "the service is told subjects and not their issuers, of which there are several: a subject of one can \
             have the name of another's; tell the issuer, too"
        );
    }
    let step_up = builder.contract(contract.clone()).build().await.map_err(Box::new)?;

    let metrics = Arc::new(Metrics::new());
    let live = Live::new(path, &contract, step_up, Arc::clone(&metrics));
    let authorizer = Arc::new(Authorizer::new(
        live.enforcer(),
        identity,
        Arc::clone(&metrics),
        options.concurrency(),
        usize::try_from(options.limits().header_bytes).unwrap_or(usize::MAX),
    ));
    // All ports are had before the first question is answered.
    let mut listeners = Vec::new();
    for (mode, address) in options.listeners() {
        let protocol = match mode {
            Mode::EnvoyGrpc => Protocol::Http2,
            Mode::Nginx | Mode::ForwardAuth | Mode::EnvoyHttp => Protocol::Http1,
        };
        listeners.push((mode, Listener::bind(address, protocol, options.limits()).await?));
    }
    let admin = Listener::bind(options.admin_address(), Protocol::Http1, options.limits()).await?;
    let mut ports = String::new();
    for (mode, listener) in &listeners {
        ports.push_str(&format!("{mode} on {}\n", listener.address));
    }
    print(&format!("{ports}admin on {}\n", admin.address))?;

    let stop = Stop::on_signals()?;
    // Who asks learns from `/readyz` that it is to ask elsewhere, before it finds nobody here.
    let mut close = stop.later(options.drain_time());
    let mut tasks = tokio::task::JoinSet::new();
    for (mode, listener) in listeners {
        let (authorizer, stopped) = (Arc::clone(&authorizer), close.clone());
        if mode == Mode::EnvoyGrpc {
            tasks.spawn(listener.serve(grpc::service(authorizer), stopped));
        } else {
            tasks.spawn(listener.serve(http::service(mode, authorizer), stopped));
        }
    }
    // Operators are answered to the end.
    let admin = tokio::spawn(admin.serve(admin::service(metrics, stop.clone()), Stop::never()));
    let reload = tokio::spawn(live.follow(options.reload_interval()));
    stop.clone().wait().await;
    tracing::info!(drain = ?options.drain_time(), "stopping; questions that were asked are answered");
    close.wait().await;
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(options.shutdown_time(), all).await.is_err() {
        tracing::warn!("some questions were not answered in time");
    }
    reload.abort();
    admin.abort();
    Ok(())
}

/// The shortest time between two looks at the contract's file.
const SHORTEST_RELOAD: Duration = Duration::from_millis(50);
