//! An API whose users log in at Auth0. `docs/auth0.md` explains how to configure Auth0. Reads
//! `AUTH0_DOMAIN`, `AUTH0_AUDIENCE` and, if it is set, `ADDRESS`. Exits with 2 when a setting is missing.

use axum::Router;
use std::env;
use std::process::ExitCode;
use stepup_runtime::{Contract, Issuer, Principal, StepUp, routes, step_up};
use tokio::net::TcpListener;

/// A valid token is enough.
#[step_up(get = "/user-profile", trust = "standard")]
async fn profile(user: Principal) -> String {
    format!("{}, logged in with {}\n", user.subject(), user.amr().join(" and "))
}

/// Multi-factor authentication, at most five minutes ago.
#[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
async fn approve(user: Principal) -> String {
    format!("approved by {}\n", user.subject())
}

fn app(step_up: StepUp) -> Router {
    routes![profile, approve].with_state(step_up)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (Ok(domain), Ok(audience)) = (env::var("AUTH0_DOMAIN"), env::var("AUTH0_AUDIENCE")) else {
        eprintln!(
            "set AUTH0_DOMAIN, as in bank.eu.auth0.com, and AUTH0_AUDIENCE, the identifier of the API \
             as in https://api.bank.example; docs/auth0.md explains how to configure Auth0"
        );
        return Ok(ExitCode::from(2));
    };
    let issuer = Issuer::auth0(&domain, audience);
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
