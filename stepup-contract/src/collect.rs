//! From the lines of the link section to the contract: the one assembly that the running program
//! and `stepup export` share, so that what is enforced is what is exported.

use crate::contract::{Contract, Unlisted, check_base, numbered};
use crate::endpoint::Endpoint;
use crate::error::{ContractError, ContractErrors};
use crate::json::{Reader, Unknown, check_endpoint};
use crate::record::{FORMAT, lines};
use crate::strict_json::parse_strict;
use linkme::distributed_slice;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The lines of this program, each the very bytes that lie in its `.stepup` section. The name holds
/// the version, so that an incompatible one in the same program has a slice of its own.
#[doc(hidden)]
#[distributed_slice]
pub static STEPUP_RECORDS_0_1: [&'static [u8]];

impl Contract {
    /// The contract of the running program: every endpoint that is linked into it.
    ///
    /// This says what is linked, not what is mounted. The linker drops a crate that no code names.
    ///
    /// # Errors
    /// Everything that is wrong with it, such as two handlers on one route.
    pub fn collect() -> Result<Self, ContractErrors> {
        whole(Self::from_lines(STEPUP_RECORDS_0_1.iter().copied())?)
    }

    /// The contract in the bytes of a `.stepup` link section.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_section(section: &[u8]) -> Result<Self, ContractErrors> {
        whole(Self::from_lines(lines(section))?)
    }

    /// As [`Contract::from_section`], with the handlers that nothing gives a route beside the contract: for
    /// those who examine a program. They stand in no contract, and what is incomplete must not be enforced.
    ///
    /// # Errors
    /// Everything else that is wrong with it.
    #[doc(hidden)]
    pub fn examine_section(section: &[u8]) -> Result<(Self, Vec<String>), ContractErrors> {
        Self::from_lines(lines(section))
    }

    fn from_lines<'a>(
        all: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(Self, Vec<String>), ContractErrors> {
        // Identical lines are one endpoint mounted in several places.
        let unique: BTreeSet<&[u8]> = all.flat_map(lines).collect();
        let mut errors = Vec::new();
        let mut entries = Vec::new();
        for line in unique {
            match Entry::read(line) {
                Ok(entry) => entries.push(entry),
                Err(error) => errors.extend(error.iter().cloned()),
            }
        }
        let entries = ContractErrors::or_ok(errors, entries)?;
        assemble(entries)
    }
}

/// The contract, unless it lacks handlers.
fn whole((contract, routeless): (Contract, Vec<String>)) -> Result<Contract, ContractErrors> {
    ContractErrors::or_ok(no_route(&routeless).collect(), contract)
}

fn no_route(handlers: &[String]) -> impl Iterator<Item = ContractError> {
    handlers.iter().map(|handler| ContractError::NoRoute { handler: handler.clone() })
}

/// The linked service's base, if its records name exactly one.
#[doc(hidden)]
pub fn linked_base() -> Option<String> {
    let entries = STEPUP_RECORDS_0_1.iter().copied().flat_map(lines).filter_map(|line| {
        match Entry::read(line).ok()?.kind {
            Kind::Service { base, .. } => base,
            _ => None,
        }
    });
    let bases: BTreeSet<String> = entries.collect();
    if bases.len() == 1 { bases.into_iter().next() } else { None }
}

/// The endpoint in one line. A handler whose route is given where it is mounted has an empty path.
///
/// # Errors
/// What is wrong with the line.
#[doc(hidden)]
pub fn read_endpoint(line: &[u8]) -> Result<Endpoint, ContractErrors> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    match Entry::read(line)?.kind {
        Kind::Endpoint(endpoint) | Kind::Routeless(endpoint) => Ok(endpoint),
        Kind::Service { .. } => {
            Err(ContractError::Record { detail: "not an endpoint's line".into() }.into())
        }
    }
}

/// One line, read.
struct Entry {
    runtime: String,
    package: String,
    version: String,
    kind: Kind,
}

enum Kind {
    Endpoint(Endpoint),
    /// A handler whose route is given elsewhere; its path is empty.
    Routeless(Endpoint),
    Service {
        unlisted: Unlisted,
        base: Option<String>,
    },
}

impl Entry {
    fn read(line: &[u8]) -> Result<Self, ContractErrors> {
        let unreadable = |detail: String| ContractErrors::from(ContractError::Record { detail });
        let value = parse_strict(line).map_err(|why| unreadable(why.to_string()))?;
        let Value::Object(map) = value else {
            return Err(unreadable("not an object".into()));
        };
        if map.get("record").and_then(Value::as_u64) != Some(FORMAT) {
            return Err(unreadable(format!(
                "it is of format {}, not {FORMAT}",
                map.get("record").unwrap_or(&Value::Null)
            )));
        }
        let mut reader = Reader::new(Unknown::Refuse);
        let runtime = reader.required_text(&map, "", "runtime");
        let package = reader.required_text(&map, "", "package");
        let version = reader.required_text(&map, "", "version");
        let kind = read_kind(&mut reader, &map);
        match kind {
            Some(kind) if reader.errors.is_empty() => Ok(Self { runtime, package, version, kind }),
            _ => Err(unreadable(
                reader.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            )),
        }
    }
}

fn read_kind(reader: &mut Reader, map: &Map<String, Value>) -> Option<Kind> {
    const COMMON: [&str; 4] = ["record", "runtime", "package", "version"];
    if map.contains_key("service") {
        let own = ["service", "unlisted", "base"];
        reader.known(map, "", &[COMMON.as_slice(), own.as_slice()].concat());
        let unlisted = match map.get("unlisted") {
            Some(Value::String(text)) if text == "allow" => Unlisted::Allow,
            _ => Unlisted::Deny,
        };
        let base = reader.text(map, "", "base");
        if let Some(why) = base.as_deref().and_then(|base| check_base(base).err()) {
            reader.errors.push(ContractError::Field { pointer: "/base".into(), message: why });
        }
        return Some(Kind::Service { unlisted, base });
    }
    let own = ["method", "path", "trust", "handler", "security"];
    reader.known(map, "", &[COMMON.as_slice(), own.as_slice()].concat());
    let path = reader.text(map, "", "path");
    let routed = path.is_some();
    let endpoint = reader.endpoint_at(map, "", path.unwrap_or_default());
    // A routeless endpoint has everything to check but its path.
    let checked = Endpoint {
        path: if routed { endpoint.path.clone() } else { "/".into() },
        ..endpoint.clone()
    };
    if reader.errors.is_empty() {
        check_endpoint(&checked, "", &mut reader.errors);
    }
    Some(if routed { Kind::Endpoint(endpoint) } else { Kind::Routeless(endpoint) })
}

fn assemble(entries: Vec<Entry>) -> Result<(Contract, Vec<String>), ContractErrors> {
    let mut errors = Vec::new();
    if entries.is_empty() {
        return Err(ContractError::Nothing.into());
    }
    let runtimes: BTreeSet<&str> = entries.iter().map(|entry| entry.runtime.as_str()).collect();
    if runtimes.len() > 1 {
        errors.push(ContractError::SeveralRuntimes { versions: joined(&runtimes) });
    }
    let mut services = Vec::new();
    let mut packages = BTreeSet::new();
    let mut endpoints = Vec::new();
    let mut routeless = Vec::new();
    for Entry { package, version, kind, .. } in entries {
        match kind {
            Kind::Service { unlisted, base } => services.push((package, version, unlisted, base)),
            Kind::Endpoint(endpoint) => {
                packages.insert((package, version));
                endpoints.push(endpoint);
            }
            Kind::Routeless(endpoint) => {
                packages.insert((package, version));
                routeless.push(endpoint);
            }
        }
    }
    let names: BTreeSet<&str> = packages.iter().map(|(package, _)| package.as_str()).collect();
    let several: BTreeSet<&str> = services.iter().map(|(package, ..)| package.as_str()).collect();
    match (services.len(), packages.len()) {
        (0, 0 | 1) | (1, _) => {}
        (0, _) => errors.push(ContractError::WhoseContract { packages: joined(&names) }),
        _ => errors.push(ContractError::SeveralServices { packages: joined(&several) }),
    }
    // The library and the program of one package share a name, so that two handlers may too.
    routeless.retain(|handler| {
        let same = |routed: &Endpoint| {
            (&routed.handler, &routed.requirement) == (&handler.handler, &handler.requirement)
        };
        !endpoints.iter().any(same)
    });
    let routeless: Vec<String> =
        routeless.into_iter().map(|endpoint| endpoint.handler.unwrap_or_default()).collect();
    let (service, version, unlisted, base) = services.pop().unwrap_or_else(|| {
        let (package, version) = packages.pop_first().unwrap_or_default();
        (package, version, Unlisted::Deny, None)
    });
    let checked = Contract::checked(service, version, unlisted, base, numbered(endpoints));
    if let Err(more) = &checked {
        errors.extend(more.iter().cloned());
    }
    if !errors.is_empty() {
        // Since it is no contract, all that is wrong is told.
        errors.extend(no_route(&routeless));
    }
    let (contract, _) = ContractErrors::or_ok(errors, checked)??;
    Ok((contract, routeless))
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
