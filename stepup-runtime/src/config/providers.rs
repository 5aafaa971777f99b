//! Identity providers by name: where each puts its claims, which `acr_values` request a method, and which `acr` proves
//! one. An `acr` that a provider merely echoes proves nothing. What an operator configures at the provider (levels,
//! policies, contexts) is stated on the [`Issuer`] with `ask` and `proves`.

use crate::config::issuer::Issuer;
use std::fmt;
use std::str::FromStr;
use stepup_contract::{Dialect, Method, Profile};

/// An identity provider whose vocabulary is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Any provider that follows RFC 9068 and RFC 9470.
    Standard,
    /// Auth0.
    Auth0,
    /// An Okta custom authorization server.
    Okta,
    /// Microsoft Entra ID.
    Entra,
    /// Keycloak.
    Keycloak,
    /// Amazon Cognito.
    Cognito,
    /// PingOne.
    PingOne,
}

/// The `acr_values` that request a second factor from Auth0.
const AUTH0_MFA: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

const NAMES: [(&str, Provider); 7] = [
    ("standard", Provider::Standard),
    ("auth0", Provider::Auth0),
    ("okta", Provider::Okta),
    ("entra", Provider::Entra),
    ("keycloak", Provider::Keycloak),
    ("cognito", Provider::Cognito),
    ("pingone", Provider::PingOne),
];

impl Provider {
    /// The provider's vocabulary, for an API with this audience and tokens of this issuer.
    pub fn profile(self, issuer: &str, audience: &str) -> Profile {
        let profile = Profile::default();
        match self {
            Self::Standard | Self::Keycloak | Self::Cognito | Self::PingOne => profile,
            // Access tokens lack these claims by default. The Action in docs/auth0.md adds them under the API's
            // identifier, because Auth0 reserves the plain names.
            Self::Auth0 => profile.namespace(audience).ask(Method::Mfa, [AUTH0_MFA]),
            // Okta's access tokens have the acr that was reached, and no amr. `…:ifpossible` proves nothing, and `phr`
            // does not prove a second factor.
            Self::Okta => profile
                .states_amr(false)
                .ask(Method::Mfa, ["urn:okta:loa:2fa:any"])
                .ask(Method::Pwd, ["urn:okta:loa:1fa:pwd"])
                .ask(Method::PhishingResistant, ["phr", "phrh"])
                .proves("urn:okta:loa:1fa:pwd", [Method::Pwd])
                .proves("urn:okta:loa:2fa:any", [Method::Mfa])
                .proves("phr", [Method::PhishingResistant])
                .proves("phrh", [Method::PhishingResistant, Method::Hwk]),
            // Each tenant defines what its authentication contexts (c1 to c99) require.
            Self::Entra => {
                let base = issuer.strip_suffix("/v2.0").unwrap_or(issuer);
                let authorization_uri = format!("{base}/oauth2/v2.0/authorize");
                profile
                    .states_amr(false)
                    .acr_list_claim("acrs")
                    .dialect(Dialect::EntraClaims { authorization_uri })
            }
        }
    }

    /// Whether its access tokens are of the type `at+jwt` (RFC 9068 §2.1).
    fn types_tokens(self) -> bool {
        self == Self::Standard
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, provider)| provider == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = NAMES.iter().find(|(name, _)| *name == text).map(|(_, provider)| *provider);
        known.ok_or_else(|| {
            format!("unknown provider {text:?}; one of {}", NAMES.map(|(name, _)| name).join(", "))
        })
    }
}

/// A host name, which people may write as an address.
fn host(text: &str) -> &str {
    text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/')
}

/// # Identity providers
///
/// "Choose your identity provider" in the documentation describes how to configure each provider.
impl Issuer {
    /// An issuer of a known provider, by its exact name.
    pub fn of(provider: Provider, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        let profile = provider.profile(&issuer, &audience);
        let issuer = Self::new(issuer, audience)
            .profile(profile)
            .allow_untyped_tokens(!provider.types_tokens());
        if provider == Provider::Cognito { issuer.audience_claim("client_id") } else { issuer }
    }

    /// An Auth0 tenant, as in `bank.eu.auth0.com`. Access tokens have `amr`, `acr` and `auth_time` only if an Action
    /// adds them, under the API's identifier or another [`namespace`](Issuer::namespace): see `docs/auth0.md`.
    pub fn auth0(domain: &str, audience: impl Into<String>) -> Self {
        Self::of(Provider::Auth0, format!("https://{}/", host(domain)), audience)
    }

    /// An Okta custom authorization server, as in `bank.okta.com` and `default`: see `docs/okta.md`.
    pub fn okta(domain: &str, authorization_server: &str, audience: impl Into<String>) -> Self {
        let issuer = format!("https://{}/oauth2/{authorization_server}", host(domain));
        Self::of(Provider::Okta, issuer, audience)
    }

    /// A Microsoft Entra tenant by its id, with tokens of version 2.0. The tenant defines what each authentication
    /// context requires: state it with [`ask`](Issuer::ask) and [`proves`](Issuer::proves), as in
    /// `.ask(Method::Mfa, ["c1"]).proves("c1", [Method::Mfa])`.
    pub fn entra(tenant: &str, audience: impl Into<String>) -> Self {
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        Self::of(Provider::Entra, issuer, audience)
    }

    /// A Keycloak realm, as in `https://sso.bank.example` and `bank`. The realm defines what each level requires: state
    /// it with [`ask`](Issuer::ask) and [`proves`](Issuer::proves).
    pub fn keycloak(base: &str, realm: &str, audience: impl Into<String>) -> Self {
        let issuer = format!("{}/realms/{realm}", base.trim_end_matches('/'));
        Self::of(Provider::Keycloak, issuer, audience)
    }

    /// An Amazon Cognito user pool, as in `eu-central-1` and `eu-central-1_AbCdEfGhI`, and the app client whose tokens
    /// are accepted: Cognito's access tokens name the client instead of an audience.
    pub fn cognito(region: &str, user_pool: &str, client_id: impl Into<String>) -> Self {
        let issuer = format!("https://cognito-idp.{region}.amazonaws.com/{user_pool}");
        Self::of(Provider::Cognito, issuer, client_id)
    }

    /// A PingOne environment, as in `auth.pingone.eu` and the environment's id. The environment defines what each
    /// policy requires: state it with [`ask`](Issuer::ask) and [`proves`](Issuer::proves).
    pub fn ping_one(domain: &str, environment: &str, audience: impl Into<String>) -> Self {
        let issuer = format!("https://{}/{environment}/as", host(domain));
        Self::of(Provider::PingOne, issuer, audience)
    }

    /// Reads `amr`, `acr` and `auth_time` under this namespace, as in
    /// `https://bank.example/claims` for `https://bank.example/claims/amr`.
    pub fn namespace(self, namespace: &str) -> Self {
        self.adjust(|profile| profile.namespace(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_have_the_exact_names_of_their_tokens() {
        for (issuer, name) in [
            (Issuer::auth0("bank.eu.auth0.com", "a"), "https://bank.eu.auth0.com/"),
            (Issuer::auth0("https://bank.eu.auth0.com/", "a"), "https://bank.eu.auth0.com/"),
            (Issuer::okta("bank.okta.com", "default", "a"), "https://bank.okta.com/oauth2/default"),
            (Issuer::entra("t", "a"), "https://login.microsoftonline.com/t/v2.0"),
            (Issuer::keycloak("https://sso.example/", "r", "a"), "https://sso.example/realms/r"),
            (
                Issuer::cognito("eu-west-1", "eu-west-1_X", "c"),
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_X",
            ),
            (Issuer::ping_one("auth.pingone.eu", "e", "a"), "https://auth.pingone.eu/e/as"),
        ] {
            assert_eq!(issuer.name(), name);
        }
    }

    #[test]
    fn every_provider_can_be_parsed_from_its_name() {
        for (name, provider) in NAMES {
            assert_eq!(name.parse(), Ok(provider));
            assert_eq!(provider.to_string(), name);
        }
        assert!("oktaa".parse::<Provider>().unwrap_err().contains("one of standard, auth0, okta"));
    }
}
