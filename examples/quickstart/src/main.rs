//! Two endpoints, one of which requires step-up. Starts a development issuer in the same process, prints
//! the contract, calls both endpoints over HTTP, revokes the user's sessions, and then serves the endpoints. `--once` exits
//! after the calls, with status 0 only if every response was the expected one.

use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{Contract, NoticeTarget, Principal, Sessions, StepUp, routes, step_up};
use tokio::net::TcpListener;

#[derive(Serialize, Deserialize)]
struct Transaction {
    amount: u32,
    to: String,
}

#[derive(Serialize)]
struct Profile {
    user: String,
    logged_in_with: Vec<String>,
}

/// A valid token is enough.
#[step_up(get = "/user-profile", trust = "standard")]
async fn profile(user: Principal) -> Json<Profile> {
    Json(Profile { user: user.subject().to_owned(), logged_in_with: user.amr().to_vec() })
}

/// Multi-factor authentication, at most five minutes ago.
#[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
async fn approve(user: Principal, Json(transaction): Json<Transaction>) -> String {
    let Transaction { amount, to } = transaction;
    format!("{} approved {amount} to {to}\n", user.subject())
}

fn app(step_up: StepUp) -> Router {
    step_up.protect(routes![profile, approve]).with_state(step_up)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let contract = Contract::collect()?;
    println!("The contract:\n\n{}", contract.to_json());

    let idp = TestIssuer::start().await?;
    // In memory, because it is a demonstration; Sessions::open keeps revocations in a file.
    let builder = StepUp::builder().issuer(idp.issuer()).contract(contract);
    let step_up = builder.sessions(Sessions::memory()).build().await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let routes = app(step_up.clone());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });

    let as_expected = call_endpoints(&url, &idp).await? && revoke(&url, &idp, &step_up).await?;
    if std::env::args().any(|argument| argument == "--once") {
        return Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }

    println!("\nServing on {url}; stop with Ctrl-C. Try:\n");
    println!("  TOKEN={}", idp.password_token());
    println!("  MFA={}\n", idp.mfa_token());
    println!("  curl -i {url}/user-profile -H \"Authorization: Bearer $TOKEN\"");
    let post = r#"-H "Content-Type: application/json" -d '{"amount":100,"to":"bob"}'"#;
    for token in ["TOKEN", "MFA"] {
        println!(
            "  curl -i {url}/approve-transaction -H \"Authorization: Bearer ${token}\" {post}"
        );
    }
    server.await??;
    Ok(ExitCode::SUCCESS)
}

/// Ends all sessions of a user: a token that was good a moment ago is refused. Returns whether that was so.
async fn revoke(
    url: &str,
    idp: &TestIssuer,
    step_up: &StepUp,
) -> Result<bool, Box<dyn std::error::Error>> {
    let token = idp.token().subject("bob").mint();
    let profile = || reqwest::Client::new().get(format!("{url}/user-profile")).bearer_auth(&token);
    let before = profile().send().await?.status();
    let bob = NoticeTarget::subject(idp.url(), "bob");
    step_up.sessions().revoke(bob, "bob has lost his phone").await?;
    let response = profile().send().await?;
    let after = response.status();
    println!(
        "profile of bob: {}; after his sessions were revoked: {}",
        before.as_u16(),
        after.as_u16()
    );
    println!("    {}", response.text().await?);
    Ok(before == 200 && after == 401)
}

/// Calls both endpoints with three kinds of tokens. Returns whether every response was the expected one.
async fn call_endpoints(url: &str, idp: &TestIssuer) -> Result<bool, reqwest::Error> {
    let client = reqwest::Client::new();
    let profile = || client.get(format!("{url}/user-profile"));
    let transaction = Transaction { amount: 100, to: "bob".into() };
    let approve = || client.post(format!("{url}/approve-transaction")).json(&transaction);

    let calls = [
        ("profile, logged in with a password", profile(), idp.password_token(), 200, ""),
        (
            "approve, logged in with a password",
            approve(),
            idp.password_token(),
            401,
            "acr_values=\"mfa\"",
        ),
        (
            "approve, two factors an hour ago",
            approve(),
            idp.old_mfa_token(),
            401,
            "max_age=\"300\"",
        ),
        ("approve, two factors just now", approve(), idp.mfa_token(), 200, ""),
    ];
    let mut as_expected = true;
    for (label, request, token, status, challenge) in calls {
        let response = request.bearer_auth(token).send().await?;
        let got = response.status().as_u16();
        let header = response.headers().get("www-authenticate").and_then(|h| h.to_str().ok());
        let header = header.unwrap_or_default().to_owned();
        as_expected &= got == status && header.contains(challenge);
        println!("{label}: {got}");
        if !header.is_empty() {
            println!("    WWW-Authenticate: {header}");
        }
        println!("    {}", response.text().await?.trim_end());
    }
    Ok(as_expected)
}
