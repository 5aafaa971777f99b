//! Public endpoints behind the gateway: no token is required or read, and no identity is passed on.

use serde_json::json;
use stepup_runtime::testing::TestIssuer;
use stepup_tests::bank::{RESOURCE, check_request, issuer};
use stepup_tests::gateways::Gateway;
use stepup_tests::server::Answer;

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
