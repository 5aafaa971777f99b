//! Configurations of gateways that ask `stepup gateway` about every request to an upstream. The texts are files in this
//! folder; the differences between Envoy's two protocols are here.

use crate::render::host_port::HostPort;
use crate::report::display::visible;
use crate::report::failure::Failure;
use crate::settings::file::SettingsFile;
use crate::settings::identity::{FieldSelection, Identity, RenamedHeader};
use crate::settings::listen::{Mode, listen_address};
use http::HeaderName;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use stepup_contract::{Contract, Trust, Unlisted};

/// The arguments of a gateway's configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    pub(crate) contract: PathBuf,
    /// Where clients connect.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    listen: SocketAddr,
    /// The guarded service: an address, or a name that the gateway resolves.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    upstream: HostPort,
    /// Where `stepup gateway` listens [default: its default port for this mode].
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Option<HostPort>,
    /// Rename a header that identifies the caller for the upstream, as for `stepup gateway`.
    #[arg(long, value_name = "WHAT=HEADER", value_delimiter = ',')]
    identity: Vec<RenamedHeader>,
    /// Which of them the upstream receives, as for `stepup gateway`.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    tell: Vec<FieldSelection>,
    /// Pass WebSockets on. The endpoint of their path decides about the handshake, and nothing checks later messages.
    #[arg(long)]
    websockets: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

/// The arguments of Envoy's configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct EnvoyArguments {
    #[command(flatten)]
    pub(crate) arguments: Arguments,
    /// The protocol between Envoy and `stepup gateway`.
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
    /// The identity headers.
    fn identity(&self) -> Result<Identity, Failure> {
        let settings = self.settings.load()?.gateway;
        let renamed = if self.identity.is_empty() { &settings.identity } else { &self.identity };
        let selection = if self.tell.is_empty() { &settings.tell } else { &self.tell };
        Identity::new(renamed, selection)
    }
}

/// Header names in their usual capitalization.
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
    let sent = capitalized(identity.sent()).into_iter().map(|name| {
        let variable = name.to_lowercase().replace('-', "_");
        format!(
            "        auth_request_set $stepup_identity_{variable} $upstream_http_{variable};\n        \
             proxy_set_header {name} $stepup_identity_{variable};"
        )
    });
    let unsent = capitalized(identity.unsent()).into_iter();
    let unsent = unsent.map(|name| format!("        proxy_set_header {name} \"\";"));
    let identity = lines(sent.chain(unsent));
    let (upgrade_maps, connection) = match arguments.websockets {
        true => (NGINX_WEBSOCKET_MAPS, NGINX_WEBSOCKETS),
        false => ("", "        proxy_set_header Connection \"\";"),
    };
    let values =
        [("identity", &*identity), ("upgrade_maps", upgrade_maps), ("connection", connection)];
    Ok(fill_in(include_str!("nginx.conf"), contract, arguments, Target::Nginx, &values))
}

const NGINX_WEBSOCKET_MAPS: &str = r#"
# Only WebSockets are passed on as upgrades. A CORS preflight needs no token, so it must not open one.
map $request_method:$http_upgrade $stepup_upgrade {
    "~*^GET:websocket$" websocket;
    default             "";
}
map $request_method:$http_upgrade $stepup_connection {
    "~*^GET:websocket$" upgrade;
    default             "";
}
"#;

const NGINX_WEBSOCKETS: &str = r#"        proxy_set_header Upgrade $stepup_upgrade;
        proxy_set_header Connection $stepup_connection;
        # A WebSocket without messages stays open for this time.
        proxy_read_timeout 1h;"#;

pub(crate) fn caddy(contract: &Contract, arguments: &Arguments) -> Result<String, Failure> {
    let identity = arguments.identity()?;
    let mut removed: Vec<String> = Vec::new();
    for name in capitalized(identity.names()) {
        // And every name with `_` instead of one of its `-`.
        let hyphens = name.match_indices('-').map(|(at, _)| at);
        removed.extend(hyphens.map(|at| format!("{}_*", name.get(..at).unwrap_or_default())));
        removed.push(name);
    }
    removed.sort_unstable();
    removed.dedup();
    let remove = lines(removed.iter().map(|name| format!("\t\trequest_header -{name}")));
    let sent = capitalized(identity.sent()).join(" ");
    let copy = if sent.is_empty() { sent } else { format!("\n\t\t\tcopy_headers {sent}") };
    let connection = match arguments.websockets {
        true => CADDY_WEBSOCKETS,
        false => "\t\trequest_header -Connection",
    };
    let values = [("copy", copy.as_str()), ("remove", &remove), ("connection", connection)];
    Ok(fill_in(include_str!("Caddyfile"), contract, arguments, Target::Caddy, &values))
}

const CADDY_WEBSOCKETS: &str =
    "\t\t# A CORS preflight needs no token, so it must not open a WebSocket.
\t\t@websocket {
\t\t\tmethod GET
\t\t\theader_regexp Upgrade (?i)^websocket$
\t\t}
\t\t@other not {
\t\t\tmethod GET
\t\t\theader_regexp Upgrade (?i)^websocket$
\t\t}
\t\trequest_header @websocket Connection Upgrade
\t\trequest_header @other -Connection";

pub(crate) fn traefik(contract: &Contract, arguments: &Arguments) -> Result<String, Failure> {
    let identity = arguments.identity()?;
    let names = capitalized(identity.names()).into_iter();
    let remove = lines(names.map(|name| format!("          {name}: \"\"")));
    let copy = match capitalized(identity.sent()).join(", ") {
        none if none.is_empty() => none,
        some => format!("\n        authResponseHeaders: [{some}]"),
    };
    let (router, middleware) = match arguments.websockets {
        true => (TRAEFIK_WEBSOCKET_ROUTER, format!("{TRAEFIK_WEBSOCKET_HEADERS}\n{remove}")),
        false => ("", String::new()),
    };
    let values = [
        ("copy", copy.as_str()),
        ("remove", &remove),
        ("websocket_router", router),
        ("websocket_headers", &middleware),
    ];
    Ok(fill_in(include_str!("traefik.yml"), contract, arguments, Target::Traefik, &values))
}

const TRAEFIK_WEBSOCKET_ROUTER: &str = r#"
    websocket:
      entryPoints: [stepup]
      # A CORS preflight needs no token, so it must not open a WebSocket.
      rule: "PathPrefix(`/`) && Method(`GET`) && HeaderRegexp(`Upgrade`, `(?i)^websocket$`)"
      middlewares: [stepup_websocket, stepup]
      service: upstream"#;

const TRAEFIK_WEBSOCKET_HEADERS: &str = r#"
    stepup_websocket:
      headers:
        customRequestHeaders:
          Connection: Upgrade"#;

pub(crate) fn envoy(contract: &Contract, envoy: &EnvoyArguments) -> Result<String, Failure> {
    let identity = envoy.arguments.identity()?;
    let exact: Vec<_> = identity.sent().map(|name| format!("{{ exact: {name} }}")).collect();
    let sent = match exact.join(", ") {
        // A list of patterns must not be empty.
        none if none.is_empty() => none,
        some => format!("\n                  allowed_upstream_headers: {{ patterns: [{some}] }}"),
    };
    let confusable = identity.names().map(|name| name.as_str().replace('-', "[^a-z0-9]"));
    let confusable = confusable.collect::<Vec<_>>().join("|");
    let over_http = HTTP.replace("{{sent}}", &sent).replace("{{confusable}}", &confusable);
    let (authorizer, protocol, mode) = match envoy.over {
        Over::Grpc => (GRPC, PROTOCOL, Mode::EnvoyGrpc),
        Over::Http => (over_http.as_str(), "", Mode::EnvoyHttp),
    };
    let remove = lines(identity.names().map(|name| format!("              - remove: {name}")));
    let upgrades = if envoy.arguments.websockets { ENVOY_WEBSOCKETS } else { "" };
    let values = [
        ("authorizer", authorizer),
        ("protocol", protocol),
        ("remove", &remove),
        ("upgrades", upgrades),
    ];
    Ok(fill_in(
        include_str!("envoy.yaml"),
        contract,
        &envoy.arguments,
        Target::Envoy(mode),
        &values,
    ))
}

const ENVOY_WEBSOCKETS: &str = "
          upgrade_configs: [{ upgrade_type: websocket }]";

/// Without this limit Envoy expects that one connection carries any number of concurrent checks.
const PROTOCOL: &str = "    http2_protocol_options: { max_concurrent_streams: 1024 }\n";

/// Envoy sends the headers as received, including repeated ones.
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
                - { exact: sec-websocket-protocol }
                # Step-up refuses these: a second method or target, and names similar to identity headers.
                - { safe_regex: { regex: "x[^a-z0-9](.*[^a-z0-9])?(method|url)([^a-z0-9].*)?" } }
                - { safe_regex: { regex: "(x[^a-z0-9](.*[^a-z0-9])?)?(script[^a-z0-9]name|path[^a-z0-9]info)" } }
                - { safe_regex: { regex: "x[^a-z0-9](traversal[^a-z0-9]path|vhm[^a-z0-9]root)" } }
                - { exact: forwarded }
                - { safe_regex: { regex: "x[^a-z0-9](forwarded|original)[^a-z0-9](host|port|prefix|proto|scheme|server)" } }
                # A preflight has none of these.
                - { exact: content-type }
                - { exact: cookie }
                - { safe_regex: { regex: "{{confusable}}" } }
              http_service:
                server_uri: { uri: "http://stepup_gateway", cluster: stepup_gateway, timeout: 5s }
                authorization_request: {}
                authorization_response:{{sent}}
                  allowed_client_headers:
                    patterns:
                    - { exact: www-authenticate }
                    - { exact: content-type }
                    - { exact: cache-control }
                    - { exact: access-control-expose-headers }
                    - { exact: access-control-allow-origin }
                    - { exact: access-control-allow-credentials }
                    - { exact: vary }
                    - { exact: dpop-nonce }
                    - { exact: retry-after }"#;

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// The text with its placeholders replaced, in one pass: a value that looks like a placeholder is not replaced again.
fn fill_in(
    text: &str,
    contract: &Contract,
    arguments: &Arguments,
    target: Target,
    values: &[(&str, &str)],
) -> String {
    let mode = target.mode();
    let default = || SocketAddr::from((Ipv4Addr::LOCALHOST, mode.port())).into();
    let gateway = arguments.gateway.clone().unwrap_or_else(default);
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut values: Vec<(String, String)> = values.iter().map(own).collect();
    let listen = arguments.listen.into();
    for (name, host) in
        [("listen", &listen), ("upstream", &arguments.upstream), ("gateway", &gateway)]
    {
        values.push((name.to_owned(), host.to_string()));
        values.push((format!("{name}_host"), host.host()));
        values.push((format!("{name}_port"), host.port().to_string()));
        values.push((format!("{name}_discovery"), host.discovery().to_owned()));
        values.push((format!("{name}_listening"), host.listen_address()));
    }
    values.push(("mode".to_owned(), mode.as_str().to_owned()));
    values.push(("service".to_owned(), target.comment(contract.service())));
    values.push(("protected".to_owned(), protected(contract, target)));
    let mut filled = String::with_capacity(2 * text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let placeholder = after.split_once("}}").and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| known == name)?;
            Some((value, after))
        });
        match placeholder {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A comment that lists the protected endpoints. The gateway checks every request, for any path.
fn protected(contract: &Contract, target: Target) -> String {
    let of = |trust| contract.endpoints().iter().filter(move |endpoint| endpoint.trust() == trust);
    let mut text = String::from("#\n# Step-up is required at:");
    for endpoint in of(Trust::Sensitive) {
        let _ = write!(text, "\n#   {}", target.comment(&contract.route(endpoint)));
    }
    if of(Trust::Sensitive).next().is_none() {
        text.push_str(" no endpoint");
    }
    let rest = match contract.unlisted() {
        Unlisted::Deny => "Requests that match no endpoint are refused.",
        Unlisted::Allow => "Requests that match no endpoint are allowed.",
    };
    let (standard, public) = (of(Trust::Standard).count(), of(Trust::Public).count());
    let public = if public == 0 { String::new() } else { format!(", and {public} are public") };
    let _ = write!(text, "\n# A valid token is enough at {standard} more{public}. {rest}");
    text
}

/// The program that reads a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Nginx,
    Caddy,
    Traefik,
    Envoy(Mode),
}

impl Target {
    /// The mode in which `stepup gateway` serves this program.
    fn mode(self) -> Mode {
        match self {
            Self::Nginx => Mode::Nginx,
            Self::Caddy | Self::Traefik => Mode::ForwardAuth,
            Self::Envoy(mode) => mode,
        }
    }

    /// A text of the contract on one line of a comment. Some programs interpret parts of comments.
    fn comment(self, text: &str) -> String {
        let text = visible(text);
        match self {
            // Environment variables are replaced everywhere.
            Self::Caddy => text.replace("{$", "{ $"),
            // The file is a Go template; this action writes two braces.
            Self::Traefik => text.replace("{{", "{{\"{{\"}}"),
            Self::Nginx | Self::Envoy(_) => text,
        }
    }
}
