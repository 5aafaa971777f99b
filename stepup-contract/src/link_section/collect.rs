//! From the lines of the link section to the contract. The running program and `stepup export` share this code, so the
//! exported contract is the enforced one.

use crate::document::endpoint::KEYS;
use crate::document::json::{Object, Reader, UnknownFields};
use crate::link_section::record::{FORMAT, lines};
use crate::model::{Contract, ContractError, ContractErrors, Endpoint, Unlisted};
use crate::path::check_base;
use crate::routing::validate::{check_endpoint, numbered};
use crate::text::parse_strict;
use linkme::distributed_slice;
use serde_json::Value;
use std::collections::BTreeSet;

/// The lines of this program: the same bytes as in its `.stepup` section. The name contains the version, so that an
/// incompatible version in the same program has its own slice.
#[doc(hidden)]
#[distributed_slice]
pub static STEPUP_RECORDS_0_1: [&'static [u8]];

impl Contract {
    /// The contract of the running program: every endpoint that is linked into it.
    ///
    /// The contract contains what is linked, not what is mounted. The linker drops a crate that no code names.
    ///
    /// # Errors
    /// All problems, such as two handlers on one route.
    pub fn collect() -> Result<Self, ContractErrors> {
        complete(Self::from_lines(STEPUP_RECORDS_0_1.iter().copied())?)
    }

    /// The contract in the bytes of a `.stepup` link section.
    ///
    /// # Errors
    /// All problems.
    pub fn from_section(section: &[u8]) -> Result<Self, ContractErrors> {
        complete(Self::from_lines(lines(section))?)
    }

    /// Reads a section like [`Contract::from_section`] for inspection: also returns the handlers without a route, which
    /// the contract does not contain. An incomplete contract must not be enforced.
    ///
    /// # Errors
    /// All other problems.
    #[doc(hidden)]
    pub fn examine_section(section: &[u8]) -> Result<(Self, Vec<String>), ContractErrors> {
        Self::from_lines(lines(section))
    }

    fn from_lines<'a>(
        all: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(Self, Vec<String>), ContractErrors> {
        // Identical lines are one endpoint that is mounted several times.
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

/// The contract, unless handlers have no route.
fn complete((contract, routeless): (Contract, Vec<String>)) -> Result<Contract, ContractErrors> {
    ContractErrors::or_ok(no_route(&routeless).collect(), contract)
}

fn no_route(handlers: &[String]) -> impl Iterator<Item = ContractError> {
    handlers.iter().map(|handler| ContractError::NoRoute { handler: handler.clone() })
}

/// The base of the linked program's service.
#[doc(hidden)]
pub fn linked_base() -> Option<String> {
    let unique: BTreeSet<&[u8]> = STEPUP_RECORDS_0_1.iter().copied().flat_map(lines).collect();
    let entries = unique.into_iter().filter_map(|line| Entry::read(line).ok()).collect();
    Linked::of(entries).service().ok()?.base
}

/// The endpoint in one line. A handler whose route is given where it is mounted has an empty path.
///
/// # Errors
/// All problems of the line.
#[doc(hidden)]
pub fn read_endpoint(line: &[u8]) -> Result<Endpoint, ContractErrors> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    match Entry::read(line)?.kind {
        Kind::Endpoint(endpoint) | Kind::Routeless(endpoint) => Ok(endpoint),
        Kind::Service(_) => {
            Err(ContractError::Record { detail: "not an endpoint's line".into() }.into())
        }
    }
}

/// One parsed line.
struct Entry {
    runtime: String,
    package: String,
    version: String,
    kind: Kind,
}

enum Kind {
    Endpoint(Endpoint),
    /// A handler whose route is given where it is mounted; its path is empty.
    Routeless(Endpoint),
    Service(Service),
}

/// What `service!` states.
#[derive(Clone, Default)]
struct Service {
    package: String,
    version: String,
    unlisted: Unlisted,
    base: Option<String>,
    /// Whether `service!` is written in a program or a test, not in a library.
    program: bool,
    /// Other packages whose endpoints belong to the service.
    includes: Vec<String>,
}

impl Entry {
    fn read(line: &[u8]) -> Result<Self, ContractErrors> {
        let unreadable = |detail: String| ContractErrors::from(ContractError::Record { detail });
        let value = parse_strict(line).map_err(|error| unreadable(error.to_string()))?;
        let Value::Object(map) = value else {
            return Err(unreadable("not an object".into()));
        };
        if map.get("record").and_then(Value::as_u64) != Some(FORMAT) {
            return Err(unreadable(format!(
                "its format is {}, not {FORMAT}",
                map.get("record").unwrap_or(&Value::Null)
            )));
        }
        let mut reader = Reader::new(UnknownFields::Refuse);
        let object = Object { map: &map, pointer: "" };
        let mut text = |key| reader.required_text(object, key).unwrap_or_default();
        let (runtime, package, version) = (text("runtime"), text("package"), text("version"));
        let kind = if map.contains_key("service") {
            read_service(&mut reader, object)
        } else {
            read_endpoint_line(&mut reader, object)
        };
        if reader.errors.is_empty() {
            return Ok(Self { runtime, package, version, kind });
        }
        let errors: Vec<String> = reader.errors.iter().map(ToString::to_string).collect();
        Err(unreadable(errors.join("; ")))
    }
}

/// The keys of every line.
const COMMON_KEYS: [&str; 4] = ["record", "runtime", "package", "version"];

fn read_service(reader: &mut Reader, object: Object<'_>) -> Kind {
    let keys = [&COMMON_KEYS[..], &["service", "unlisted", "base", "program", "includes"]].concat();
    reader.check_known(object, &keys);
    let choices = [("deny", Unlisted::Deny), ("allow", Unlisted::Allow)];
    let unlisted = reader.choice(object, "unlisted", choices).unwrap_or_default();
    let base = reader.text(object, "base");
    if let Some(message) = base.as_deref().and_then(|base| check_base(base).err()) {
        reader.error("/base", message);
    }
    let mut text = |key| reader.text(object, key).unwrap_or_default();
    let (package, version) = (text("package"), text("version"));
    let program = reader.flag(object, "program").unwrap_or_default();
    let includes = reader.list(object, "includes");
    Kind::Service(Service { package, version, unlisted, base, program, includes })
}

fn read_endpoint_line(reader: &mut Reader, object: Object<'_>) -> Kind {
    let keys = [&COMMON_KEYS[..], &KEYS].concat();
    reader.check_known(object, &keys);
    let path = reader.text(object, "path");
    let routed = path.is_some();
    let draft = reader.endpoint_at(object, path.unwrap_or_default());
    if reader.errors.is_empty() {
        draft.check_declarations("", reader);
        // The rules apply to an endpoint without a route too, except those for paths.
        let mut checked = draft.endpoint.clone();
        if !routed {
            checked.path = "/".into();
        }
        check_endpoint(&checked, "", &mut reader.errors);
    }
    if routed { Kind::Endpoint(draft.endpoint) } else { Kind::Routeless(draft.endpoint) }
}

fn assemble(entries: Vec<Entry>) -> Result<(Contract, Vec<String>), ContractErrors> {
    let mut errors = Vec::new();
    if entries.is_empty() {
        return Err(ContractError::NoEndpoints.into());
    }
    let runtimes: BTreeSet<&str> = entries.iter().map(|entry| entry.runtime.as_str()).collect();
    if runtimes.len() > 1 {
        errors.push(ContractError::SeveralRuntimes { versions: joined(&runtimes) });
    }
    let linked = Linked::of(entries);
    let service = linked.service().unwrap_or_else(|error| {
        errors.push(error);
        Service::default()
    });
    let Linked { endpoints, mut routeless, .. } = linked;
    // Two handlers may have the same name, because the library and the program of one package share a name.
    routeless.retain(|handler| {
        let same = |routed: &Endpoint| {
            (&routed.handler, &routed.requirement, routed.public)
                == (&handler.handler, &handler.requirement, handler.public)
        };
        !endpoints.iter().any(same)
    });
    let routeless: Vec<String> =
        routeless.into_iter().map(|endpoint| endpoint.handler.unwrap_or_default()).collect();
    let Service { package, version, unlisted, base, .. } = service;
    let checked = Contract::validated(package, version, unlisted, base, numbered(endpoints));
    if let Err(more) = &checked {
        errors.extend(more.iter().cloned());
    }
    if !errors.is_empty() {
        // There is no contract to return, so every problem is reported.
        errors.extend(no_route(&routeless));
    }
    let (contract, _) = ContractErrors::or_ok(errors, checked)??;
    Ok((contract, routeless))
}

/// The parts of a linked program.
#[derive(Default)]
struct Linked {
    services: Vec<Service>,
    /// The packages that have endpoints, with their versions.
    packages: BTreeSet<(String, String)>,
    endpoints: Vec<Endpoint>,
    routeless: Vec<Endpoint>,
}

impl Linked {
    fn of(entries: Vec<Entry>) -> Self {
        let mut linked = Self::default();
        for Entry { package, version, kind, .. } in entries {
            match kind {
                Kind::Service(service) => linked.services.push(service),
                Kind::Endpoint(endpoint) => {
                    linked.packages.insert((package, version));
                    linked.endpoints.push(endpoint);
                }
                Kind::Routeless(endpoint) => {
                    linked.packages.insert((package, version));
                    linked.routeless.push(endpoint);
                }
            }
        }
        linked
    }

    /// The program's service: the one that `service!` states in the program. A library states the service of another
    /// program, unless all endpoints are its own or of packages that it includes.
    fn service(&self) -> Result<Service, ContractError> {
        let names: BTreeSet<&str> = self.packages.iter().map(|(name, _)| name.as_str()).collect();
        let covers = |service: &Service| {
            let known = |name: &&str| {
                *name == service.package || service.includes.iter().any(|other| other == name)
            };
            names.iter().all(known)
        };
        let (programs, libraries): (Vec<&Service>, _) =
            self.services.iter().partition(|service| service.program);
        let candidates: Vec<&Service> = match programs.is_empty() {
            true => libraries.iter().copied().filter(|service| covers(service)).collect(),
            // The library of the program's own package would add to the program's service.
            false => {
                let own = |library: &&Service| {
                    programs.iter().any(|program| program.package == library.package)
                };
                let libraries = libraries.iter().copied().filter(own);
                programs.iter().copied().chain(libraries).collect()
            }
        };
        match (&candidates[..], &names.iter().collect::<Vec<_>>()[..]) {
            ([service], _) => Ok((*service).clone()),
            ([], [_]) => {
                let (package, version) = self.packages.first().cloned().unwrap_or_default();
                Ok(Service { package, version, ..Service::default() })
            }
            ([], _) => {
                let libraries: BTreeSet<&str> =
                    libraries.iter().map(|service| service.package.as_str()).collect();
                Err(match libraries.is_empty() {
                    true => ContractError::NoService { packages: joined(&names) },
                    false => ContractError::ServiceOfLibrary {
                        packages: joined(&names),
                        libraries: joined(&libraries),
                    },
                })
            }
            _ => {
                let several: BTreeSet<&str> =
                    candidates.iter().map(|service| service.package.as_str()).collect();
                Err(ContractError::SeveralServices { packages: joined(&several) })
            }
        }
    }
}

fn joined(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
