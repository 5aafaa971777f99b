//! How one issuer asks for an authentication and what proves it: two relations, kept apart.
//!
//! *Asking* maps what an endpoint requires to the `acr_values` that a client should request.
//! *Proving* maps an `acr` in a token to the methods that it proves. A value may be asked that
//! proves nothing (an IdP's "if possible"), and a value that an IdP merely echoes must never prove.
//! `amr` never proves an `acr`.

use crate::authentication::Authentication;
use crate::claims::{ClaimPath, numeric_date, scopes, strings};
use crate::method::{Method, MethodSet};
use crate::requirement::{NO_LEVEL, Requirement};
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
    infer_mfa: bool,
    may_step_up: bool,
    clock_skew: u32,
    dialect: Dialect,
}

/// In which words an issuer's clients understand a step-up challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `insufficient_user_authentication` with `acr_values` and `max_age` (RFC 9470).
    #[default]
    Standard,
    /// Microsoft Entra's claims challenge: `insufficient_claims` with `claims`, which asks for an
    /// authentication context. For clients that say that they understand it (`cp1` in `xms_cc`);
    /// others get the standard's words.
    EntraClaims {
        /// Where the client is sent to log in.
        authorization_uri: String,
    },
}

impl Default for Profile {
    /// An issuer with standard claims and no mapping: `amr` proves what it states, methods are
    /// asked for by their own names, 30 seconds of clock skew.
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
            infer_mfa: false,
            may_step_up: true,
            clock_skew: 30,
            dialect: Dialect::Standard,
        }
    }
}

impl Profile {
    /// Asks for `method` with these `acr_values`, in order of preference. This proves nothing; see
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

    /// States that a token with this `acr` proves these methods. Only for values that the IdP sends
    /// when it has really performed them. They are asked for with this value too.
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

    /// States that a token whose `amr` holds all of these values proves `methods` as well. This is how
    /// an issuer's own values come to prove a group, above all `phishing_resistant`, which no
    /// registered value does. No values prove nothing.
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

    /// Whether the issuer's access tokens state their methods at all (`amr`). On by default; where it
    /// is off, a method that only `amr` could prove is found not to be satisfiable.
    #[must_use]
    pub fn states_amr(mut self, states: bool) -> Self {
        self.states_amr = states;
        self
    }

    /// Declares that these `acr` values are levels, the weakest first: a token at one of them
    /// satisfies what asks for a weaker one, and proves what the weaker ones prove. No order is
    /// assumed without this (RFC 9470 §4).
    #[must_use]
    pub fn acr_order<V: Into<String>>(
        mut self,
        weakest_first: impl IntoIterator<Item = V>,
    ) -> Self {
        self.acr_order = weakest_first.into_iter().map(Into::into).collect();
        self
    }

    /// Where the token states all three, under one namespace: `https://bank.example/amr` and so on for
    /// `https://bank.example`.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        let namespace = namespace.trim_end_matches('/');
        let claim = |name: &str| format!("{namespace}/{name}");
        self.amr_claim(claim("amr")).acr_claim(claim("acr")).auth_time_claim(claim("auth_time"))
    }

    /// Where the token states its methods, an array of strings: `amr` unless given.
    #[must_use]
    pub fn amr_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.amr_claim = path.into();
        self
    }

    /// Where the token states its authentication context class, a string: `acr` unless given.
    #[must_use]
    pub fn acr_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.acr_claim = path.into();
        self.acr_is_list = false;
        self
    }

    /// Where the token states all its authentication contexts, an array of strings.
    #[must_use]
    pub fn acr_list_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.acr_claim = path.into();
        self.acr_is_list = true;
        self
    }

    /// Where the token states the time of the last active authentication, in seconds since the epoch:
    /// `auth_time` unless given.
    #[must_use]
    pub fn auth_time_claim(mut self, path: impl Into<ClaimPath>) -> Self {
        self.auth_time_claim = path.into();
        self
    }

    /// In which words this issuer's clients understand a challenge.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Whether two methods of different factor kinds (a password and a one-time code) count as
    /// `mfa`. Off by default: some IdPs report methods of an earlier login.
    #[must_use]
    pub fn infer_mfa(mut self, infer: bool) -> Self {
        self.infer_mfa = infer;
        self
    }

    /// Whether this issuer's users may call sensitive endpoints. On by default.
    #[must_use]
    pub fn may_step_up(mut self, may: bool) -> Self {
        self.may_step_up = may;
        self
    }

    /// How many seconds the issuer's clock may be ahead of ours. 30 by default.
    #[must_use]
    pub fn clock_skew(mut self, seconds: u32) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// How many seconds the issuer's clock may be ahead of ours.
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

    /// Whether a token's `amr` can prove this method, by stating it or by what the profile derives.
    pub fn amr_can_prove(&self, method: &Method) -> bool {
        let mut derived = self.amr_proves.iter().filter(|(values, _)| !values.is_empty());
        self.states_amr
            && (*method != Method::PhishingResistant
                || derived.any(|(_, methods)| methods.contains(method)))
    }

    /// Whether a token at this `acr` satisfies a requirement of one of these, by itself or as a higher
    /// level.
    pub fn meets(&self, acr: &str, required: &[String]) -> bool {
        let weaker = self.levels_around(acr).0;
        required.iter().any(|one| one == acr || weaker.contains(one))
    }

    /// The declared levels below an `acr` and above it, the weakest first.
    fn levels_around(&self, acr: &str) -> (&[String], &[String]) {
        let level = self.acr_order.iter().position(|known| known == acr);
        let around = level.and_then(|level| {
            let (weaker, rest) = self.acr_order.split_at_checked(level)?;
            Some((weaker, rest.get(1..)?))
        });
        around.unwrap_or_default()
    }

    /// Whether a token states several `acr` values at once.
    pub fn states_several_acr(&self) -> bool {
        self.acr_is_list
    }

    /// The `acr` values that prove this method, those of higher levels among them.
    pub fn acr_proving<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = &'a str> {
        let proving = self.proves.iter().filter(move |(_, methods)| {
            let mut proven: MethodSet = methods.iter().cloned().collect();
            proven.close(self.infer_mfa);
            proven.contains(method)
        });
        proving.flat_map(|(acr, _)| self.at_least(acr))
    }

    /// This `acr` and the higher levels.
    fn at_least<'a>(&'a self, acr: &'a str) -> impl Iterator<Item = &'a str> {
        let higher = self.levels_around(acr).1;
        std::iter::once(acr).chain(higher.iter().map(String::as_str))
    }

    /// Every `acr` that this profile may send in a challenge.
    pub fn asked_values(&self) -> impl Iterator<Item = &str> {
        let asked = self.ask.iter().flat_map(|(_, values)| values).map(String::as_str);
        asked.chain(self.proves.iter().flat_map(|(acr, _)| self.at_least(acr)))
    }

    /// In which words this issuer's clients understand a challenge.
    pub fn challenge_dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Where the methods, the context class and the time are looked for in a token, in this order.
    pub fn claim_paths(&self) -> [&ClaimPath; 3] {
        [&self.amr_claim, &self.acr_claim, &self.auth_time_claim]
    }

    /// Reads a verified token's claims. A claim that is missing or not of its standard shape
    /// states nothing: `amr` is an array of strings, `acr` a string, `auth_time` a number of
    /// seconds that is not negative; `iat` never stands in for it.
    pub fn authentication(&self, claims: &Map<String, Value>) -> Authentication {
        let acr = self.acr(claims);
        let values = self.amr(claims);
        let mut methods: MethodSet = values.iter().copied().filter_map(Method::from_amr).collect();
        let by_amr = self.amr_proves.iter().filter(|(amr, _)| {
            !amr.is_empty() && amr.iter().all(|value| values.contains(&value.as_str()))
        });
        let by_acr = self.proves.iter().filter(|(known, _)| acr.contains(known));
        let proven = by_amr.map(|(_, methods)| methods).chain(by_acr.map(|(_, methods)| methods));
        proven.flatten().for_each(|method| methods.insert(method.clone()));
        methods.close(self.infer_mfa);
        Authentication {
            methods,
            acr,
            auth_time: self.auth_time_claim.get(claims).and_then(numeric_date),
            scopes: scopes(claims),
            may_step_up: self.may_step_up,
            clock_skew: self.clock_skew,
        }
    }

    /// The methods that the claims state, as they are written; none where the claim is anything but
    /// an array of strings.
    pub fn amr<'a>(&self, claims: &'a Map<String, Value>) -> Vec<&'a str> {
        self.amr_claim.get(claims).and_then(strings).unwrap_or_default()
    }

    /// The context classes that hold: those that the claims state, then the weaker levels.
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

    /// The `acr_values` to request so that a login satisfies this requirement, in order of
    /// preference; one of them is enough (RFC 9470 §4).
    ///
    /// They are the values known for *all* required methods, and satisfy the requirement's own `acr`
    /// list where it has one. Where there are none, and a method is asked that nothing but an `acr` can
    /// prove, they are the values known for these methods at least. Where there are none either, the
    /// requirement's own are sent, or the methods' names.
    pub fn acr_values(&self, requirement: &Requirement) -> Vec<String> {
        let Requirement { methods, any_methods, acr, .. } = requirement;
        if methods.is_empty() && any_methods.is_empty() {
            return acr.clone();
        }
        let asked = methods.iter().chain(any_methods);
        // Preference: the endpoint's own order where it has one, else the profile's.
        let known = asked.clone().flat_map(|method| self.values_for(method));
        let candidates = unique(acr.iter().map(String::as_str).chain(known));
        let candidates: Vec<&str> = candidates
            .iter()
            .map(String::as_str)
            .filter(|value| acr.is_empty() || self.meets(value, acr))
            .collect();
        let giving = |otherwise: &dyn Fn(&Method) -> bool| {
            let gives = |value: &str, method| {
                otherwise(method) || self.values_for(method).any(|known| known == value)
            };
            unique(candidates.iter().copied().filter(|value| {
                methods.iter().all(|method| gives(value, method))
                    && (any_methods.is_empty()
                        || any_methods.iter().any(|method| gives(value, method)))
            }))
        };
        let all = giving(&|_| false);
        if !all.is_empty() {
            return all;
        }
        let by_amr = |method: &Method| self.amr_can_prove(method);
        let amr_is_enough = methods.iter().all(by_amr)
            && (any_methods.is_empty() || any_methods.iter().any(by_amr));
        let needed = if amr_is_enough { Vec::new() } else { giving(&by_amr) };
        if !needed.is_empty() {
            needed
        } else if !acr.is_empty() {
            acr.clone()
        } else {
            unique(asked.map(Method::amr))
        }
    }

    /// The acr values that are asked for a method: the mapped ones, then those that prove it.
    fn values_for<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = &'a str> {
        let asked = self.ask.iter().filter(move |(asked, _)| asked == method);
        let asked = asked.flat_map(|(_, values)| values).map(String::as_str);
        asked.chain(self.acr_proving(method))
    }
}

fn unique<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for value in values {
        if !list.iter().any(|known| known == value) {
            list.push(value.to_owned());
        }
    }
    list
}
