//! What an endpoint requires of a caller, and the rules that make a requirement meaningful. The attribute and the
//! contract's parser both check [`Requirement::problems`].

use crate::model::method::Method;
use crate::model::risk::RiskRule;
use crate::text::check_value;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

/// How much trust an endpoint requires in its caller; more trust is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Trust {
    /// Everybody may call the endpoint; a token is not required.
    Public,
    /// A valid token is enough.
    Standard,
    /// The authentication must satisfy the requirement.
    Sensitive,
}

impl Trust {
    /// Every level of trust, the strictest first.
    pub const ALL: [Self; 3] = [Self::Sensitive, Self::Standard, Self::Public];

    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Standard => "standard",
            Self::Sensitive => "sensitive",
        }
    }
}

/// What an endpoint requires of a caller. All parts must be satisfied.
///
/// Whether a step-up is required follows from the parts; there is no flag that could contradict them. Build one from
/// [`Requirement::default`] and set the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// All of these methods must be proven.
    pub methods: Vec<Method>,
    /// One of these methods must be proven, if there are any.
    pub any_methods: Vec<Method>,
    /// The token's `acr` must be one of these, if there are any; in order of preference.
    pub acr: Vec<String>,
    /// Seconds since the last active authentication (RFC 9470 §4).
    pub max_age: Option<u32>,
    /// All of these scopes must be granted.
    pub scopes: Vec<String>,
    /// How the session's risk changes the requirement.
    pub risk: Option<RiskRule>,
    /// The token must be sender-constrained (RFC 9449).
    pub bound: bool,
    /// Every call needs its own confirmation.
    pub per_action: bool,
}

/// A field of a requirement, to state where a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// `step-up`, or `trust` in the attribute.
    StepUp,
    /// `methods`
    Methods,
    /// `any-methods`, or `methods = any(…)` in the attribute.
    AnyMethods,
    /// `acr`
    Acr,
    /// `max-age`
    MaxAge,
    /// `scopes`
    Scopes,
    /// `risk`
    Risk,
    /// `deny` in `risk`.
    RiskDeny,
    /// `bound`
    Bound,
    /// `per-action`
    PerAction,
}

impl Field {
    /// The name for people: the key, or `trust`, which determines `step-up`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::StepUp => "trust",
            Self::RiskDeny => Self::Risk.key(),
            field => field.key(),
        }
    }

    /// The fields that have a value of their own.
    pub(crate) const ALL: [Self; 8] = [
        Self::Methods,
        Self::AnyMethods,
        Self::Acr,
        Self::MaxAge,
        Self::Scopes,
        Self::Risk,
        Self::Bound,
        Self::PerAction,
    ];

    /// The key in the contract.
    pub const fn key(self) -> &'static str {
        match self {
            Self::StepUp => "step-up",
            Self::Methods => "methods",
            Self::AnyMethods => "any-methods",
            Self::Acr => "acr",
            Self::MaxAge => "max-age",
            Self::Scopes => "scopes",
            Self::Risk => "risk",
            Self::RiskDeny => "risk/deny",
            Self::Bound => "bound",
            Self::PerAction => "per-action",
        }
    }
}

/// A rule that a requirement breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequirementError {
    /// The field that breaks the rule.
    pub field: Field,
    /// The index in the field's list, if one element breaks the rule.
    pub index: Option<usize>,
    message: String,
}

impl fmt::Display for RequirementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RequirementError {}

impl Requirement {
    /// What a field requires, for people; `None` if nothing.
    pub fn field_text(&self, field: Field) -> Option<String> {
        fn list<T: fmt::Display>(values: &[T], word: &str) -> Option<String> {
            let values: Vec<String> = values.iter().map(T::to_string).collect();
            (!values.is_empty()).then(|| values.join(word))
        }
        let step_up = self.risk.and_then(|rule| rule.step_up);
        let deny = self.risk.and_then(|rule| rule.deny);
        match field {
            Field::StepUp => Some(self.trust().as_str().to_owned()),
            Field::Methods => list(&self.methods, " and "),
            Field::AnyMethods => list(&self.any_methods, " or "),
            Field::Acr => list(&self.acr, " or "),
            Field::MaxAge => self.max_age.map(duration),
            Field::Scopes => list(&self.scopes, " and "),
            Field::Risk => {
                let parts = [
                    step_up.map(|level| format!("step-up from {level}")),
                    deny.map(|level| format!("refused from {level}")),
                ];
                list(&parts.into_iter().flatten().collect::<Vec<_>>(), ", ")
            }
            Field::RiskDeny => deny.map(|level| format!("refused from {level}")),
            Field::Bound => self.bound.then(|| "required".to_owned()),
            Field::PerAction => self.per_action.then(|| "required".to_owned()),
        }
    }

    /// `Sensitive` if methods, acr or max_age are required, which a step-up can provide.
    pub fn trust(&self) -> Trust {
        let standard = self.methods.is_empty()
            && self.any_methods.is_empty()
            && self.acr.is_empty()
            && self.max_age.is_none();
        if standard { Trust::Standard } else { Trust::Sensitive }
    }

    /// What contradicts the trust that is declared for this requirement.
    pub fn contradictions(&self, declared: Trust) -> Vec<RequirementError> {
        let mut problems = Problems(Vec::new());
        if declared == Trust::Sensitive && self.trust() == Trust::Standard {
            problems.add(
                Field::StepUp,
                "a sensitive endpoint requires methods, acr or max_age; without any of them there is no \
                 step-up",
            );
        }
        let step_up = [
            (Field::Methods, !self.methods.is_empty()),
            (Field::AnyMethods, !self.any_methods.is_empty()),
            (Field::Acr, !self.acr.is_empty()),
            (Field::MaxAge, self.max_age.is_some()),
        ];
        let others = [
            (Field::Scopes, !self.scopes.is_empty()),
            (Field::Risk, self.risk.is_some()),
            (Field::Bound, self.bound),
            (Field::PerAction, self.per_action),
        ];
        let (contradicting, message) = match declared {
            Trust::Public => (step_up.into_iter().chain(others).collect(), PUBLIC),
            Trust::Standard => (step_up.to_vec(), STANDARD),
            Trust::Sensitive => (Vec::new(), ""),
        };
        for (field, _) in contradicting.into_iter().filter(|(_, required)| *required) {
            problems.add(field, message);
        }
        problems.0
    }

    /// Every rule that this requirement breaks.
    pub fn problems(&self) -> Vec<RequirementError> {
        let mut problems = Problems(Vec::new());
        if self.trust() == Trust::Standard {
            let required =
                [(Field::Risk, self.risk.is_some()), (Field::PerAction, self.per_action)];
            for (field, _) in required.into_iter().filter(|(_, required)| *required) {
                problems.add(field, STANDARD);
            }
        }
        problems.methods(Field::Methods, &self.methods);
        problems.methods(Field::AnyMethods, &self.any_methods);
        problems.list(Field::Methods, &self.methods);
        problems.list(Field::AnyMethods, &self.any_methods);
        problems.list(Field::Acr, &self.acr);
        problems.list(Field::Scopes, &self.scopes);
        problems.values(Field::Acr, &self.acr);
        problems.values(Field::Scopes, &self.scopes);
        for (index, acr) in self.acr.iter().enumerate().filter(|(_, acr)| *acr == NO_LEVEL) {
            let message = format!(
                "the acr `{acr}` means that no level was reached (OpenID Connect Core §2) and never \
                 satisfies a requirement"
            );
            problems.0.push(RequirementError { field: Field::Acr, index: Some(index), message });
        }
        match self.risk {
            Some(RiskRule { step_up: None, deny: None }) => {
                problems.add(Field::Risk, "a risk rule needs step_up, deny, or both");
            }
            Some(RiskRule { step_up: Some(step_up), deny: Some(deny) }) if deny < step_up => {
                let message = format!(
                    "the level \"{deny}\" to deny from is below the level \"{step_up}\" to step up \
                     from, so no step-up would ever be required; deny from a higher one"
                );
                problems.add(Field::RiskDeny, &message);
            }
            _ => {}
        }
        problems.0
    }
}

/// Seconds in the largest fitting unit.
fn duration(seconds: u32) -> String {
    match seconds {
        0 => "0 s".into(),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// Why a public endpoint cannot require this.
const PUBLIC: &str = "a public endpoint requires nothing of its callers; make it standard or sensitive, or remove this";

/// Why a standard endpoint cannot require this.
const STANDARD: &str = "a standard endpoint requires no step-up; make it sensitive or remove this";

/// The acr that means that no level was reached (OpenID Connect Core §2). Keycloak sends it when a level has expired.
pub(crate) const NO_LEVEL: &str = "0";

struct Problems(Vec<RequirementError>);

impl Problems {
    fn add(&mut self, field: Field, message: &str) {
        self.0.push(RequirementError { field, index: None, message: message.to_owned() });
    }

    fn list<T: Eq + Hash + fmt::Display>(&mut self, field: Field, list: &[T]) {
        let mut before = HashSet::new();
        for (index, item) in list.iter().enumerate().filter(|(_, item)| !before.insert(*item)) {
            let message = format!("duplicate value `{item}`; remove one");
            self.0.push(RequirementError { field, index: Some(index), message });
        }
    }

    fn methods(&mut self, field: Field, list: &[Method]) {
        for (index, method) in list.iter().enumerate() {
            if let Method::Custom(value) = method
                && let Err(error) = Method::custom(value)
            {
                let message = error.to_string();
                self.0.push(RequirementError { field, index: Some(index), message });
            }
        }
    }

    fn values(&mut self, field: Field, list: &[String]) {
        for (index, value) in list.iter().enumerate() {
            if let Err(error) = check_value(value) {
                let message = format!("the value {error}");
                self.0.push(RequirementError { field, index: Some(index), message });
            }
        }
    }
}

impl Serialize for Requirement {
    /// The contract's `security` object: stable key order, without keys that require nothing.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn list<M: SerializeMap, T: Serialize>(
            map: &mut M,
            field: Field,
            list: &[T],
        ) -> Result<(), M::Error> {
            if list.is_empty() { Ok(()) } else { map.serialize_entry(field.key(), list) }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(Field::StepUp.key(), &(self.trust() == Trust::Sensitive))?;
        list(&mut map, Field::Methods, &self.methods)?;
        list(&mut map, Field::AnyMethods, &self.any_methods)?;
        list(&mut map, Field::Acr, &self.acr)?;
        if let Some(max_age) = self.max_age {
            map.serialize_entry(Field::MaxAge.key(), &max_age)?;
        }
        list(&mut map, Field::Scopes, &self.scopes)?;
        if let Some(risk) = &self.risk {
            map.serialize_entry(Field::Risk.key(), risk)?;
        }
        if self.bound {
            map.serialize_entry(Field::Bound.key(), &true)?;
        }
        if self.per_action {
            map.serialize_entry(Field::PerAction.key(), &true)?;
        }
        map.end()
    }
}
