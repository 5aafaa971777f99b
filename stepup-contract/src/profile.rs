//! How one issuer asks for an authentication and what proves it: two relations, kept apart.
//!
//! *Asking* maps what an endpoint requires to the `acr_values` that a client should request.
//! *Proving* maps an `acr` in a token to the methods that it proves. A value may be asked that
//! proves nothing (an IdP's "if possible"), and a value that an IdP merely echoes must never prove.
//! `amr` never proves an `acr`.

use crate::authentication::Authentication;
use crate::method::{Method, MethodSet};
use crate::requirement::{NO_LEVEL, Requirement};
use serde_json::{Map, Value};

/// One issuer's vocabulary of authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    ask: Vec<(Method, Vec<String>)>,
    proves: Vec<(String, Vec<Method>)>,
    infer_mfa: bool,
    may_step_up: bool,
    clock_skew: u32,
}

impl Default for Profile {
    /// An issuer with standard claims and no mapping: `amr` proves what it states, methods are
    /// asked for by their own names, 30 seconds of clock skew.
    fn default() -> Self {
        Self {
            ask: Vec::new(),
            proves: Vec::new(),
            infer_mfa: false,
            may_step_up: true,
            clock_skew: 30,
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

    /// Every `acr` that this profile may send in a challenge.
    pub fn asked_values(&self) -> impl Iterator<Item = &str> {
        let asked = self.ask.iter().flat_map(|(_, values)| values);
        asked.chain(self.proves.iter().map(|(acr, _)| acr)).map(String::as_str)
    }

    /// Reads a verified token's claims. A claim that is missing or not of its standard shape
    /// states nothing: `amr` is an array of strings, `acr` a string, `auth_time` a number of
    /// seconds that is not negative; `iat` never stands in for it.
    pub fn authentication(&self, claims: &Map<String, Value>) -> Authentication {
        let acr = match claims.get("acr") {
            Some(Value::String(acr)) if !acr.is_empty() && acr != NO_LEVEL => Some(acr.clone()),
            _ => None,
        };
        let mut methods: MethodSet = amr(claims).into_iter().filter_map(Method::from_amr).collect();
        let proven = self.proves.iter().filter(|(known, _)| Some(known) == acr.as_ref());
        for method in proven.flat_map(|(_, methods)| methods) {
            methods.insert(method.clone());
        }
        methods.close(self.infer_mfa);
        Authentication {
            methods,
            acr,
            auth_time: claims.get("auth_time").and_then(numeric_date),
            scopes: scopes(claims),
            may_step_up: self.may_step_up,
            clock_skew: self.clock_skew,
        }
    }

    /// The `acr_values` to request so that a login satisfies this requirement, in order of
    /// preference; one of them is enough (RFC 9470 §4).
    ///
    /// They are the values known for *all* required methods, and lie in the requirement's own `acr`
    /// list where it has one. Where the profile knows no value for the methods, their own names are
    /// sent, unless the requirement names acr values to send.
    pub fn acr_values(&self, requirement: &Requirement) -> Vec<String> {
        let Requirement { methods, any_methods, acr, .. } = requirement;
        if methods.is_empty() && any_methods.is_empty() {
            return acr.clone();
        }
        // Preference: the endpoint's own order where it has one, else the profile's.
        let candidates: Vec<&str> = if acr.is_empty() {
            let all = methods.iter().chain(any_methods).flat_map(|method| self.values_for(method));
            all.collect()
        } else {
            acr.iter().map(String::as_str).collect()
        };
        let satisfying = |value: &&str| {
            let gives = |method| self.values_for(method).any(|known| known == *value);
            methods.iter().all(gives) && (any_methods.is_empty() || any_methods.iter().any(gives))
        };
        let offered = unique(candidates.into_iter().filter(satisfying));
        if !offered.is_empty() {
            offered
        } else if !acr.is_empty() {
            acr.clone()
        } else {
            unique(methods.iter().chain(any_methods).map(Method::amr))
        }
    }

    /// The acr values that are asked for a method: the mapped ones, then those that prove it.
    fn values_for<'a>(&'a self, method: &'a Method) -> impl Iterator<Item = &'a str> {
        let asked = self.ask.iter().filter(move |(asked, _)| asked == method);
        let proving = self.proves.iter().filter(move |(_, proven)| proven.contains(method));
        asked.flat_map(|(_, values)| values).chain(proving.map(|(acr, _)| acr)).map(String::as_str)
    }
}

/// The values of a token's `amr`; none where it is anything but an array of strings.
pub fn amr(claims: &Map<String, Value>) -> Vec<&str> {
    claims.get("amr").and_then(strings).unwrap_or_default()
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

/// An array that holds strings only.
fn strings(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// A NumericDate (RFC 7519 §2) in whole seconds since the epoch, if it is a number that is neither
/// negative nor absurd. A fraction is cut off, which makes it older.
pub fn numeric_date(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| (0.0..9e15).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Some(seconds as u64)
    })
}

/// The granted scopes: `scope` as in RFC 9068 §2.2.3, else `scp` as Okta and Entra send it.
fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let words = |text: &str| text.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(text)) => words(text),
        Some(list) => strings(list).unwrap_or_default().into_iter().map(str::to_owned).collect(),
        None => Vec::new(),
    }
}
