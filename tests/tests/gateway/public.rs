//! Public endpoints behind the gateway: no token is required or read, and no identity is passed on.

use serde_json::json;
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::{RESOURCE, bank, check_request, issuer};
use stepup_tests::envoy::{ClientRequest, EnvoyClient};
use stepup_tests::gateways::Gateway;
use stepup_tests::server::Answer;
use stepup_tests::upstream::send_raw;

#[tokio::test]
async fn a_public_endpoint_and_the_metadata_are_allowed_without_a_token() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = json!([
        {"method": "POST", "path": "/webhook", "trust": "public", "reason": "signed by Stripe",
         "security": {"step-up": false}},
        {"method": "GET", "path": "/me", "security": {"step-up": false}},
    ]);
    let settings = format!("{}\n[gateway]\nresource = \"{RESOURCE}\"\n", issuer(idp.url()));
    let gateway = Gateway::start(&contract.to_string(), &settings, None).await;
    let token = idp.password_token();
    for token in [None, Some("garbage"), Some(token.as_str())] {
        let check = check_request(&gateway, "POST", "/webhook");
        let check = token.into_iter().fold(check, reqwest::RequestBuilder::bearer_auth);
        let answer = Answer::of(check).await;
        assert_eq!(answer.status, 200, "{token:?}");
        assert_eq!(answer.headers["x-step-up-subject"], "", "{token:?}: nobody was identified");
    }
    for (method, target, status) in [
        ("GET", "/webhook", 403),
        ("GET", "/me", 401),
        ("GET", "/.well-known/oauth-protected-resource", 200),
        ("OPTIONS", "/.well-known/oauth-protected-resource", 200),
        ("POST", "/.well-known/oauth-protected-resource", 403),
        ("GET", "/.well-known/oauth-protected-resource/../../me", 400),
        ("GET", "/.well-known/oauth-protected-resource/x", 403),
        ("GET", "/.well-known/step-up-contract", 403),
    ] {
        let answer = Answer::of(check_request(&gateway, method, target)).await;
        assert_eq!(answer.status, status, "{method} {target}");
    }
}

#[tokio::test]
async fn a_target_in_another_form_than_origin_form_is_a_400_in_every_mode() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    let token = idp.mfa_token();
    for target in ["*", "/me#fragment", "/me?x#fragment"] {
        for (mode, line, names) in [
            ("nginx", "GET /_stepup".to_owned(), Some(["X-Original-Method", "X-Original-URI"])),
            ("forward-auth", "GET /".to_owned(), Some(["X-Forwarded-Method", "X-Forwarded-Uri"])),
            ("envoy-http", format!("POST {target}"), None),
        ] {
            // Envoy refuses a fragment itself, and hyper drops it.
            if names.is_none() && target.contains('#') {
                continue;
            }
            let mut request = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
            if let Some([method, uri]) = names {
                request.push_str(&format!("{method}: POST\r\n{uri}: {target}\r\n"));
            }
            request
                .push_str(&format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"));
            let answer = send_raw(gateway.address(mode), request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{mode} {target}: {answer}");
        }
    }
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
    // A path in the host is refused in every mode.
    let mut envoy = EnvoyClient::connect(gateway.address("envoy-grpc")).await;
    let authorization = format!("Bearer {token}");
    for (host, allowed) in [("api", true), ("api/pay?", false), ("user@api", false)] {
        let headers = [("authorization", authorization.as_str())];
        let request = ClientRequest { method: "GET", target: "/me", headers: &headers, raw: true };
        let answer = envoy.check_at(host, &request).await;
        assert_eq!(answer.is_ok(), allowed, "{host}: {answer:?}");
    }
    for (mode, line, names) in [
        ("nginx", "GET /_stepup", Some(["X-Original-Method", "X-Original-URI"])),
        ("forward-auth", "GET /", Some(["X-Forwarded-Method", "X-Forwarded-Uri"])),
        ("envoy-http", "GET /me", None),
    ] {
        for host in ["api/pay?", "api#x", "user@api", "api\\pay"] {
            let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
            if let Some([method, uri]) = names {
                request.push_str(&format!("{method}: GET\r\n{uri}: /me\r\n"));
            }
            request.push_str(&format!("Authorization: Bearer {token}\r\n\r\n"));
            let answer = send_raw(gateway.address(mode), request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{mode} {host}: {answer}");
        }
    }
}
