//! Configuration of gateways: each puts itself in front of an upstream and asks `stepup gateway` about every
//! request. The texts are the files beside this one; what differs between Envoy's two ways of asking is here.

use crate::failure::Failure;
use crate::gateway::{Identity, Mode, Named, Told, listened};
use crate::render::place::Place;
use crate::settings;
use crate::wording::visible;
use http::HeaderName;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use stepup_contract::{Contract, Trust, Unlisted};

/// What stands where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    pub(crate) contract: PathBuf,
    /// Where clients connect.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = listened)]
    listen: SocketAddr,
    /// The service that is guarded: an address, or a name that the gateway looks up.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    upstream: Place,
    /// Where `stepup gateway` listens [default: its default port for this mode].
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Option<Place>,
    /// Rename a header that tells the upstream who calls, as for `stepup gateway`.
    #[arg(long, value_name = "WHAT=HEADER", value_delimiter = ',')]
    identity: Vec<Named>,
    /// Which of them the upstream is told, as for `stepup gateway`.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    tell: Vec<Told>,
    #[command(flatten)]
    settings: settings::From,
}

/// See [`Arguments`].
#[derive(Debug, clap::Args)]
pub(crate) struct EnvoyArguments {
    #[command(flatten)]
    pub(crate) arguments: Arguments,
    /// How Envoy asks.
    #[arg(long, value_name = "PROTOCOL", value_enum, default_value = "grpc")]
    over: Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    /// Over gRPC, which is faster.
    Grpc,
    /// Over HTTP.
    Http,
}

impl Arguments {
    /// The headers that tell who calls.
    fn identity(&self) -> Result<Identity, Failure> {
        let settings = self.settings.near()?.gateway;
        let given = if self.identity.is_empty() { &settings.identity } else { &self.identity };
        let tell = if self.tell.is_empty() { &settings.tell } else { &self.tell };
        Identity::new(given, tell)
    }
}

/// Header names as people write them.
fn capitalized<'a>(names: impl Iterator<Item = &'a HeaderName>) -> Vec<String> {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        first.to_uppercase() + rest
    };
    let name = |name: &HeaderName| name.as_str().split('-').map(word).collect::<Vec<_>>().join("-");
    names.map(name).collect()
}

pub(crate) fn nginx(contract: &Contract, arguments: &Arguments) -> Result<String, Failure> {
    let identity = arguments.identity()?;
    let told = capitalized(identity.told()).into_iter().map(|name| {
        let variable = name.to_lowercase().replace('-', "_");
        format!(
            "        auth_request_set $stepup_told_{variable} $upstream_http_{variable};\n        \
             proxy_set_header {name} $stepup_told_{variable};"
        )
    });
    let untold = capitalized(identity.untold()).into_iter();
    let untold = untold.map(|name| format!("        proxy_set_header {name} \"\";"));
    let identity = lines(told.chain(untold));
    Ok(filled(
        include_str!("nginx.conf"),
        contract,
        arguments,
        Mode::Nginx,
        &[("identity", &identity)],
    ))
}

pub(crate) fn caddy(contract: &Contract, arguments: &Arguments) -> Result<String, Failure> {
    let identity = arguments.identity()?;
    let mut removed: Vec<String> = Vec::new();
    for name in capitalized(identity.names()) {
        // And all that is written with `_` in place of one of its `-`.
        let hyphens = name.match_indices('-').map(|(at, _)| at);
        removed.extend(hyphens.map(|at| format!("{}_*", name.get(..at).unwrap_or_default())));
        removed.push(name);
    }
    removed.sort_unstable();
    removed.dedup();
    let remove = lines(removed.iter().map(|name| format!("\t\trequest_header -{name}")));
    let told = capitalized(identity.told()).join(" ");
    let copy = if told.is_empty() { told } else { format!("\n\t\t\tcopy_headers {told}") };
    let values = [("copy", copy.as_str()), ("remove", &remove)];
    Ok(filled(include_str!("Caddyfile"), contract, arguments, Mode::ForwardAuth, &values))
}

pub(crate) fn traefik(contract: &Contract, arguments: &Arguments) -> Result<String, Failure> {
    let identity = arguments.identity()?;
    let names = capitalized(identity.names()).into_iter();
    let remove = lines(names.map(|name| format!("          {name}: \"\"")));
    let copy = match capitalized(identity.told()).join(", ") {
        none if none.is_empty() => none,
        some => format!("\n        authResponseHeaders: [{some}]"),
    };
    let values = [("copy", copy.as_str()), ("remove", &remove)];
    Ok(filled(include_str!("traefik.yml"), contract, arguments, Mode::ForwardAuth, &values))
}

pub(crate) fn envoy(contract: &Contract, envoy: &EnvoyArguments) -> Result<String, Failure> {
    let identity = envoy.arguments.identity()?;
    let exact: Vec<_> = identity.told().map(|name| format!("{{ exact: {name} }}")).collect();
    let told = match exact.join(", ") {
        // A list of patterns has one at least.
        none if none.is_empty() => none,
        some => format!("\n                  allowed_upstream_headers: {{ patterns: [{some}] }}"),
    };
    let mimics = identity.names().map(|name| name.as_str().replace('-', "[^a-z0-9]"));
    let mimics = mimics.collect::<Vec<_>>().join("|");
    let over_http = HTTP.replace("{{told}}", &told).replace("{{mimics}}", &mimics);
    let (authorizer, protocol, mode) = match envoy.over {
        Over::Grpc => (GRPC, PROTOCOL, Mode::EnvoyGrpc),
        Over::Http => (over_http.as_str(), "", Mode::EnvoyHttp),
    };
    let remove = lines(identity.names().map(|name| format!("              - remove: {name}")));
    let values = [("authorizer", authorizer), ("protocol", protocol), ("remove", &remove)];
    Ok(filled(include_str!("envoy.yaml"), contract, &envoy.arguments, mode, &values))
}

/// Without the number Envoy takes a new connection for one that bears any number of questions.
const PROTOCOL: &str = "    http2_protocol_options: { max_concurrent_streams: 1024 }\n";

/// Envoy sends the headers as they came, and so those that stand twice.
const GRPC: &str = r#"              encode_raw_headers: true
              grpc_service:
                envoy_grpc: { cluster_name: stepup_gateway }
                timeout: 5s"#;

const HTTP: &str = r#"              allowed_headers:
                patterns:
                - { exact: authorization }
                - { exact: dpop }
                - { exact: step-up-attempt }
                - { exact: origin }
                - { exact: access-control-request-method }
                - { exact: upgrade }
                # What Step-up refuses: a second method or target, and what looks like an identity header.
                - { safe_regex: { regex: "x[^a-z0-9](.*[^a-z0-9])?(method|url)([^a-z0-9].*)?" } }
                - { safe_regex: { regex: "(x[^a-z0-9](.*[^a-z0-9])?)?(script[^a-z0-9]name|path[^a-z0-9]info)" } }
                - { safe_regex: { regex: "x[^a-z0-9](traversal[^a-z0-9]path|vhm[^a-z0-9]root)" } }
                - { exact: forwarded }
                - { safe_regex: { regex: "x[^a-z0-9](forwarded|original)[^a-z0-9](host|port|prefix|proto|scheme|server)" } }
                # What no preflight has.
                - { exact: content-type }
                - { exact: cookie }
                - { safe_regex: { regex: "{{mimics}}" } }
              http_service:
                server_uri: { uri: "http://stepup_gateway", cluster: stepup_gateway, timeout: 5s }
                authorization_request: {}
                authorization_response:{{told}}
                  allowed_client_headers:
                    patterns:
                    - { exact: www-authenticate }
                    - { exact: content-type }
                    - { exact: cache-control }
                    - { exact: access-control-expose-headers }
                    - { exact: dpop-nonce }
                    - { exact: retry-after }"#;

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// The text with its places filled.
fn filled(
    text: &str,
    contract: &Contract,
    arguments: &Arguments,
    mode: Mode,
    values: &[(&str, &str)],
) -> String {
    let usual = || SocketAddr::from((Ipv4Addr::LOCALHOST, mode.port())).into();
    let gateway = arguments.gateway.clone().unwrap_or_else(usual);
    let mut text = text.to_owned();
    let mut fill =
        |place: &str, value: &str| text = text.replace(&format!("{{{{{place}}}}}"), value);
    for (place, value) in values {
        fill(place, value);
    }
    let listen = arguments.listen.into();
    for (name, place) in
        [("listen", &listen), ("upstream", &arguments.upstream), ("gateway", &gateway)]
    {
        fill(name, &place.to_string());
        fill(&format!("{name}_host"), &place.host());
        fill(&format!("{name}_port"), &place.port().to_string());
        fill(&format!("{name}_discovery"), place.discovery());
        fill(&format!("{name}_listening"), &place.listening());
    }
    fill("mode", mode.as_str());
    fill("service", &comment(contract.service()));
    fill("protected", &protected(contract));
    text
}

/// What the contract protects, for people: the gateway is asked about every request, whatever its path.
fn protected(contract: &Contract) -> String {
    let of = |trust| contract.endpoints().iter().filter(move |endpoint| endpoint.trust() == trust);
    let mut text = String::from("#\n# Step-up is required at:");
    for endpoint in of(Trust::Sensitive) {
        let _ = write!(text, "\n#   {}", comment(&contract.route(endpoint)));
    }
    if of(Trust::Sensitive).next().is_none() {
        text.push_str(" no endpoint");
    }
    let rest = match contract.unlisted() {
        Unlisted::Deny => "Requests that match no endpoint are refused.",
        Unlisted::Allow => "Requests that match no endpoint are let through.",
    };
    let standard = of(Trust::Standard).count();
    let _ = write!(text, "\n# A valid token is enough at {standard} more. {rest}");
    text
}

/// A text of the contract as part of a comment: one line of it, for every reader of lines. Caddy looks for its
/// environment's variables in comments, too.
fn comment(text: &str) -> String {
    visible(text).replace("{$", "{ $")
}
