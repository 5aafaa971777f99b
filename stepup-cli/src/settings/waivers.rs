//! Waivers: findings of `stepup check` that are acceptable, for a reason and until a day.

use crate::report::waived::Waived;
use crate::settings::expiry;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use stepup_contract::Rule;

/// The rule name of findings about an issuer.
pub(crate) const ISSUER_RULE: &str = "issuer";

/// A waiver in the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Waiver {
    /// The lint, or `issuer`.
    #[serde(deserialize_with = "lint")]
    lint: String,
    /// The route of the finding, as `check` prints it; absent for a finding about the contract as a whole.
    route: Option<String>,
    /// Why the finding is acceptable.
    #[serde(deserialize_with = "expiry::reason")]
    reason: String,
    /// The last day on which the waiver applies.
    #[serde(deserialize_with = "expiry::date")]
    expires: jiff::civil::Date,
}

impl Waiver {
    /// Whether these waivers apply to a finding today.
    pub(crate) fn apply(waivers: &[Self], rule: &str, route: Option<&str>) -> Waived {
        let matching = |waiver: &&Self| waiver.lint == rule && waiver.route.as_deref() == route;
        let waivers = waivers.iter().filter(matching);
        Waived::any(waivers.map(|waiver| expiry::waived(&waiver.reason, waiver.expires)))
    }
}

fn lint<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    if name != ISSUER_RULE {
        name.parse::<Rule>().map_err(D::Error::custom)?;
    }
    Ok(name)
}
