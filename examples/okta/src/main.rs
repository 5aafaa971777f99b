//! An API whose users log in at Okta. `docs/okta.md` explains how to configure Okta. Reads `OKTA_DOMAIN`,
//! `OKTA_AUDIENCE` and, if they are set, `OKTA_AUTHORIZATION_SERVER` and `ADDRESS`. Exits with 2 when a
//! setting is missing.

use axum::Router;
use std::env;
use std::process::ExitCode;
use stepup_runtime::{Contract, Issuer, Principal, StepUp, routes, step_up};
use tokio::net::TcpListener;

/// A valid token is enough.
#[step_up(get = "/user-profile", trust = "standard")]
async fn profile(user: Principal) -> String {
    format!("{} at {}\n", user.subject(), user.acr().unwrap_or("no level"))
}

/// Multi-factor authentication, at most five minutes ago.
#[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
async fn approve(user: Principal) -> String {
    format!("approved by {}\n", user.subject())
}

/// A phishing-resistant login, at most two minutes ago.
#[step_up(put = "/account/email", methods = ["phishing_resistant"], max_age = "2m")]
async fn change_email(user: Principal) -> String {
    format!("{} has a new address\n", user.subject())
}

fn app(step_up: StepUp) -> Router {
    routes![profile, approve, change_email].with_state(step_up)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (Ok(domain), Ok(audience)) = (env::var("OKTA_DOMAIN"), env::var("OKTA_AUDIENCE")) else {
        eprintln!(
            "set OKTA_DOMAIN, as in bank.okta.com, and OKTA_AUDIENCE, the audience of the authorization \
             server as in api://bank; docs/okta.md explains how to configure Okta"
        );
        return Ok(ExitCode::from(2));
    };
    let server = env::var("OKTA_AUTHORIZATION_SERVER").unwrap_or_else(|_| "default".into());
    let issuer = Issuer::okta(&domain, &server, audience);
    let contract = Contract::collect()?;
    // The builder also checks this and fails on an error. Print the warnings too.
    for finding in issuer.check(&contract).await? {
        eprintln!("{finding}");
    }
    let step_up = StepUp::builder().issuer(issuer).contract(contract).build().await?;
    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(&address).await?;
    println!("serving on http://{}; stop with Ctrl-C", listener.local_addr()?);
    axum::serve(listener, app(step_up)).await?;
    Ok(ExitCode::SUCCESS)
}
