//! A web page of another origin reads the challenge, in Chromium, through every proxy and from guarded handlers.

use axum::Router;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{StepUp, routes, step_up};
use stepup_tests::bank::{contract, issuer};
use stepup_tests::chromium::Page;
use stepup_tests::gateways::Gateway;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::server::Server;
use stepup_tests::upstream::Upstream;

/// Calls each API as a client does, and displays what the page can read.
const SCRIPT: &str = r#"
async function read(url, token) {
  try {
    const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'step-up-attempt': '0' } });
    const challenge = response.headers.get('www-authenticate') ?? '';
    const body = await response.json().catch(() => ({}));
    return { status: response.status, challenge, values: body.acr_values ?? null };
  } catch (error) {
    return { status: 0, challenge: String(error), values: null };
  }
}
const results = [];
for (const url of URLS) for (const token of [WEAK, STRONG]) results.push(await read(url, token));
"#;

fn set(page: &Page, urls: &[String], idp: &TestIssuer) {
    let text = format!(
        "const URLS = {}; const WEAK = {:?}; const STRONG = {:?};{SCRIPT}",
        json!(urls),
        idp.password_token(),
        idp.mfa_token(),
    );
    page.set(&text);
}

/// Checks what the page reads from each API: the challenge for a weak token, and the response for a strong one.
#[track_caller]
fn assert_readable(results: &[Value], names: &[String]) {
    assert_eq!(results.len(), 2 * names.len());
    for (name, result) in names.iter().zip(results.chunks(2)) {
        assert_eq!(result[0]["status"], 401, "{name}: {result:?}");
        assert_eq!(result[0]["values"], "mfa", "{name}: {result:?}");
        let challenge = result[0]["challenge"].as_str().unwrap_or_default();
        assert!(challenge.contains("insufficient_user_authentication"), "{name}: {result:?}");
        assert_eq!(result[1]["status"], 200, "{name}: {result:?}");
    }
}

/// An upstream that allows pages of this origin, as a CORS layer does.
async fn upstream(origin: &str) -> Upstream {
    let origin = origin.to_owned();
    Upstream::behind(|app| {
        app.layer(axum::middleware::map_response(move |mut response: Response| {
            let headers = response.headers_mut();
            headers.insert("access-control-allow-origin", origin.parse().expect("a header"));
            let allowed = "authorization, dpop, step-up-attempt, step-up-action";
            headers.insert("access-control-allow-headers", allowed.parse().expect("a header"));
            async { response.into_response() }
        }))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and every proxy; tests/run installs them"]
async fn a_page_of_an_allowed_origin_reads_the_challenge_through_every_proxy() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut page = Page::start().await;
    let origin = page.origin();
    let settings = format!("{}\n[gateway]\nallow-origin = [\"{origin}\"]\n", issuer(idp.url()));
    let gateway = Gateway::start(&contract(&json!(["mfa"])).to_string(), &settings, None).await;
    let upstream = upstream(&origin).await;
    let mut proxies = Vec::new();
    for kind in Kind::ALL {
        proxies.push((kind, Proxy::start(kind, &gateway, upstream.address()).await));
    }
    let urls: Vec<String> =
        proxies.iter().map(|(_, proxy)| format!("http://{}/pay", proxy.address)).collect();
    set(&page, &urls, &idp);
    let names: Vec<String> = proxies.iter().map(|(kind, _)| format!("{kind:?}")).collect();
    assert_readable(&page.results().await, &names);
    // A page of another origin cannot read the refusal, and learns no more than before.
    for (kind, proxy) in &proxies {
        let weak = format!("Bearer {}", idp.password_token());
        for (other, readable) in [("https://evil.example", false), (origin.as_str(), true)] {
            let headers = [("Authorization", weak.as_str()), ("Origin", other)];
            let (status, answer) = proxy.call("POST /pay", &headers).await;
            let answer = answer.to_ascii_lowercase();
            let named = answer.contains(&format!("access-control-allow-origin: {origin}\r\n"));
            assert_eq!((status, named), (401, readable), "{kind:?} {other}: {answer}");
            assert!(!answer.contains("evil.example"), "{kind:?}: {answer}");
        }
    }
}

#[step_up(post = "/pay", methods = ["mfa"])]
async fn pay() -> &'static str {
    "paid"
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium; tests/run installs it"]
async fn a_page_of_an_allowed_origin_reads_the_challenge_of_a_guarded_handler() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut page = Page::start().await;
    let origin = page.origin();
    let contract = stepup_runtime::Contract::parse(
        json!([{"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}}])
            .to_string(),
    );
    let builder = StepUp::builder().issuer(idp.issuer()).allow_origin(&origin);
    let step_up = builder.contract(contract.expect("a contract")).build().await.expect("built");
    // The CORS layer is inside: it answers preflights, but does not see refusals.
    let allowed = tower_http::cors::CorsLayer::new()
        .allow_origin([origin.parse().expect("an origin")])
        .allow_headers(
            ["authorization", "dpop", "step-up-attempt", "step-up-action"]
                .map(|name| name.parse::<http::HeaderName>().expect("a header")),
        );
    let router: Router<StepUp> = routes![pay].layer(allowed);
    let server = Server::start(step_up.protect(router).with_state(step_up)).await;
    set(&page, &[server.url("/pay")], &idp);
    assert_readable(&page.results().await, &["a guarded handler".into()]);
}
