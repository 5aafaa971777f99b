//! Sends the requests in `tests/paths/spellings.txt` through the gateway in every mode, through the real nginx, Caddy,
//! Traefik and Envoy, and through the layer. With a weak token, none of them may reach a protected handler, even if the
//! upstream is lenient with methods and paths.

use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use stepup_contract::Matcher;
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{Contract, ContractEnforcer, ContractLayer, StepUp};
use stepup_tests::command::workspace;
use stepup_tests::envoy::{ClientRequest, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::http2;
use stepup_tests::lenient_router::request_variants;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::upstream::{ReceivedRequest, UPSTREAM_BODY, Upstream, send_raw};

/// A variant of a request for an endpoint: a request line and header fields.
struct RequestVariant {
    method: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

fn variants() -> Vec<RequestVariant> {
    let lines =
        include_str!("../../paths/spellings.txt").lines().filter(|line| !line.starts_with("# "));
    let variants: Vec<RequestVariant> = lines
        .map(|line| {
            let mut parts = line.split(" | ");
            let request = parts.next().expect("a request line");
            let (method, target) = request.split_once(' ').expect("a method and a target");
            let headers = parts.map(|part| part.split_once(": ").expect("a header")).collect();
            RequestVariant { method, target, headers }
        })
        .collect();
    variants
}

impl RequestVariant {
    /// The request as a server without a proxy receives it.
    fn as_sent(&self) -> ReceivedRequest {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::try_from(*name).expect("a name"),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        ReceivedRequest { method: self.method.into(), target: self.target.into(), headers }
    }
}

#[test]
fn many_variants_are_of_protected_paths_and_all_are_distinct() {
    let of = |variant: &RequestVariant| {
        format!("{} {} {:?}", variant.method, variant.target, variant.headers)
    };
    let variants = variants();
    let protected = variants.iter().filter(|one| is_protected(&one.as_sent())).map(of);
    let protected = protected.collect::<BTreeSet<_>>().len();
    assert!(protected >= 200, "{protected}");
    let distinct = variants.iter().map(of).collect::<BTreeSet<_>>().len();
    assert_eq!(distinct, variants.len());
}

/// The code spans in a table cell, each split into method and path.
fn codes(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    let codes = cell.split('`').skip(1).step_by(2);
    codes.map(|code| code.split_once(' ').unwrap_or(("", code)))
}

/// Checks each row of the table in `docs/gateways.md`.
#[test]
fn the_documented_requests_are_refused() {
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let table = page.split("| some servers overlook |").nth(1).expect("the table");
    let rows = table.split("\n\n").next().expect("its end").lines().skip(2);
    let mut count = 0;
    for row in rows {
        let mut cells = row.trim_matches('|').split(" | ").skip(1);
        let mut next = || cells.next().unwrap_or_else(|| panic!("missing cell in {row}"));
        let endpoints = codes(next()).map(|(method, path)| {
            let mut endpoint = json!({"path": path, "security": {"step-up": false}});
            if !method.is_empty() {
                endpoint["method"] = method.into();
            }
            endpoint
        });
        let contract = Contract::parse(endpoints.collect::<Value>().to_string());
        let matcher = Matcher::new(&contract.expect("a contract"));
        for (method, path) in codes(next()) {
            let method = if method.is_empty() { "GET" } else { method };
            assert!(matcher.find(method, path).is_err(), "{method} {path} in {row}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

fn contract(unlisted: &str) -> Value {
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let standard = json!({"step-up": false});
    json!({"contract": 1, "service": "bank", "version": "1", "unlisted": unlisted, "endpoints": [
        {"method": "POST", "path": "/approve-transaction", "security": mfa},
        {"method": "GET", "path": "/admin/{*rest}", "security": mfa},
        {"method": "POST", "path": "/accounts/7:close", "security": mfa},
        {"path": "/accounts/{id}", "security": standard},
        {"method": "DELETE", "path": "/users/@me", "security": mfa},
        {"path": "/users/{id}", "security": standard},
        {"method": "POST", "path": "/teams/{team}/delete", "security": mfa},
        {"method": "POST", "path": "/teams/public/delete", "security": standard},
        {"method": "POST", "path": "/teams/public/{action}", "security": standard},
        {"method": "POST", "path": "/settings/secret", "security": mfa},
        {"method": "POST", "path": "/settings/admin", "security": mfa},
        {"method": "POST", "path": "/settings/{name}", "security": standard},
        {"method": "GET", "path": "/reports/admin/report", "security": mfa},
        {"method": "GET", "path": "/reports/{tenant}/report.json", "security": standard},
        {"method": "DELETE", "path": "/orders/{id}", "security": mfa},
        {"method": "GET", "path": "/orders/me", "security": standard},
        {"method": "GET", "path": "/files/{*rest}", "security": mfa},
        {"method": "GET", "path": "/files/caf%C3%A9", "security": standard},
        {"method": "GET", "path": "/user-profile", "security": standard},
        {"path": "/public/{*rest}", "security": standard},
    ]})
}

/// Whether a lenient server could route the request to a protected endpoint.
fn is_protected(request: &ReceivedRequest) -> bool {
    request_variants(request).iter().any(|(method, path)| {
        let below = |parent: &str| path.strip_prefix(parent).filter(|rest| !rest.is_empty());
        let got = method == "GET" || method == "HEAD";
        let team = below("/teams/").and_then(|rest| rest.strip_suffix("/delete"));
        let team = team.filter(|team| !team.is_empty() && !team.contains('/') && *team != "public");
        match method.as_str() {
            "POST" => {
                let fixed = ["/approve-transaction", "/accounts/7:close", "/settings/secret"];
                fixed.contains(&path.as_str()) || path == "/settings/admin" || team.is_some()
            }
            "DELETE" => {
                path == "/users/@me" || below("/orders/").is_some_and(|id| !id.contains('/'))
            }
            // `caf%C3%A9`, its decoded form and its lower-case form are the only files that are not protected.
            _ if got => {
                let file =
                    below("/files/").filter(|file| !["caf%C3%A9", "caf\u{e9}"].contains(file));
                let lower_case =
                    |file: &str| file == "caf%c3%a9" && request.target == "/files/caf%C3%A9";
                let report = path == "/reports/admin/report";
                report || below("/admin/").is_some() || file.is_some_and(|file| !lower_case(file))
            }
            _ => false,
        }
    })
}

/// The bytes of a request. The headers of the proxy come before those of the variant.
fn bytes(
    line: &str,
    proxy_headers: &[(&str, &str)],
    variant: &RequestVariant,
    token: &str,
) -> Vec<u8> {
    let mut request = format!("{line} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n");
    for (name, value) in proxy_headers.iter().chain(&variant.headers) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"));
    request.into_bytes()
}

fn is_allowed(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 2")
}

/// An issuer and a gateway that trusts it.
struct Fixture {
    idp: TestIssuer,
    gateway: Gateway,
}

impl Fixture {
    async fn new(unlisted: &str) -> Self {
        let idp = TestIssuer::start().await.expect("an issuer");
        let settings =
            format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
        let gateway = Gateway::start(&contract(unlisted).to_string(), &settings, None).await;
        Self { idp, gateway }
    }
}

#[tokio::test]
async fn the_gateway_allows_no_variant_of_a_protected_path_with_a_weak_token() {
    for unlisted in ["deny", "allow"] {
        let Fixture { idp, gateway } = Fixture::new(unlisted).await;
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
        let (mut wrong, mut allowed, mut decoded) = (Vec::new(), 0, 0);
        let mut guarded = 0;
        for variant in variants() {
            let RequestVariant { method, target, headers } = &variant;
            let protected = is_protected(&variant.as_sent());
            for token in [&weak, &strong] {
                let proxy_headers = [("X-Original-Method", *method), ("X-Original-URI", *target)];
                let nginx = bytes("GET /_stepup", &proxy_headers, &variant, token);
                let proxy_headers = [("X-Forwarded-Method", *method), ("X-Forwarded-Uri", *target)];
                let forward_auth = bytes("GET /", &proxy_headers, &variant, token);
                let envoy_http = bytes(&format!("{method} {target}"), &[], &variant, token);
                let mut allowed_by = Vec::new();
                let checks =
                    [("nginx", nginx), ("forward-auth", forward_auth), ("envoy-http", envoy_http)];
                // Envoy refuses a request with a fragment itself and sends no check.
                let checks = checks
                    .into_iter()
                    .filter(|(mode, _)| *mode != "envoy-http" || !target.contains('#'));
                for (mode, check) in checks {
                    if is_allowed(&send_raw(gateway.address(mode), &check).await) {
                        allowed_by.push(mode);
                    }
                }
                let authorization = format!("Bearer {token}");
                let lower: Vec<(String, &str)> =
                    headers.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
                for raw in [true, false] {
                    let mut sent: Vec<(&str, &str)> =
                        lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
                    sent.push(("authorization", &authorization));
                    let request = ClientRequest { method, target, headers: &sent, raw };
                    if envoy.check(&request).await.is_ok() {
                        allowed_by.push("envoy-grpc");
                    }
                }
                if token == &weak && protected && !allowed_by.is_empty() {
                    wrong.push(format!("{method} {target} {headers:?} allowed by {allowed_by:?}"));
                }
                let encoded = target.contains('%') && headers.is_empty();
                let everywhere = token == &strong && allowed_by.len() >= 4;
                allowed += usize::from(everywhere);
                guarded += usize::from(everywhere && protected);
                decoded += usize::from(everywhere && encoded);
                if token == &strong && *target == "/%61pprove-transaction" {
                    assert_eq!(allowed_by.len(), 5, "unneeded encoding is decoded: {allowed_by:?}");
                }
            }
        }
        assert!(wrong.is_empty(), "unlisted {unlisted}:\n{}", wrong.join("\n"));
        assert!(allowed >= 20, "only {allowed} are allowed with a strong token");
        assert!(guarded >= 10, "only {guarded} protected ones are allowed with a strong token");
        assert!(decoded >= 8, "only {decoded} encoded ones are allowed with a strong token");
    }
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn no_variant_reaches_a_protected_handler_behind_a_real_proxy() {
    for unlisted in ["deny", "allow"] {
        let Fixture { idp, gateway } = Fixture::new(unlisted).await;
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let runs = Kind::ALL.map(|kind| wrongly_allowed(kind, &gateway, &weak, &strong));
        let [nginx, caddy, traefik, envoy_http, envoy_grpc, haproxy, apache] = runs;
        let wrong = tokio::join!(nginx, caddy, traefik, envoy_http, envoy_grpc, haproxy, apache);
        let wrong = <[Vec<String>; 7]>::from(wrong).concat();
        assert!(wrong.is_empty(), "unlisted {unlisted}:\n{}", wrong.join("\n"));
    }
}

/// The requests that reach a protected handler behind this kind of proxy with the weak token.
async fn wrongly_allowed(kind: Kind, gateway: &Gateway, weak: &str, strong: &str) -> Vec<String> {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(kind, gateway, upstream.address()).await;
    let mut wrong = Vec::new();
    // These kinds accept both versions of HTTP without additional configuration.
    let both = matches!(kind, Kind::Traefik | Kind::EnvoyHttp | Kind::EnvoyGrpc);
    for http2 in [false, true].into_iter().filter(|http2| both || !http2) {
        let (mut reached, mut guarded) = (0, 0);
        let send = async |variant: &RequestVariant, token| {
            if http2 {
                over_http2(proxy.address, variant, token).await;
            } else {
                let line = format!("{} {}", variant.method, variant.target);
                send_raw(proxy.address, &bytes(&line, &[], variant, token)).await;
            }
            upstream.take()
        };
        // A path in HTTP/2 starts with a slash (RFC 9113 §8.3.1). For any other path, Envoy closes the connection after
        // a second.
        let variants = variants().into_iter();
        for variant in variants.filter(|one| !http2 || one.target.starts_with('/')) {
            for request in send(&variant, weak).await.iter().filter(|one| is_protected(one)) {
                let RequestVariant { method, target, headers } = &variant;
                wrong.push(format!("{kind:?}: {method} {target} {headers:?} as {request:?}"));
            }
            let requests = send(&variant, strong).await;
            reached += requests.len();
            guarded += requests.iter().filter(|request| is_protected(request)).count();
        }
        assert!(reached >= 20, "{kind:?}: only {reached} arrive with a strong token");
        assert!(
            guarded >= 10,
            "{kind:?}: only {guarded} protected ones arrive with a strong token"
        );
    }
    wrong
}

/// Sends the same request over HTTP/2.
async fn over_http2(proxy: SocketAddr, variant: &RequestVariant, token: &str) {
    let bearer = format!("Bearer {token}");
    let mut fields = vec![
        (":method".to_owned(), variant.method.as_bytes()),
        (":scheme".to_owned(), b"http"),
        (":authority".to_owned(), b"api"),
        (":path".to_owned(), variant.target.as_bytes()),
    ];
    let headers = variant.headers.iter();
    fields.extend(headers.map(|(name, value)| (name.to_lowercase(), value.as_bytes())));
    fields.push(("authorization".to_owned(), bearer.as_bytes()));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    http2::send(proxy, &fields).await;
}

#[tokio::test]
async fn no_variant_reaches_a_protected_handler_behind_the_layer() {
    for unlisted in ["deny", "allow"] {
        let idp = TestIssuer::start().await.expect("an issuer");
        let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
        let contract = Contract::parse(contract(unlisted).to_string()).expect("a contract");
        let (address, upstream) =
            behind_the_layer(ContractEnforcer::new(&contract, step_up).into()).await;
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let (mut wrong, mut reached, mut guarded) = (Vec::new(), 0, 0);
        for variant in variants() {
            let line = format!("{} {}", variant.method, variant.target);
            let answer = send_raw(address, &bytes(&line, &[], &variant, &weak)).await;
            let requests = upstream.take();
            assert_eq!(answer.contains(UPSTREAM_BODY) && variant.method != "HEAD", {
                !requests.is_empty() && variant.method != "HEAD"
            });
            for request in requests.iter().filter(|request| is_protected(request)) {
                wrong.push(format!("{line} {:?} as {request:?}", variant.headers));
            }
            send_raw(address, &bytes(&line, &[], &variant, &strong)).await;
            let requests = upstream.take();
            reached += requests.len();
            guarded += requests.iter().filter(|request| is_protected(request)).count();
        }
        assert!(wrong.is_empty(), "unlisted {unlisted}:\n{}", wrong.join("\n"));
        assert!(reached >= 20, "only {reached} arrive with a strong token");
        assert!(guarded >= 10, "only {guarded} protected ones arrive with a strong token");
    }
}

/// Starts an upstream whose router is wrapped in the layer.
async fn behind_the_layer(layer: ContractLayer) -> (SocketAddr, Upstream) {
    let upstream = Upstream::behind(|app: Router| app.layer(layer)).await;
    (upstream.address(), upstream)
}
