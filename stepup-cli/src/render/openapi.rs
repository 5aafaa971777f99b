//! OpenAPI 3.1. What a document holds already stays as it is written, down to its spaces: only the members that
//! the contract has something to say about are taken apart.

use crate::failure::Failure;
use crate::input::view;
use crate::wording::unknown;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use stepup_contract::{ContractView, Endpoint, HttpMethod, Trust, without_names};

/// See the module.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// Put it into this document, in JSON. What is there already stays as it is.
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// The issuer, for clients that find it by OpenID Connect discovery.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

/// An object whose members stay in their order, each as it is written.
type Object = IndexMap<String, Box<RawValue>>;

/// The name of the security scheme.
const SCHEME: &str = "stepUp";

pub(crate) fn openapi(arguments: &Arguments) -> Result<String, Failure> {
    let contract = view(&arguments.contract)?;
    let Some(path) = &arguments.into else {
        let info = json!({"title": contract.service(), "version": contract.version()});
        let mut document = Object::new();
        set(&mut document, "openapi", &"3.1.0")?;
        set(&mut document, "info", &info)?;
        let (text, missing) = filled(document, &contract, arguments, true)?;
        warn(&arguments.contract, &missing);
        return Ok(text);
    };
    let unreadable = |why| Failure::Unreadable { path: path.clone(), why };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let document: Object = serde_json::from_str(&text)
        .map_err(|why| wrong(format!("not JSON: {why}; convert a document in YAML first")))?;
    let version = document.get("openapi").map_or("missing", |version| version.get());
    if !version.starts_with("\"3.") {
        return Err(wrong(format!("not an OpenAPI 3 document: its `openapi` is {version}")));
    }
    for (group, name) in OURS {
        let components = object(&document, "components")?;
        if object(&components, group)?.get(name).is_some_and(|there| !is_ours(there)) {
            return Err(wrong(format!(
                "components.{group}.{name} is there already and is not Step-up's; rename it"
            )));
        }
    }
    let (text, missing) = filled(document, &contract, arguments, false)?;
    warn(path, &missing);
    Ok(text)
}

/// What is put under the components, by group and name.
const OURS: [(&str, &str); 4] = [
    ("securitySchemes", SCHEME),
    ("responses", "StepUp401"),
    ("responses", "StepUp403"),
    ("schemas", "StepUpProblem"),
];

/// Marks what was put under the components, so that a document can be filled again.
const MARK: &str = "x-step-up-added";

fn is_ours(there: &RawValue) -> bool {
    serde_json::from_str::<Value>(there.get()).is_ok_and(|there| there.get(MARK).is_some())
}

fn warn(file: &Path, missing: &[String]) {
    for route in missing {
        eprintln!("warning: {}: no operation for {route}; nothing was added", file.display());
    }
}

/// The document with what the contract says, and the endpoints that have no place in it.
fn filled(
    mut document: Object,
    contract: &ContractView,
    arguments: &Arguments,
    create: bool,
) -> Result<(String, Vec<String>), Failure> {
    let everywhere = document.get("security").map(|security| security.get().to_owned());
    // Before 3.1 only schemes of OAuth and OpenID Connect name scopes.
    let old = document.get("openapi").is_some_and(|version| version.get().starts_with("\"3.0"));
    let scopes = arguments.issuer.is_some() || !old;
    let mut paths = object(&document, "paths")?;
    let mut missing = Vec::new();
    // Two endpoints may have one operation: a method of its own comes before any, and where a wildcard is a parameter
    // like another, what asks for more.
    let mut shown: HashSet<(String, HttpMethod)> = HashSet::new();
    let mut endpoints: Vec<&Endpoint> = contract.endpoints().iter().collect();
    endpoints
        .sort_by_key(|endpoint| (endpoint.method.is_none(), endpoint.trust() == Trust::Standard));
    for endpoint in endpoints {
        let whole = contract.whole_path(endpoint);
        let found = [&*whole, &endpoint.path].into_iter().find_map(|path| {
            let same = |known: &&String| without_names(known) == without_names(&plain(path));
            paths.keys().find(same).cloned()
        });
        let key = match found {
            Some(key) => key,
            None if create => plain(&whole),
            None => {
                missing.push(contract.route(endpoint));
                continue;
            }
        };
        let mut item = object(&paths, &key)?;
        if create && item.is_empty() {
            let parameters = parameters(&whole);
            if !parameters.is_empty() {
                set(&mut item, "parameters", &parameters)?;
            }
        }
        let mut any = false;
        for method in methods(endpoint) {
            let name = method.as_str().to_lowercase();
            if !create && !item.contains_key(&name) {
                continue;
            }
            if !shown.insert((key.clone(), method)) {
                continue;
            }
            any = true;
            let operation =
                operation(object(&item, &name)?, endpoint, everywhere.as_deref(), create, scopes)?;
            set(&mut item, &name, &operation)?;
        }
        if !any {
            missing.push(contract.route(endpoint));
        }
        set(&mut paths, &key, &item)?;
    }
    if create {
        paths.sort_unstable_keys();
    }
    set(&mut document, "paths", &paths)?;
    let components = components(object(&document, "components")?, arguments)?;
    set(&mut document, "components", &components)?;
    let unknown = unknown(contract);
    if !unknown.is_empty() {
        set(&mut document, "x-step-up-not-shown", &unknown)?;
    }
    let mut text = serde_json::to_string_pretty(&document).map_err(odd)?;
    text.push('\n');
    Ok((text, missing))
}

/// The methods of an endpoint that OpenAPI has a place for.
fn methods(endpoint: &Endpoint) -> Vec<HttpMethod> {
    endpoint.method.map_or_else(|| HttpMethod::ALL.to_vec(), |method| vec![method])
}

/// The path as OpenAPI writes it: a wildcard is a parameter like another.
fn plain(path: &str) -> String {
    path.replace("{*", "{")
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| {
        let (_, name) = segment.strip_suffix('}')?.rsplit_once('{')?;
        Some(name.trim_start_matches('*'))
    });
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}

fn operation(
    mut operation: Object,
    endpoint: &Endpoint,
    everywhere: Option<&str>,
    create: bool,
    scopes: bool,
) -> Result<Object, Failure> {
    if create {
        let sensitive = endpoint.trust() == Trust::Sensitive;
        let summary =
            if sensitive { "Needs step-up authentication" } else { "Needs a valid token" };
        set(&mut operation, "summary", &summary)?;
    }
    // Of the alternatives that are there, every one needs the token as well: a further alternative would be a
    // way around it.
    let there = operation.get("security").map(|security| security.get()).or(everywhere);
    let mut alternatives: Vec<Object> =
        there.map_or_else(|| Ok(Vec::new()), serde_json::from_str).map_err(odd)?;
    if alternatives.is_empty() {
        alternatives.push(Object::new());
    }
    for alternative in &mut alternatives {
        set(alternative, SCHEME, &if scopes { &endpoint.requirement.scopes[..] } else { &[] })?;
    }
    set(&mut operation, "security", &alternatives)?;
    let mut responses = object(&operation, "responses")?;
    if create && responses.is_empty() {
        set(&mut responses, "default", &json!({"description": "The handler's answer"}))?;
    }
    for status in ["401", "403"] {
        if !responses.contains_key(status) {
            let response = json!({"$ref": format!("#/components/responses/StepUp{status}")});
            set(&mut responses, status, &response)?;
        }
    }
    set(&mut operation, "responses", &responses)?;
    set(&mut operation, "x-step-up", &endpoint.requirement)?;
    Ok(operation)
}

fn components(mut components: Object, arguments: &Arguments) -> Result<Object, Failure> {
    let mut schemes = object(&components, "securitySchemes")?;
    let scheme = match &arguments.issuer {
        Some(issuer) => json!({
            "type": "openIdConnect",
            "openIdConnectUrl":
                format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')),
        }),
        None => json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
    };
    let scheme = marked(scheme);
    set(&mut schemes, SCHEME, &scheme)?;
    set(&mut components, "securitySchemes", &schemes)?;
    let mut responses = object(&components, "responses")?;
    for (status, description) in [
        (
            "401",
            "No valid access token, or one whose authentication is too weak or too old: the challenge says \
             what to ask the identity provider for (RFC 6750, RFC 9470)",
        ),
        ("403", "A scope is lacking, or the call is not allowed (RFC 6750)"),
    ] {
        let challenge = json!({"description": "The challenge", "schema": {"type": "string"}});
        let response = json!({
            "description": description,
            "headers": {"WWW-Authenticate": challenge},
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/StepUpProblem"},
            }},
        });
        set(&mut responses, &format!("StepUp{status}"), &marked(response))?;
    }
    set(&mut components, "responses", &responses)?;
    let mut schemas = object(&components, "schemas")?;
    let problem = json!({
        "type": "object",
        "description": "A problem (RFC 9457), with what the challenge holds",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "error": {"type": "string"},
            "acr_values": {"type": "string"},
            "max_age": {"type": "integer"},
            "scope": {"type": "string"},
        },
    });
    set(&mut schemas, "StepUpProblem", &marked(problem))?;
    set(&mut components, "schemas", &schemas)?;
    Ok(components)
}

fn marked(mut value: Value) -> Value {
    value[MARK] = true.into();
    value
}

/// The object that stands there, or an empty one where nothing does.
fn object(parent: &Object, name: &str) -> Result<Object, Failure> {
    parent.get(name).map_or_else(
        || Ok(Object::new()),
        |value| {
            serde_json::from_str(value.get())
                .map_err(|why| Failure::Usage(format!("`{name}` of the OpenAPI document: {why}")))
        },
    )
}

fn set(object: &mut Object, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    object.insert(name.to_owned(), to_raw_value(value).map_err(odd)?);
    Ok(())
}

fn odd(why: serde_json::Error) -> Failure {
    Failure::Usage(format!("the OpenAPI document: {why}"))
}
