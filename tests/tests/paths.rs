//! The corpus of spellings (`tests/paths/spellings.txt`) through the gateway in every mode, through the real
//! nginx, Caddy, Traefik and Envoy, and through the layer: none reaches a protected handler with a weak token, however
//! carelessly the upstream reads what reaches it.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use stepup_contract::Matcher;
use stepup_runtime::testing::{AUDIENCE, TestIssuer};
use stepup_runtime::{Contract, ContractLayer, StepUp};
use stepup_tests::careless::readings;
use stepup_tests::command::workspace;
use stepup_tests::envoy::{Asked, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::http2;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::upstream::{REACHED, Reached, Upstream, raw};

/// One spelling: a request line and header fields.
struct Spelling {
    method: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

fn spellings() -> Vec<Spelling> {
    let lines =
        include_str!("../paths/spellings.txt").lines().filter(|line| !line.starts_with("# "));
    let spellings: Vec<Spelling> = lines
        .map(|line| {
            let mut parts = line.split(" | ");
            let request = parts.next().expect("a request line");
            let (method, target) = request.split_once(' ').expect("a method and a target");
            let headers = parts.map(|part| part.split_once(": ").expect("a header")).collect();
            Spelling { method, target, headers }
        })
        .collect();
    spellings
}

impl Spelling {
    /// The request, as it would reach a server that stands behind nothing.
    fn as_it_is(&self) -> Reached {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::try_from(*name).expect("a name"),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        Reached { method: self.method.into(), target: self.target.into(), headers }
    }
}

#[test]
fn there_are_many_spellings_of_protected_paths_and_no_two_alike() {
    let of = |spelling: &Spelling| {
        format!("{} {} {:?}", spelling.method, spelling.target, spelling.headers)
    };
    let spellings = spellings();
    let protected = spellings.iter().filter(|one| is_protected(&one.as_it_is())).map(of);
    let protected = protected.collect::<BTreeSet<_>>().len();
    assert!(protected >= 200, "{protected}");
    let different = spellings.iter().map(of).collect::<BTreeSet<_>>().len();
    assert_eq!(different, spellings.len());
}

/// What stands in code in a cell of a table.
fn codes(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    let codes = cell.split('`').skip(1).step_by(2);
    codes.map(|code| code.split_once(' ').unwrap_or(("", code)))
}

/// The table of the page, row by row.
#[test]
fn the_page_says_what_is_refused_beside_what() {
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let table = page.split("| some servers overlook |").nth(1).expect("the table");
    let rows = table.split("\n\n").next().expect("its end").lines().skip(2);
    let mut count = 0;
    for row in rows {
        let mut cells = row.trim_matches('|').split(" | ").skip(1);
        let mut next = || cells.next().unwrap_or_else(|| panic!("a cell more in {row}"));
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

/// Whether a careless server could take the request for one for a protected endpoint.
fn is_protected(request: &Reached) -> bool {
    readings(request).iter().any(|(method, path)| {
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
            // The one that is not is `caf%C3%A9`, and what comes of it.
            _ if got => {
                let file =
                    below("/files/").filter(|file| !["caf%C3%A9", "caf\u{e9}"].contains(file));
                let made = |file: &str| file == "caf%c3%a9" && request.target == "/files/caf%C3%A9";
                let report = path == "/reports/admin/report";
                report || below("/admin/").is_some() || file.is_some_and(|file| !made(file))
            }
            _ => false,
        }
    })
}

/// The bytes of a request, its headers behind those of the gateway's own.
fn bytes(line: &str, own: &[(&str, &str)], spelling: &Spelling, token: &str) -> Vec<u8> {
    let mut request = format!("{line} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n");
    for (name, value) in own.iter().chain(&spelling.headers) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"));
    request.into_bytes()
}

fn was_let_through(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 2")
}

struct Stage {
    idp: TestIssuer,
    gateway: Gateway,
}

impl Stage {
    async fn new(unlisted: &str) -> Self {
        let idp = TestIssuer::start().await.expect("an issuer");
        let settings =
            format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
        let gateway = Gateway::start(&contract(unlisted).to_string(), &settings, None).await;
        Self { idp, gateway }
    }
}

#[tokio::test]
async fn no_spelling_is_let_through_by_the_gateway() {
    for unlisted in ["deny", "allow"] {
        let Stage { idp, gateway } = Stage::new(unlisted).await;
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
        let (mut wrong, mut let_through, mut decoded) = (Vec::new(), 0, 0);
        let mut guarded = 0;
        for spelling in spellings() {
            let Spelling { method, target, headers } = &spelling;
            let protected = is_protected(&spelling.as_it_is());
            for token in [&weak, &strong] {
                let own = [("X-Original-Method", *method), ("X-Original-URI", *target)];
                let nginx = bytes("GET /_stepup", &own, &spelling, token);
                let own = [("X-Forwarded-Method", *method), ("X-Forwarded-Uri", *target)];
                let forward_auth = bytes("GET /", &own, &spelling, token);
                let envoy_http = bytes(&format!("{method} {target}"), &[], &spelling, token);
                let mut through = Vec::new();
                let questions =
                    [("nginx", nginx), ("forward-auth", forward_auth), ("envoy-http", envoy_http)];
                // Envoy never sends a fragment: it refuses such a request itself, as is shown below.
                let questions = questions
                    .into_iter()
                    .filter(|(mode, _)| *mode != "envoy-http" || !target.contains('#'));
                for (mode, question) in questions {
                    if was_let_through(&raw(gateway.address(mode), &question).await) {
                        through.push(mode);
                    }
                }
                let authorization = format!("Bearer {token}");
                let lower: Vec<(String, &str)> =
                    headers.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
                for raw in [true, false] {
                    let mut sent: Vec<(&str, &str)> =
                        lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
                    sent.push(("authorization", &authorization));
                    let asked = Asked { method, target, headers: &sent, raw };
                    if envoy.check(&asked).await.is_ok() {
                        through.push("envoy-grpc");
                    }
                }
                if token == &weak && protected && !through.is_empty() {
                    wrong.push(format!("{method} {target} {headers:?} through {through:?}"));
                }
                let encoded = target.contains('%') && headers.is_empty();
                let everywhere = token == &strong && through.len() >= 4;
                let_through += usize::from(everywhere);
                guarded += usize::from(everywhere && protected);
                decoded += usize::from(everywhere && encoded);
                if token == &strong && *target == "/%61pprove-transaction" {
                    assert_eq!(through.len(), 5, "what needs no encoding is decoded: {through:?}");
                }
            }
        }
        assert!(wrong.is_empty(), "unlisted {unlisted}:\n{}", wrong.join("\n"));
        assert!(let_through >= 20, "only {let_through} are let through with a strong token");
        assert!(guarded >= 10, "only {guarded} protected ones are let through with a strong token");
        assert!(decoded >= 8, "only {decoded} encoded ones are let through with a strong token");
    }
}

#[tokio::test]
#[ignore = "needs nginx, Caddy, Traefik and Envoy; tests/run installs them"]
async fn no_spelling_reaches_a_protected_handler_behind_a_real_gateway() {
    for unlisted in ["deny", "allow"] {
        let Stage { idp, gateway } = Stage::new(unlisted).await;
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let through = Kind::ALL.map(|kind| through(kind, &gateway, &weak, &strong));
        let [nginx, caddy, traefik, envoy_http, envoy_grpc] = through;
        let wrong = tokio::join!(nginx, caddy, traefik, envoy_http, envoy_grpc);
        let wrong = [wrong.0, wrong.1, wrong.2, wrong.3, wrong.4].concat();
        assert!(wrong.is_empty(), "unlisted {unlisted}:\n{}", wrong.join("\n"));
    }
}

/// What reaches a protected handler behind one of them with the weak token.
async fn through(kind: Kind, gateway: &Gateway, weak: &str, strong: &str) -> Vec<String> {
    let upstream = Upstream::start().await;
    let proxy = Proxy::start(kind, gateway, upstream.address()).await;
    let mut wrong = Vec::new();
    // Those that speak both without more in their configuration.
    let both = matches!(kind, Kind::Traefik | Kind::EnvoyHttp | Kind::EnvoyGrpc);
    for http2 in [false, true].into_iter().filter(|http2| both || !http2) {
        let (mut reached, mut guarded) = (0, 0);
        let ask = async |spelling: &Spelling, token| {
            if http2 {
                over_http2(proxy.address, spelling, token).await;
            } else {
                let line = format!("{} {}", spelling.method, spelling.target);
                raw(proxy.address, &bytes(&line, &[], spelling, token)).await;
            }
            upstream.take()
        };
        // Of another form is no path of HTTP/2 (RFC 9113 §8.3.1): Envoy answers by closing the connection, a second
        // later.
        let spellings = spellings().into_iter();
        for spelling in spellings.filter(|one| !http2 || one.target.starts_with('/')) {
            for request in ask(&spelling, weak).await.iter().filter(|one| is_protected(one)) {
                let Spelling { method, target, headers } = &spelling;
                wrong.push(format!("{kind:?}: {method} {target} {headers:?} as {request:?}"));
            }
            let requests = ask(&spelling, strong).await;
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

/// The same request in the frames of HTTP/2.
async fn over_http2(proxy: SocketAddr, spelling: &Spelling, token: &str) {
    let bearer = format!("Bearer {token}");
    let mut fields = vec![
        (":method".to_owned(), spelling.method.as_bytes()),
        (":scheme".to_owned(), b"http"),
        (":authority".to_owned(), b"api"),
        (":path".to_owned(), spelling.target.as_bytes()),
    ];
    let headers = spelling.headers.iter();
    fields.extend(headers.map(|(name, value)| (name.to_lowercase(), value.as_bytes())));
    fields.push(("authorization".to_owned(), bearer.as_bytes()));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    http2::send(proxy, &fields).await;
}

#[tokio::test]
async fn no_spelling_reaches_a_protected_handler_behind_the_layer() {
    for unlisted in ["deny", "allow"] {
        let idp = TestIssuer::start().await.expect("an issuer");
        let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
        let contract = Contract::parse(contract(unlisted).to_string()).expect("a contract");
        let (address, upstream) = behind_the_layer(ContractLayer::new(contract, step_up)).await;
        let (weak, strong) = (idp.password_token(), idp.mfa_token());
        let (mut wrong, mut reached, mut guarded) = (Vec::new(), 0, 0);
        for spelling in spellings() {
            let line = format!("{} {}", spelling.method, spelling.target);
            let answer = raw(address, &bytes(&line, &[], &spelling, &weak)).await;
            let requests = upstream.take();
            assert_eq!(answer.contains(REACHED) && spelling.method != "HEAD", {
                !requests.is_empty() && spelling.method != "HEAD"
            });
            for request in requests.iter().filter(|request| is_protected(request)) {
                wrong.push(format!("{line} {:?} as {request:?}", spelling.headers));
            }
            raw(address, &bytes(&line, &[], &spelling, &strong)).await;
            let requests = upstream.take();
            reached += requests.len();
            guarded += requests.iter().filter(|request| is_protected(request)).count();
        }
        assert!(wrong.is_empty(), "unlisted {unlisted}:\n{}", wrong.join("\n"));
        assert!(reached >= 20, "only {reached} arrive with a strong token");
        assert!(guarded >= 10, "only {guarded} protected ones arrive with a strong token");
    }
}

/// The upstream's own service behind the layer.
async fn behind_the_layer(layer: ContractLayer) -> (SocketAddr, Upstream) {
    let upstream = Upstream::behind(|app: Router| app.layer(layer)).await;
    (upstream.address(), upstream)
}
