//! An issuer from flags or the settings file, and the [`Issuer`] that is built from it. The names are the same as in
//! code.

use crate::report::failure::Failure;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use std::{fmt, fs};
use stepup_contract::{ClaimPath, Method, ParseNameError, Profile};
use stepup_runtime::{Issuer, Provider};

/// An issuer and its vocabulary.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[command(next_help_heading = "The issuer")]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct IssuerArguments {
    /// The issuer's exact name, the `iss` of its tokens.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The audience that names the API, the `aud` of its tokens. May be repeated.
    #[arg(long, value_name = "AUDIENCE", requires = "issuer")]
    #[serde(default, deserialize_with = "one_or_several")]
    pub(crate) audience: Vec<String>,
    /// The issuer's product, which determines its vocabulary: standard, auth0, okta, entra, keycloak, cognito, pingone.
    #[arg(long, value_name = "NAME", requires = "issuer")]
    #[serde(default, deserialize_with = "parsed")]
    provider: Option<Provider>,
    /// The URL of its keys: Issuer::jwks_url [default: from discovery].
    #[arg(long, value_name = "URL", requires = "issuer")]
    jwks_url: Option<String>,
    /// Accept access tokens whose typ is JWT or missing: Issuer::allow_untyped_tokens.
    #[arg(long, requires = "issuer")]
    #[serde(default)]
    allow_untyped_tokens: bool,
    /// Accept only tokens that are bound to a key: Issuer::dpop_required.
    #[arg(long, requires = "issuer")]
    #[serde(default)]
    pub(crate) dpop_required: bool,
    /// Refuse this issuer's users at sensitive endpoints: Issuer::may_step_up(false).
    #[arg(long, requires = "issuer")]
    #[serde(default)]
    may_not_step_up: bool,
    /// How many seconds the issuer's clock may be ahead: Issuer::clock_skew.
    #[arg(long, value_name = "SECONDS", requires = "issuer")]
    clock_skew: Option<u32>,
    /// The shortest time between two fetches of its keys: Issuer::key_refresh_cooldown.
    #[arg(long, value_name = "SECONDS", requires = "issuer")]
    key_refresh_cooldown: Option<u32>,
    /// The longest time between two fetches of its keys: Issuer::key_refresh_interval.
    #[arg(long, value_name = "SECONDS", requires = "issuer")]
    key_refresh_interval: Option<u32>,
    /// How long its keys stay in use while it is unreachable: Issuer::max_stale.
    #[arg(long, value_name = "SECONDS", requires = "issuer")]
    max_stale: Option<u32>,
    /// The claim with the audience: Issuer::audience_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    audience_claim: Option<String>,
    /// A file with certificate authorities (PEM) that its certificate may be signed by: Issuer::ca_certificates.
    #[arg(long, value_name = "FILE", requires = "issuer")]
    ca_certificates: Option<PathBuf>,
    /// Start without its keys, and refuse its tokens with 503 until they are available: Issuer::lazy.
    #[arg(long, requires = "issuer")]
    #[serde(default)]
    lazy: bool,
    /// The namespace of its claims: Issuer::namespace.
    #[arg(long, value_name = "URL", requires = "issuer")]
    namespace: Option<String>,
    /// The acr values that request a method: Issuer::ask, as in mfa=urn:a,urn:b.
    #[arg(long, value_name = "METHOD=ACR,…", value_parser = ask, requires = "issuer")]
    #[serde(default, deserialize_with = "asks")]
    ask: Vec<(Method, Vec<String>)>,
    /// The methods that an acr proves: Issuer::proves, as in urn:a=mfa,otp.
    #[arg(long, value_name = "ACR=METHOD,…", value_parser = proves, requires = "issuer")]
    #[serde(default, deserialize_with = "proofs")]
    proves: Vec<(String, Vec<Method>)>,
    /// The methods that amr values prove together: Profile::amr_proves, as in hwk,user=phishing_resistant.
    #[arg(long, value_name = "AMR,…=METHOD,…", value_parser = amr_proves, requires = "issuer")]
    #[serde(default)]
    amr_proves: Vec<AmrProves>,
    /// The acr values that are levels, the weakest first: Profile::acr_order.
    #[arg(long, value_name = "ACR,…", value_delimiter = ',', requires = "issuer")]
    #[serde(default)]
    acr_order: Vec<String>,
    /// The claim with the methods: Profile::amr_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    amr_claim: Option<Claim>,
    /// The claim with the level: Profile::acr_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    acr_claim: Option<Claim>,
    /// The claim with all levels, as a list: Profile::acr_list_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer", conflicts_with = "acr_claim")]
    acr_list_claim: Option<Claim>,
    /// The claim with the time of the login: Profile::auth_time_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    auth_time_claim: Option<Claim>,
    /// A claim with further scopes, such as permissions: Profile::scopes_claim.
    #[arg(long, value_name = "CLAIM", requires = "issuer")]
    scopes_claim: Option<Claim>,
    /// Whether only a token names the issuer, although the settings list issuers.
    #[arg(skip)]
    #[serde(skip)]
    untrusted: bool,
    /// Two methods of different factor types count as mfa: Issuer::infer_mfa.
    #[arg(long, requires = "issuer")]
    #[serde(default)]
    infer_mfa: bool,
}

impl IssuerArguments {
    /// An unknown issuer; `untrusted` if the settings list other issuers.
    pub(crate) fn unknown(untrusted: bool) -> Self {
        Self { untrusted, ..Self::default() }
    }

    /// The error for settings that contradict each other, which the command line's parser would refuse.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let name = self.issuer.as_deref().unwrap_or_default();
        (self.acr_claim.is_some() && self.acr_list_claim.is_some())
            .then(|| format!("the issuer {name:?} has both acr-claim and acr-list-claim; keep one"))
    }

    pub(crate) fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    /// The issuer, for a command that checks its capabilities and verifies no token.
    pub(crate) fn to_check(&self) -> Result<Issuer, Failure> {
        let name = self.name()?;
        if self.provider == Some(Provider::Auth0)
            && self.audience.is_empty()
            && self.namespace.is_none()
        {
            return Err(Failure::Usage(
                "Auth0's claims are under the API's audience; use --audience, or --namespace"
                    .into(),
            ));
        }
        // The audience is not used, so any text will do.
        self.build(name, self.audience.first().map_or(name, String::as_str))
    }

    /// The issuer, for a command that verifies its tokens.
    pub(crate) fn to_verify(&self) -> Result<Issuer, Failure> {
        let name = self.name()?;
        let Some(audience) = self.audience.first() else {
            return Err(Failure::Usage(format!(
                "the issuer {name:?} has no audience; use --audience, the `aud` that names the API"
            )));
        };
        self.build(name, audience)
    }

    fn name(&self) -> Result<&str, Failure> {
        self.issuer.as_deref().ok_or_else(|| {
            Failure::Usage(
                "no issuer; use --issuer https://login.example, or [[issuers]] in the settings"
                    .into(),
            )
        })
    }

    fn build(&self, name: &str, audience: &str) -> Result<Issuer, Failure> {
        let provider = self.provider.unwrap_or(Provider::Standard);
        let mut issuer =
            Issuer::of(provider, name, audience).adjust(|profile| self.adjust(profile));
        for other in self.audience.iter().skip(1) {
            issuer = issuer.audience(other);
        }
        if let Some(url) = &self.jwks_url {
            issuer = issuer.jwks_url(url);
        }
        if self.allow_untyped_tokens {
            issuer = issuer.allow_untyped_tokens(true);
        }
        if self.dpop_required {
            issuer = issuer.dpop_required();
        }
        if self.may_not_step_up {
            issuer = issuer.may_step_up(false);
        }
        if let Some(seconds) = self.clock_skew {
            issuer = issuer.clock_skew(seconds);
        }
        if let Some(seconds) = self.key_refresh_cooldown {
            issuer = issuer.key_refresh_cooldown(Duration::from_secs(seconds.into()));
        }
        if let Some(seconds) = self.key_refresh_interval {
            issuer = issuer.key_refresh_interval(Duration::from_secs(seconds.into()));
        }
        if let Some(seconds) = self.max_stale {
            issuer = issuer.max_stale(Duration::from_secs(seconds.into()));
        }
        if let Some(claim) = &self.audience_claim {
            issuer = issuer.audience_claim(claim);
        }
        if let Some(path) = &self.ca_certificates {
            let unreadable = |source| Failure::Unreadable { path: path.clone(), source };
            issuer = issuer.ca_certificates(fs::read(path).map_err(unreadable)?);
        }
        if self.lazy {
            issuer = issuer.lazy();
        }
        Ok(issuer)
    }

    /// The provider's profile with these changes.
    pub(crate) fn adjust(&self, profile: Profile) -> Profile {
        let mut profile = profile.infer_mfa(self.infer_mfa);
        if let Some(namespace) = &self.namespace {
            profile = profile.namespace(namespace);
        }
        if !self.acr_order.is_empty() {
            profile = profile.acr_order(self.acr_order.iter());
        }
        if let Some(claim) = &self.amr_claim {
            profile = profile.amr_claim(claim.path());
        }
        if let Some(claim) = &self.acr_claim {
            profile = profile.acr_claim(claim.path());
        }
        if let Some(claim) = &self.acr_list_claim {
            profile = profile.acr_list_claim(claim.path());
        }
        if let Some(claim) = &self.auth_time_claim {
            profile = profile.auth_time_claim(claim.path());
        }
        if let Some(claim) = &self.scopes_claim {
            profile = profile.scopes_claim(claim.path());
        }
        for (method, values) in &self.ask {
            profile = profile.ask(method.clone(), values.iter());
        }
        for (acr, methods) in &self.proves {
            profile = profile.proves(acr, methods.iter().cloned());
        }
        for AmrProves { values, methods } in &self.amr_proves {
            profile = profile.amr_proves(values.iter(), methods.iter().cloned());
        }
        profile
    }

    /// Only the vocabulary, for commands that only read tokens.
    pub(crate) fn profile(&self) -> Profile {
        let provider = self.provider.unwrap_or(Provider::Standard);
        let name = self.issuer.as_deref().unwrap_or_default();
        let audience = self.audience.first().map_or(name, String::as_str);
        let mut profile =
            self.adjust(provider.profile(name, audience)).may_step_up(!self.may_not_step_up);
        if let Some(seconds) = self.clock_skew {
            profile = profile.clock_skew(seconds);
        }
        profile
    }
}

fn ask(text: &str) -> Result<(Method, Vec<String>), String> {
    let (method, values) = text.split_once('=').ok_or("write it as METHOD=ACR,…")?;
    if method.parse::<Method>().is_err() && methods_of(values.split(',')).is_ok() {
        return Err(format!("the method comes first; write {values}={method}"));
    }
    let method = method.parse::<Method>().map_err(|error| error.to_string())?;
    Ok((method, values.split(',').map(str::to_owned).collect()))
}

fn proves(text: &str) -> Result<(String, Vec<Method>), String> {
    // An acr may contain an equals sign; a method does not.
    let (acr, methods) = text.rsplit_once('=').ok_or("write it as ACR=METHOD,…")?;
    if methods_of(acr.split(',')).is_ok() && methods_of(methods.split(',')).is_err() {
        return Err(format!("the acr comes first; write {methods}={acr}"));
    }
    Ok((acr.to_owned(), methods_of(methods.split(',')).map_err(|error| error.to_string())?))
}

fn amr_proves(text: &str) -> Result<AmrProves, String> {
    let (values, methods) = text.rsplit_once('=').ok_or("write it as AMR,…=METHOD,…")?;
    check_amr_values(values.split(','))?;
    let methods = methods_of(methods.split(',')).map_err(|error| error.to_string())?;
    Ok(AmrProves { values: values.split(',').map(str::to_owned).collect(), methods })
}

/// Refuses values that no `amr` claim contains: those in the form of a contract.
fn check_amr_values<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let custom = values.find_map(|value| value.strip_prefix("custom:"));
    custom.map_or(Ok(()), |value| {
        Err(format!(
            "an amr value is written as in the token; write {value} instead of custom:{value}"
        ))
    })
}

fn methods_of<T: AsRef<str>>(
    names: impl IntoIterator<Item = T>,
) -> Result<Vec<Method>, ParseNameError> {
    names.into_iter().map(|name| name.as_ref().parse()).collect()
}

/// `{ values = ["hwk", "user"], methods = ["phishing_resistant"] }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmrProves {
    #[serde(deserialize_with = "amr_values")]
    values: Vec<String>,
    #[serde(deserialize_with = "methods")]
    methods: Vec<Method>,
}

/// The place of a claim: its name, or names from the outside in.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a claim is a name, or a list of names from the outside in")]
enum Claim {
    Name(String),
    Path(Vec<String>),
}

impl Claim {
    fn path(&self) -> ClaimPath {
        match self {
            Self::Name(name) => name.as_str().into(),
            Self::Path(names) => names.clone().into(),
        }
    }
}

impl From<String> for Claim {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

fn methods<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Method>, D::Error> {
    methods_of(Vec::<String>::deserialize(from)?).map_err(D::Error::custom)
}

fn amr_values<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let values = Vec::<String>::deserialize(from)?;
    check_amr_values(values.iter().map(String::as_str)).map_err(D::Error::custom)?;
    Ok(values)
}

fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an audience is a string, or a list of strings")]
    enum Audience {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Audience::deserialize(from)? {
        Audience::One(one) => vec![one],
        Audience::Several(several) => several,
    })
}

fn parsed<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

/// `{ mfa = ["urn:a", "urn:b"] }`
fn asks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Method, Vec<String>)>, D::Error> {
    let pairs = from.deserialize_map(Pairs)?.into_iter();
    pairs.map(|(method, values)| Ok((method.parse().map_err(D::Error::custom)?, values))).collect()
}

/// `{ "urn:a" = ["mfa", "otp"] }`
fn proofs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Vec<Method>)>, D::Error> {
    let pairs = from.deserialize_map(Pairs)?.into_iter();
    pairs.map(|(acr, methods)| Ok((acr, methods_of(methods).map_err(D::Error::custom)?))).collect()
}

/// A table of lists, in the order of the file.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Vec<String>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table whose values are lists of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
