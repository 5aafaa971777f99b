//! Accepted changes: weakenings that `stepup diff` reports but does not count, by route and kind.

use crate::report::waived::Waived;
use crate::settings::expiry;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::str::FromStr;
use stepup_contract::{Change, Kind};

/// The requests of a change, and its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeName {
    /// Absent for a change of the requests that match no endpoint.
    route: Option<String>,
    kind: Kind,
}

impl ChangeName {
    fn matches(&self, change: &Change) -> bool {
        self.kind == change.kind && self.route == change.route()
    }
}

impl FromStr for ChangeName {
    type Err = String;

    /// `POST /pay` for a changed requirement, otherwise the kind first: `gone POST /pay`, or `unlisted-opened` alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        match kind(first) {
            Ok(kind @ Kind::UnlistedOpened) if rest.is_empty() => Ok(Self { route: None, kind }),
            Ok(kind) if !rest.is_empty() => Ok(Self { route: Some(rest.to_owned()), kind }),
            Err(_) if rest.contains('/') => {
                Ok(Self { route: Some(text.to_owned()), kind: Kind::Changed })
            }
            _ => Err("write the route as `stepup diff` prints it, as in \"POST /pay\", or the kind of change first, \
                      as in \"gone POST /pay\""
                .into()),
        }
    }
}

/// An accepted change in the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct AcceptedChange {
    /// The route, as `diff` prints it; absent for a change of the requests that match no endpoint.
    route: Option<String>,
    /// The kind of change, as `diff` prints it.
    #[serde(default = "changed", deserialize_with = "parsed_kind")]
    kind: Kind,
    /// Why the change is acceptable.
    #[serde(deserialize_with = "expiry::reason")]
    reason: String,
    /// The last day on which the change is accepted.
    #[serde(deserialize_with = "expiry::date")]
    expires: jiff::civil::Date,
}

/// Whether a change is accepted today, by a flag or by the settings.
pub(crate) fn accepted(
    change: &Change,
    flags: &[ChangeName],
    settings: &[AcceptedChange],
) -> Waived {
    if flags.iter().any(|name| name.matches(change)) {
        return Waived::Yes("--accept".into());
    }
    let matching = |accepted: &&AcceptedChange| {
        let name = ChangeName { route: accepted.route.clone(), kind: accepted.kind };
        name.matches(change)
    };
    let accepted = settings.iter().filter(matching);
    Waived::any(accepted.map(|accepted| expiry::waived(&accepted.reason, accepted.expires)))
}

fn changed() -> Kind {
    Kind::Changed
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        format!("unknown kind of change {name:?}; the kinds are {known}")
    })
}

fn parsed_kind<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
    kind(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_by_its_route_and_kind() {
        let name = |text: &str| text.parse::<ChangeName>();
        let route = |route: &str, kind| ChangeName { route: Some(route.into()), kind };
        assert_eq!(name("POST /pay"), Ok(route("POST /pay", Kind::Changed)));
        assert_eq!(name("any method /pay"), Ok(route("any method /pay", Kind::Changed)));
        assert_eq!(name("gone POST /pay"), Ok(route("POST /pay", Kind::Gone)));
        let unlisted = ChangeName { route: None, kind: Kind::UnlistedOpened };
        assert_eq!(name("unlisted-opened"), Ok(unlisted));
        for text in ["", "POST", "gone", "pay"] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
