//! One issuer's vocabulary of authentication: how to request a method, and what proves one. The two are separate.
//!
//! *Asking* maps what an endpoint requires to the `acr_values` that a client should request. *Proving* maps an `acr` in
//! a token to the methods that it proves. A value can be requested and prove nothing (an identity provider's "if
//! possible"), and a value that an identity provider merely echoes must never prove anything. `amr` never proves an
//! `acr`.

use crate::model::{Method, MethodSet, NO_LEVEL};
use crate::profile::authentication::Authentication;
use crate::profile::claim_path::{ClaimPath, numeric_date, scopes, strings};
use serde_json::{Map, Value};

/// One issuer's vocabulary of authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    ask: Vec<(Method, Vec<String>)>,
    proves: Vec<(String, Vec<Method>)>,
    amr_proves: Vec<(Vec<String>, Vec<Method>)>,
    states_amr: bool,
    acr_order: Vec<String>,
    amr_claim: ClaimPath,
    acr_claim: ClaimPath,
    acr_is_list: bool,
    auth_time_claim: ClaimPath,
    scopes_claim: Option<ClaimPath>,
    infer_mfa: bool,
    may_step_up: bool,
    clock_skew: u32,
    dialect: Dialect,
}

/// The form of challenge that an issuer's clients understand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `insufficient_user_authentication` with `acr_values` and `max_age` (RFC 9470).
    #[default]
    Standard,
    /// Microsoft Entra's claims challenge: `insufficient_claims` with `claims`, which requests an authentication
    /// context. For clients that declare to understand it (`cp1` in `xms_cc`); others get the standard challenge.
    EntraClaims {
        /// The address where the client logs in.
        authorization_uri: String,
    },
}

impl Default for Profile {
    /// An issuer with standard claims and no mapping: each `amr` value proves its method, methods are requested by
    /// their own names, and the clock skew is 30 seconds.
    fn default() -> Self {
        Self {
            ask: Vec::new(),
            proves: Vec::new(),
            amr_proves: Vec::new(),
            states_amr: true,
            acr_order: Vec::new(),
            amr_claim: "amr".into(),
            acr_claim: "acr".into(),
            acr_is_list: false,
            auth_time_claim: "auth_time".into(),
            scopes_claim: None,
            infer_mfa: false,
            may_step_up: true,
            clock_skew: 30,
            dialect: Dialect::Standard,
        }
    }
}

impl Profile {
    /// Sets the `acr_values` that request `method`, in order of preference. This proves nothing; see
    /// [`Profile::proves`].
    #[must_use]
    pub fn ask<V: Into<String>>(
        mut self,
        method: Method,
        acr_values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values: Vec<String> = acr_values.into_iter().map(Into::into).collect();
        match self.ask.iter_mut().find(|(asked, _)| *asked == method) {
            Some((_, known)) => known.extend(values),
            None => self.ask.push((method, values)),
        }
        self
    }

    /// States that a token with this `acr` proves these methods. Use it only for values that the identity provider
    /// sends after it has performed the methods.
    ///
    /// This requests nothing: a value for administrators must not appear in a customer's challenge. To request the
    /// value too, add [`Profile::ask`]. One exception: where no other login could satisfy the endpoint, the challenge
    /// requests the value, because it would lead nowhere otherwise.
    #[must_use]
    pub fn proves(
        mut self,
        acr: impl Into<String>,
        methods: impl IntoIterator<Item = Method>,
    ) -> Self {
        let acr = acr.into();
        match self.proves.iter_mut().find(|(known, _)| *known == acr) {
            Some((_, known)) => known.extend(methods),
            None => self.proves.push((acr, methods.into_iter().collect())),
        }
        self
    }

    /// States that a token whose `amr` contains all of these values also proves `methods`. This lets an issuer's own
    /// values prove a group, above all `phishing_resistant`, which no registered value proves. An empty list proves
    /// nothing.
    #[must_use]
    pub fn amr_proves<V: Into<String>>(
        mut self,
        values: impl IntoIterator<Item = V>,
        methods: impl IntoIterator<Item = Method>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.amr_proves.push((values, methods.into_iter().collect()));
        self
    }

    /// Whether the issuer's access tokens contain `amr`. True by default. If false, `check` reports that a method that
    /// only `amr` can prove cannot be satisfied.
    #[must_use]
    pub fn states_amr(mut self, states: bool) -> Self {
        self.states_amr = states;
        self
    }

    /// Declares that these `acr` values are levels, the weakest first: a token at one level satisfies a requirement of
    /// a weaker one, and proves what the weaker ones prove. Without this, no order is assumed (RFC 9470 §4).
    #[must_use]
    pub fn acr_order<V: Into<String>>(
        mut self,
        weakest_first: impl IntoIterator<Item = V>,
    ) -> Self {
        self.acr_order = weakest_first.into_iter().map(Into::into).collect();
        self
    }

    /// Reads `amr`, `acr` and `auth_time` under one namespace: `https://bank.example/amr` and so on for
    /// `https://bank.example`.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        let namespace = namespace.trim_end_matches('/');
        let claim = |name: &str| format!("{namespace}/{name}");
        self.amr_claim(claim("amr")).acr_claim(claim("acr")).auth_time_claim(claim("auth_time"))
    }

    /// Sets the claim with the methods, an array of strings: `amr` by default.
    #[must_use]
    pub fn amr_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.amr_claim = path.into();
        self
    }

    /// Sets a claim with further scopes, an array of strings or space-separated words, such as Auth0's `permissions`.
    #[must_use]
    pub fn scopes_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.scopes_claim = Some(path.into());
        self
    }

    /// The claim with further scopes.
    pub fn scopes_path(&self) -> Option<&ClaimPath> {
        self.scopes_claim.as_ref()
    }

    /// Sets the claim with the authentication context class, a string: `acr` by default.
    #[must_use]
    pub fn acr_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.acr_claim = path.into();
        self.acr_is_list = false;
        self
    }

    /// Sets the claim with all authentication contexts, an array of strings.
    #[must_use]
    pub fn acr_list_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.acr_claim = path.into();
        self.acr_is_list = true;
        self
    }

    /// Sets the claim with the time of the last active authentication, in seconds since the epoch: `auth_time` by
    /// default.
    #[must_use]
    pub fn auth_time_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.auth_time_claim = path.into();
        self
    }

    /// Sets the form of challenge that this issuer's clients understand.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Whether two methods of different factor types (a password and a one-time code) count as `mfa`. False by default,
    /// because some identity providers report methods of an earlier login.
    #[must_use]
    pub fn infer_mfa(mut self, infer: bool) -> Self {
        self.infer_mfa = infer;
        self
    }

    /// Whether this issuer's users may call sensitive endpoints. True by default.
    #[must_use]
    pub fn may_step_up(mut self, may: bool) -> Self {
        self.may_step_up = may;
        self
    }

    /// How many seconds the issuer's clock may be ahead of this API's: 30 by default.
    #[must_use]
    pub fn clock_skew(mut self, seconds: u32) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// How many seconds the issuer's clock may be ahead of this API's.
    pub fn skew(&self) -> u32 {
        self.clock_skew
    }

    /// The declared levels, the weakest first.
    pub fn acr_levels(&self) -> &[String] {
        &self.acr_order
    }

    /// Whether this issuer's users may call sensitive endpoints.
    pub fn steps_up(&self) -> bool {
        self.may_step_up
    }

    /// Whether a token's `amr` can prove this method, directly or through [`Profile::amr_proves`].
    pub fn amr_can_prove(&self, method: &Method) -> bool {
        let mut derived = self.amr_proves.iter().filter(|(values, _)| !values.is_empty());
        self.states_amr
            && (*method != Method::PhishingResistant
                || derived.any(|(_, methods)| methods.contains(method)))
    }

    /// Whether a token with this `acr` satisfies a requirement of one of these, directly or as a higher level.
    pub fn meets(&self, acr: &str, required: &[String]) -> bool {
        let weaker = self.levels_around(acr).0;
        required.iter().any(|one| one == acr || weaker.contains(one))
    }

    /// The declared levels below an `acr` and those above it, the weakest first.
    fn levels_around(&self, acr: &str) -> (&[String], &[String]) {
        let level = self.acr_order.iter().position(|known| known == acr);
        let around = level.and_then(|level| {
            let (weaker, rest) = self.acr_order.split_at_checked(level)?;
            Some((weaker, rest.get(1..)?))
        });
        around.unwrap_or_default()
    }

    /// Whether a token can have several `acr` values.
    pub fn states_several_acr(&self) -> bool {
        self.acr_is_list
    }

    /// The `acr` values that prove this method, including those of higher levels.
    pub fn acr_proving<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = &'a str> {
        let proving = self.proves.iter().filter(move |(_, methods)| {
            let mut proven: MethodSet = methods.iter().cloned().collect();
            proven.add_implied(self.infer_mfa);
            proven.contains(method)
        });
        proving.flat_map(|(acr, _)| self.at_least(acr))
    }

    /// This `acr` and the higher levels.
    fn at_least<'a>(&'a self, acr: &'a str) -> impl Iterator<Item = &'a str> {
        let higher = self.levels_around(acr).1;
        std::iter::once(acr).chain(higher.iter().map(String::as_str))
    }

    /// Every `acr` that this profile names, to request or to prove something.
    pub fn named_values(&self) -> impl Iterator<Item = &str> {
        let asked = self.ask.iter().flat_map(|(_, values)| values).map(String::as_str);
        asked.chain(self.proves.iter().flat_map(|(acr, _)| self.at_least(acr)))
    }

    /// The form of challenge that this issuer's clients understand.
    pub fn challenge_dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The claims with the methods, the context class and the time, in this order.
    pub fn claim_paths(&self) -> [&ClaimPath; 3] {
        [&self.amr_claim, &self.acr_claim, &self.auth_time_claim]
    }

    /// Reads a verified token's claims. A claim that is missing or does not have its standard type proves nothing:
    /// `amr` is an array of strings, `acr` a string, `auth_time` a non-negative number of seconds. `iat` never replaces
    /// `auth_time`.
    pub fn authentication(&self, claims: &Map<String, Value>) -> Authentication {
        self.authentication_with(claims, &self.amr(claims))
    }

    /// Like [`authentication`](Self::authentication), with the methods that [`amr`](Self::amr) has already read.
    pub fn authentication_with(
        &self,
        claims: &Map<String, Value>,
        values: &[&str],
    ) -> Authentication {
        let acr = self.acr(claims);
        let mut methods: MethodSet = values.iter().copied().filter_map(Method::from_amr).collect();
        let by_amr = self.amr_proves.iter().filter(|(amr, _)| {
            !amr.is_empty() && amr.iter().all(|value| values.contains(&value.as_str()))
        });
        let by_acr = self.proves.iter().filter(|(known, _)| acr.contains(known));
        let proven = by_amr.map(|(_, methods)| methods).chain(by_acr.map(|(_, methods)| methods));
        proven.flatten().for_each(|method| methods.insert(method.clone()));
        methods.add_implied(self.infer_mfa);
        Authentication {
            methods,
            acr,
            auth_time: self.auth_time_claim.get(claims).and_then(numeric_date),
            scopes: scopes(claims, self.scopes_claim.as_ref()),
            may_step_up: self.may_step_up,
            clock_skew: self.clock_skew,
        }
    }

    /// The methods in the claims, as written; empty if the claim is not an array of strings.
    pub fn amr<'a>(&self, claims: &'a Map<String, Value>) -> Vec<&'a str> {
        self.amr_claim.get(claims).and_then(strings).unwrap_or_default()
    }

    /// The context classes that hold: those in the claims, then the weaker levels.
    fn acr(&self, claims: &Map<String, Value>) -> Vec<String> {
        let stated = match self.acr_claim.get(claims) {
            Some(Value::String(acr)) if !self.acr_is_list => vec![acr.as_str()],
            Some(list) if self.acr_is_list => strings(list).unwrap_or_default(),
            _ => Vec::new(),
        };
        let stated = stated.into_iter().filter(|acr| !acr.is_empty() && *acr != NO_LEVEL);
        let stated: Vec<&str> = stated.collect();
        let weaker = stated.iter().map(|acr| self.levels_around(acr).0);
        let weaker = weaker.max_by_key(|weaker| weaker.len()).unwrap_or_default();
        unique(stated.into_iter().chain(weaker.iter().rev().map(String::as_str)))
    }

    /// The `acr` values that request a method.
    pub(super) fn asked_for<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = &'a str> {
        let asked = self.ask.iter().filter(move |(asked, _)| asked == method);
        asked.flat_map(|(_, values)| values).map(String::as_str)
    }
}

pub(super) fn unique<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for value in values {
        if !list.iter().any(|known| known == value) {
            list.push(value.to_owned());
        }
    }
    list
}
