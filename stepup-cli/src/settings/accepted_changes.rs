//! Accepted changes: weakenings that `stepup diff` reports but does not count, by route and kind.

use crate::report::waived::Waived;
use crate::settings::expiry;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::fmt;
use std::str::FromStr;
use stepup_contract::{Change, Endpoint, Kind};

/// The name of a change: its kind and its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeName {
    kind: Kind,
    /// Absent for a change of the requests that match no endpoint.
    route: Option<String>,
    /// The route that the requests matched before, if that was another one.
    from: Option<String>,
}

impl ChangeName {
    /// The name of this change. No other change of the same two contracts has this name.
    pub(crate) fn of(change: &Change) -> Self {
        let endpoint = change.new.as_ref().or(change.old.as_ref());
        let (route, from) = (endpoint.map(Endpoint::route), change.previous_route());
        Self { kind: change.kind, route, from }
    }
}

impl fmt::Display for ChangeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        self.route.iter().try_for_each(|route| write!(f, " {route}"))?;
        self.from.iter().try_for_each(|from| write!(f, " from {from}"))
    }
}

impl FromStr for ChangeName {
    type Err = String;

    /// `POST /pay` for a changed requirement, otherwise the kind first: `gone POST /pay`, or `unlisted-opened` alone.
    /// Requests that matched another endpoint before: `GET /a/me from GET /a/{id}`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (routes, from) = match text.split_once(" from ") {
            Some((routes, from)) => (routes, Some(from.to_owned())),
            None => (text, None),
        };
        let (first, rest) = routes.split_once(' ').unwrap_or((routes, ""));
        let (kind, route) = match kind(first) {
            Ok(kind @ (Kind::UnlistedOpened | Kind::UnlistedClosed)) if rest.is_empty() => {
                (kind, None)
            }
            Ok(kind) if rest.contains('/') => (kind, Some(rest)),
            Err(_) if rest.contains('/') => (Kind::Changed, Some(routes)),
            _ => {
                return Err("write the route as `stepup diff` prints it, as in \"POST /pay\", or the kind of change \
                            first, as in \"gone POST /pay\""
                    .into());
            }
        };
        Ok(Self { kind, route: route.map(str::to_owned), from })
    }
}

/// An accepted change in the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct AcceptedChange {
    /// The route; absent for a change of the requests that match no endpoint.
    route: Option<String>,
    /// The route that the requests matched before, if that was another one.
    from: Option<String>,
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
    let name = ChangeName::of(change);
    if flags.contains(&name) {
        return Waived::Yes("--accept".into());
    }
    let accepted = settings.iter().filter(|accepted| {
        let AcceptedChange { route, from, kind, .. } = accepted;
        *kind == name.kind && *route == name.route && *from == name.from
    });
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
    fn a_change_is_named_by_its_kind_and_its_routes() {
        for (text, full) in [
            ("POST /pay", "changed POST /pay"),
            ("any method /pay", "changed any method /pay"),
            ("gone POST /pay", "gone POST /pay"),
            ("GET /a/me from GET /a/{id}", "changed GET /a/me from GET /a/{id}"),
            ("unlisted-opened", "unlisted-opened"),
            ("unlisted-closed", "unlisted-closed"),
        ] {
            let name: ChangeName = text.parse().unwrap();
            assert_eq!(name.to_string(), full);
            assert_eq!(full.parse(), Ok(name));
        }
        for text in ["", "POST", "gone", "pay", "gone pay", "changed"] {
            assert!(text.parse::<ChangeName>().is_err(), "{text}");
        }
    }
}
