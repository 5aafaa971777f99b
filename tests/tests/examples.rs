//! The examples that need somebody's tenant: that they say what they need, that their contract is one
//! which the provider can satisfy, and that they do not start without the provider.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use serde_json::json;
use std::process::{Command, Output};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{Contract, Issuer, Provider, Severity};
use stepup_tests::command::{cargo, run, stepup, target};
use stepup_tests::scripted::{Script, Scripted};

fn built(name: &str) -> std::path::PathBuf {
    cargo(&["build", "--quiet", "--package", name]);
    target().join("debug").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_example_without_its_settings_says_which_and_exits_with_2() {
    for (name, settings) in
        [("auth0", ["AUTH0_DOMAIN", "AUTH0_AUDIENCE"]), ("okta", ["OKTA_DOMAIN", "OKTA_AUDIENCE"])]
    {
        let program = built(name);
        for set in [None, Some(0), Some(1)] {
            let mut command = Command::new(&program);
            for setting in settings {
                command.env_remove(setting);
            }
            if let Some(index) = set {
                command.env(settings[index], "x");
            }
            let output = command.output().expect("it runs");
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let said = text(&output.stderr);
            assert!(settings.iter().all(|setting| said.contains(setting)), "{said}");
        }
    }
}

#[test]
fn an_example_whose_provider_cannot_be_reached_does_not_start() {
    for (name, prefix) in [("auth0", "AUTH0"), ("okta", "OKTA")] {
        let output: Output = Command::new(built(name))
            .env(format!("{prefix}_DOMAIN"), "127.0.0.1:1")
            .env(format!("{prefix}_AUDIENCE"), "https://api.bank.example")
            .env("ADDRESS", "127.0.0.1:0")
            .output()
            .expect("it runs");
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains("its keys could not be had"), "{output:?}");
    }
}

/// The contract of an example, as the command reads it from the program.
fn contract(name: &str) -> Contract {
    let program = built(name);
    let output = run(stepup(), &["export", program.to_str().expect("a path of text")]);
    Contract::parse(output.stdout).expect("a contract")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_example_asks_for_can_be_satisfied_by_its_provider() {
    let idp = TestIssuer::start().await.expect("an issuer");
    for (name, provider, acr_values) in [
        ("okta", Provider::Okta, json!(["urn:okta:loa:2fa:any", "phr", "phrh"])),
        (
            "auth0",
            Provider::Auth0,
            json!(["http://schemas.openid.net/pape/policies/2007/06/multi-factor"]),
        ),
    ] {
        let peer = Scripted::start().await;
        let document = json!({
            "issuer": peer.url, "jwks_uri": format!("{}/jwks", idp.url()),
            "acr_values_supported": acr_values,
        });
        peer.on("/.well-known/openid-configuration", Script::json(&document));
        let issuer = Issuer::of(provider, &peer.url, "https://api.bank.example");
        let found = issuer.check(&contract(name)).await.expect("an issuer");
        assert!(found.iter().all(|found| found.severity == Severity::Warning), "{name}: {found:?}");
        let standard = Issuer::new(&peer.url, "https://api.bank.example");
        let found = standard.check(&contract(name)).await.expect("an issuer");
        assert_eq!(found[0].severity, Severity::Error, "{name} without the profile: {found:?}");
    }
}
