//! Authentication methods: the `amr` vocabulary (RFC 8176, IANA), its groups, and sets of methods.

use crate::text::{ParseNameError, Suggestion, check_value};
use std::fmt;
use std::str::FromStr;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $factor:ident;)*) => {
        /// An authentication method reference (the `amr` claim, RFC 8176 §2), or a group of them.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// A vendor's own value, written `custom("…")` in code and `custom:…` in the contract.
            Custom(String),
        }

        /// Every named method in declaration order, which is also the bit order of [`MethodSet`].
        const NAMED: &[(&str, Method, Factor)] =
            &[$(($name, Method::$variant, Factor::$factor),)*];

        /// The index of each named method in [`NAMED`].
        enum Bit { $($variant),* }

        impl Method {
            /// The index in [`NAMED`]; none for a vendor's value.
            fn bit(&self) -> Option<usize> {
                match self {
                    $(Self::$variant => Some(Bit::$variant as usize),)*
                    Self::Custom(_) => None,
                }
            }
        }
    };
}

/// The type of factor that a method checks; two different types make a login multi-factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factor {
    Knowledge,
    Possession,
    Inherence,
    /// Not a factor by itself.
    None,
}

methods! {
    /// Facial recognition.
    Face = "face", Inherence;
    /// Fingerprint.
    Fpt = "fpt", Inherence;
    /// Geolocation.
    Geo = "geo", None;
    /// Proof of possession of a hardware-secured key.
    Hwk = "hwk", Possession;
    /// Iris scan.
    Iris = "iris", Inherence;
    /// Knowledge-based authentication.
    Kba = "kba", Knowledge;
    /// Multiple-channel authentication.
    Mca = "mca", None;
    /// Multiple-factor authentication. Two methods of different factor types also prove it, if the issuer's profile
    /// allows that inference.
    Mfa = "mfa", None;
    /// One-time password.
    Otp = "otp", Possession;
    /// PIN or pattern that unlocks a key on the device.
    Pin = "pin", Knowledge;
    /// Proof of possession of a key.
    Pop = "pop", Possession;
    /// Password.
    Pwd = "pwd", Knowledge;
    /// Risk-based authentication.
    Rba = "rba", None;
    /// Retina scan.
    Retina = "retina", Inherence;
    /// Smart card.
    Sc = "sc", Possession;
    /// Confirmation by SMS.
    Sms = "sms", Possession;
    /// Proof of possession of a software-secured key.
    Swk = "swk", Possession;
    /// Confirmation by telephone call.
    Tel = "tel", Possession;
    /// User presence test.
    User = "user", None;
    /// Voice biometric.
    Vbm = "vbm", Inherence;
    /// Windows integrated authentication.
    Wia = "wia", None;
    /// Group: any of `face`, `fpt`, `iris`, `retina`, `vbm`.
    Biometric = "biometric", None;
    /// Group: no `amr` value proves it; the issuer's profile states which `acr` does.
    PhishingResistant = "phishing_resistant", None;
}

/// Prefix of a vendor's method in the contract: `custom:okta_verify`.
pub(crate) const CUSTOM: &str = "custom:";

impl Method {
    /// The named methods: the registered values in alphabetical order, then the groups.
    pub fn named() -> impl Iterator<Item = &'static Method> {
        NAMED.iter().map(|(_, method, _)| method)
    }

    /// A vendor's own `amr` value.
    ///
    /// # Errors
    /// If the value is empty, is not printable ASCII, or is a registered value.
    pub fn custom(value: &str) -> Result<Self, ParseNameError> {
        if let Some((name, ..)) = NAMED.iter().find(|(name, ..)| *name == value) {
            return Err(ParseNameError::new(format!(
                "`{value}` is a registered value; write \"{name}\" without `custom`"
            )));
        }
        check_value(value)
            .map_err(|error| ParseNameError::new(format!("a custom method {error}")))?;
        Ok(Self::Custom(value.to_owned()))
    }

    /// The method's value in an `amr` claim. It is also sent in `acr_values` if the issuer's profile has no mapping for
    /// the method.
    pub fn amr(&self) -> &str {
        match (self, self.bit()) {
            (Self::Custom(value), _) => value,
            (_, Some(bit)) => NAMED[bit].0,
            (_, None) => "",
        }
    }

    /// Whether the method is a group. A group can be required, and is never a value of an `amr` claim.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Biometric | Self::PhishingResistant)
    }

    /// Whether the method checks a biometric factor, and so proves the group `biometric`.
    pub(crate) fn is_inherence(&self) -> bool {
        self.bit().is_some_and(|bit| NAMED[bit].2 == Factor::Inherence)
    }

    /// The method for a value of a token's `amr` claim. The name of a group proves nothing.
    pub(crate) fn from_amr(value: &str) -> Option<Self> {
        match NAMED.iter().find(|(name, ..)| *name == value) {
            Some((_, method, _)) if method.is_group() => None,
            Some((_, method, _)) => Some(method.clone()),
            None => Some(Self::Custom(value.to_owned())),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Custom(_) = self {
            f.write_str(CUSTOM)?;
        }
        f.write_str(self.amr())
    }
}

impl FromStr for Method {
    type Err = ParseNameError;

    /// Parses the contract's form: a registered value, a group, or `custom:…`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(value) = text.strip_prefix(CUSTOM) {
            return Self::custom(value);
        }
        if let Some((_, method, _)) = NAMED.iter().find(|(name, ..)| *name == text) {
            return Ok(method.clone());
        }
        let suggestion = Suggestion::among(text, NAMED.iter().map(|(name, ..)| *name))
            .or(format_args!("a vendor's own value is `{CUSTOM}{text}`"));
        Err(ParseNameError::new(format!("unknown method `{text}`{suggestion}")))
    }
}

impl serde::Serialize for Method {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A set of methods. A lookup of a named method is a bit test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodSet {
    named: u32,
    custom: Vec<String>,
}

impl MethodSet {
    /// Adds a method.
    pub fn insert(&mut self, method: Method) {
        match method {
            Method::Custom(value) if self.custom.contains(&value) => {}
            Method::Custom(value) => self.custom.push(value),
            named => self.named |= mask(&named),
        }
    }

    /// Whether the set contains this method.
    pub fn contains(&self, method: &Method) -> bool {
        match method {
            Method::Custom(value) => self.custom.contains(value),
            named => self.named & mask(named) != 0,
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.named == 0 && self.custom.is_empty()
    }

    /// Adds what follows from the methods in the set: the group `biometric`; and `mfa` from two methods of different
    /// factor types, if `infer_mfa`, because the issuer reports only factors that it has checked.
    pub(crate) fn add_implied(&mut self, infer_mfa: bool) {
        let has = |factor| {
            NAMED
                .iter()
                .enumerate()
                .any(|(bit, (.., kind))| *kind == factor && self.named & (1 << bit) != 0)
        };
        let inherence = has(Factor::Inherence);
        let kinds = [has(Factor::Knowledge), has(Factor::Possession), inherence];
        if inherence {
            self.insert(Method::Biometric);
        }
        if infer_mfa && kinds.into_iter().filter(|kind| *kind).count() >= 2 {
            self.insert(Method::Mfa);
        }
    }
}

/// The bit of a named method; zero for a vendor's value.
fn mask(method: &Method) -> u32 {
    method.bit().map_or(0, |bit| 1 << bit)
}

impl fmt::Display for MethodSet {
    /// The methods' names, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMED.iter().map(|(_, method, _)| method.clone());
        let custom = self.custom.iter().cloned().map(Method::Custom);
        let held = named.filter(|method| self.contains(method)).chain(custom);
        for (index, method) in held.enumerate() {
            write!(f, "{}{method}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl FromIterator<Method> for MethodSet {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        let mut set = Self::default();
        methods.into_iter().for_each(|method| set.insert(method));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_can_be_parsed_from_its_name() {
        for (name, method, _) in NAMED {
            assert_eq!(name.parse::<Method>().unwrap(), *method);
            assert_eq!(method.to_string(), *name);
        }
        assert!(NAMED.len() < 32, "MethodSet has 32 bits");
    }

    #[test]
    fn an_unknown_method_gets_a_suggestion() {
        let error = "mfaa".parse::<Method>().unwrap_err();
        assert_eq!(error.to_string(), "unknown method `mfaa`; did you mean `mfa`?");
        let error = "MFA".parse::<Method>().unwrap_err();
        assert_eq!(error.to_string(), "unknown method `MFA`; did you mean `mfa`?");
    }

    #[test]
    fn a_custom_method_must_not_be_a_registered_one() {
        let error = "custom:pwd".parse::<Method>().unwrap_err();
        assert!(error.to_string().contains("write \"pwd\""), "{error}");
        assert!("custom:".parse::<Method>().is_err());
    }

    #[test]
    fn a_group_name_in_a_token_proves_nothing() {
        assert_eq!(Method::from_amr("phishing_resistant"), None);
        assert_eq!(Method::from_amr("biometric"), None);
    }

    #[test]
    fn mfa_is_inferred_only_from_two_factor_types_and_only_if_allowed() {
        let set = |names: &[&str], infer| {
            let mut set: MethodSet = names.iter().filter_map(|n| Method::from_amr(n)).collect();
            set.add_implied(infer);
            set.contains(&Method::Mfa)
        };
        assert!(set(&["pwd", "otp"], true));
        assert!(!set(&["pwd", "otp"], false));
        assert!(!set(&["pwd", "pin"], true), "two things the user knows are one factor");
        assert!(!set(&["pwd", "user", "geo"], true), "presence and location are not factors");
    }
}
