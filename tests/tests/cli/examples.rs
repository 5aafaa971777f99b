//! The examples that need a tenant at an identity provider. Each lists its missing settings, has a contract
//! that the provider can satisfy, and does not start if the provider is unreachable.

use serde_json::json;
use std::process::{Command, Output};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{Contract, Issuer, Provider, Severity};
use stepup_tests::command::{cargo, run, stepup, target};
use stepup_tests::fake_issuer::{FakeIssuer, Response};

fn build(name: &str) -> std::path::PathBuf {
    cargo(&["build", "--quiet", "--package", name]);
    target().join("debug").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_example_lists_its_missing_settings_and_exits_with_2() {
    for (name, settings) in
        [("auth0", ["AUTH0_DOMAIN", "AUTH0_AUDIENCE"]), ("okta", ["OKTA_DOMAIN", "OKTA_AUDIENCE"])]
    {
        let program = build(name);
        for set in [None, Some(0), Some(1)] {
            let mut command = Command::new(&program);
            for setting in settings {
                command.env_remove(setting);
            }
            if let Some(index) = set {
                command.env(settings[index], "x");
            }
            let output = command.output().expect("the example runs");
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let stderr = text(&output.stderr);
            assert!(settings.iter().all(|setting| stderr.contains(setting)), "{stderr}");
        }
    }
}

#[test]
fn an_example_does_not_start_if_its_provider_is_unreachable() {
    for (name, prefix) in [("auth0", "AUTH0"), ("okta", "OKTA")] {
        let output: Output = Command::new(build(name))
            .env(format!("{prefix}_DOMAIN"), "127.0.0.1:1")
            .env(format!("{prefix}_AUDIENCE"), "https://api.bank.example")
            .env("ADDRESS", "127.0.0.1:0")
            .output()
            .expect("the example runs");
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains("its keys could not be loaded"), "{output:?}");
    }
}

/// The contract of an example, as `stepup export` reads it from the program.
fn contract(name: &str) -> Contract {
    let program = build(name);
    let output = run(stepup(), &["export", program.to_str().expect("a UTF-8 path")]);
    Contract::parse(output.stdout).expect("a contract")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_of_an_example_can_satisfy_its_contract() {
    let idp = TestIssuer::start().await.expect("an issuer");
    for (name, provider, acr_values) in [
        ("okta", Provider::Okta, json!(["urn:okta:loa:2fa:any", "phr", "phrh"])),
        (
            "auth0",
            Provider::Auth0,
            json!(["http://schemas.openid.net/pape/policies/2007/06/multi-factor"]),
        ),
    ] {
        let peer = FakeIssuer::start().await;
        let document = json!({
            "issuer": peer.url, "jwks_uri": format!("{}/jwks", idp.url()),
            "acr_values_supported": acr_values,
        });
        peer.on("/.well-known/openid-configuration", Response::json(&document));
        let issuer = Issuer::of(provider, &peer.url, "https://api.bank.example");
        let findings = issuer.check(&contract(name)).await.expect("an issuer");
        assert!(
            findings.iter().all(|finding| finding.severity == Severity::Warning),
            "{name}: {findings:?}"
        );
        let standard = Issuer::new(&peer.url, "https://api.bank.example");
        let findings = standard.check(&contract(name)).await.expect("an issuer");
        assert_eq!(
            findings[0].severity,
            Severity::Error,
            "{name} without the profile: {findings:?}"
        );
    }
}
