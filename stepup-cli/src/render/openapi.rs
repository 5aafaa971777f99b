//! OpenAPI 3.1. An existing document is edited in place and keeps its other bytes. A new document starts as a skeleton
//! with every operation, and is completed in the same way.

use crate::contract_file::input::view;
use crate::report::display::unknown_fields;
use crate::report::failure::Failure;
use crate::report::output::print_error;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use stepup_contract::{
    ContractView, Endpoint, HttpMethod, Table, Trust, parse_strict, without_names,
};

/// The arguments of the OpenAPI form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The contract as JSON, or a compiled program.
    #[arg(value_name = "CONTRACT")]
    contract: PathBuf,
    /// Add the requirements to this JSON document, at the operations that the contract lists. The rest is unchanged.
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// The issuer, for clients that use OpenID Connect discovery.
    #[arg(long, value_name = "URL", value_parser = web_address)]
    issuer: Option<String>,
}

fn web_address(text: &str) -> Result<String, String> {
    let is_one = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    let odd = "write the issuer's URL, as in https://idp.example";
    if is_one { Ok(text.to_owned()) } else { Err(odd.to_owned()) }
}

/// The name of the security scheme.
const SCHEME: &str = "stepUp";

pub(crate) fn openapi(arguments: &Arguments) -> Result<String, Failure> {
    let contract = view(&arguments.contract)?;
    let file = arguments.into.as_ref().unwrap_or(&arguments.contract);
    let invalid = |reason| Failure::Usage(format!("{}: {reason}", file.display()));
    let text = match &arguments.into {
        None => skeleton(&contract).map_err(invalid)?,
        Some(path) => {
            let unreadable = |source| Failure::Unreadable { path: path.clone(), source };
            fs::read_to_string(path).map_err(unreadable)?
        }
    };
    let (text, missing) = complete(&text, &contract, arguments).map_err(invalid)?;
    warn(file, &missing);
    Ok(text)
}

/// The components that are added, by group and name.
const COMPONENTS: [(&str, &str); 4] = [
    ("securitySchemes", SCHEME),
    ("responses", "StepUp401"),
    ("responses", "StepUp403"),
    ("schemas", "StepUpProblem"),
];

/// Marks added components, so that a later run can replace them.
const MARK: &str = "x-step-up-added";

fn warn(file: &Path, missing: &[String]) {
    for route in missing {
        let file = file.display();
        print_error(format_args!("warning: {file}: no operation for {route}; nothing was added"));
    }
}

/// A document with the contract's operations, without their requirements.
fn skeleton(contract: &ContractView) -> Result<String, String> {
    let mut paths: BTreeMap<String, (String, BTreeMap<String, Value>)> = BTreeMap::new();
    for endpoint in contract.endpoints() {
        let whole = contract.whole_path(endpoint);
        let path = plain(&whole);
        let (_, item) = paths.entry(without_names(&path)).or_insert_with(|| {
            let parameters = parameters(&whole);
            let parameters = (!parameters.is_empty()).then(|| json!(parameters));
            let item = parameters.map(|parameters| ("parameters".to_owned(), parameters));
            (path, item.into_iter().collect())
        });
        let methods = endpoint.method.map_or_else(|| HttpMethod::ALL.to_vec(), |one| vec![one]);
        for method in methods {
            item.insert(
                method.as_str().to_lowercase(),
                json!({"responses": {"default": {"description": "The handler's response"}}}),
            );
        }
    }
    let paths: BTreeMap<_, _> = paths.into_values().collect();
    let root = CstRootNode::parse("{}\n", &STRICT).map_err(|error| error.to_string())?;
    let document = root.object_value_or_set();
    put(&document, "openapi", "3.1.0")?;
    let info = json!({"title": contract.service(), "version": contract.version()});
    put(&document, "info", &info)?;
    put(&document, "paths", &paths)?;
    Ok(root.to_string())
}

/// The document with the contract's requirements, and the endpoints without an operation.
fn complete(
    text: &str,
    contract: &ContractView,
    arguments: &Arguments,
) -> Result<(String, Vec<String>), String> {
    let read = parse_strict(text.as_bytes())
        .map_err(|error| format!("not JSON: {error}; convert a YAML document first"))?;
    let version = &read["openapi"];
    let version =
        version.as_str().filter(|version| version.starts_with("3.")).ok_or_else(|| {
            let missing = version.is_null().then(|| "missing".to_owned());
            let version = missing.unwrap_or_else(|| version.to_string());
            format!("not an OpenAPI 3 document: its `openapi` is {version}")
        })?;
    for (group, name) in COMPONENTS {
        let existing = &read["components"][group][name];
        if !existing.is_null() && existing.get(MARK).is_none() {
            return Err(format!(
                "components.{group}.{name} exists and was not added by Step-up; rename it"
            ));
        }
    }
    let root = CstRootNode::parse(text, &STRICT).map_err(|error| error.to_string())?;
    let document = root.object_value().ok_or("not a JSON object")?;
    // Before 3.1 only OAuth and OpenID Connect schemes have scopes.
    let scopes = arguments.issuer.is_some() || !version.starts_with("3.0");
    let missing =
        operations(&document, contract, &read["security"], scopes, arguments.into.is_none())?;
    components(&object(&document, "components")?, arguments)?;
    let unknown = unknown_fields(contract);
    if !unknown.is_empty() {
        put(&document, "x-step-up-not-shown", &unknown)?;
    }
    Ok((root.to_string(), missing))
}

/// Adds to every operation the requirement of its endpoint; returns the endpoints without an operation. `everywhere` is
/// the document's own `security`.
fn operations(
    document: &CstObject,
    contract: &ContractView,
    everywhere: &Value,
    scopes: bool,
    create: bool,
) -> Result<Vec<String>, String> {
    let paths = inner(document, "paths")?;
    let paths = paths.map(|paths| paths.properties()).unwrap_or_default();
    let table = contract.table();
    let mut described: HashSet<*const Endpoint> = HashSet::new();
    for path in paths {
        let item = path.object_value().ok_or("a path is not a JSON object")?;
        let name = path.decoded_name().unwrap_or_default();
        for method in METHODS {
            let Some(operation) = inner(&item, method)? else { continue };
            let endpoint = endpoint_of(contract, &table, &name, &method.to_uppercase());
            let Some(endpoint) = endpoint else { continue };
            describe(&operation, endpoint, everywhere, scopes)?;
            if create {
                let requires = match endpoint.trust() {
                    Trust::Sensitive => "Requires step-up authentication",
                    Trust::Public => "Requires no token",
                    _ => "Requires a valid token",
                };
                put(&operation, "summary", endpoint.summary.as_deref().unwrap_or(requires))?;
            }
            described.insert(endpoint);
        }
    }
    // The table has the contract's endpoints in the same order.
    let endpoints = contract.endpoints().iter().zip(table.endpoints());
    let missing = endpoints.filter(|(_, in_table)| !described.contains(&ptr::from_ref(*in_table)));
    Ok(missing.map(|(endpoint, _)| contract.route(endpoint)).collect())
}

/// The methods of OpenAPI, as it writes them.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The endpoint of an operation, whose path may lack the contract's base. The last parameter may be a wildcard, which
/// matches several segments; of two possible endpoints, the one that requires more trust is used.
fn endpoint_of<'a>(
    contract: &ContractView,
    table: &'a Table,
    path: &str,
    method: &str,
) -> Option<&'a Endpoint> {
    let whole = without_names(path);
    let based = contract.base().map(|base| format!("{base}{whole}"));
    [Some(whole), based].into_iter().flatten().find_map(|sample| {
        let found = table.find(method, &sample);
        let deeper = table.find(method, &format!("{sample}/{sample}"));
        let wildcard = deeper.filter(|endpoint| {
            let template = contract.whole_path(endpoint);
            template.contains("{*") && without_names(&plain(&template)) == sample
        });
        // Of two with the same trust, the last one.
        [wildcard, found].into_iter().flatten().max_by_key(|endpoint| endpoint.trust())
    })
}

/// Adds an endpoint's requirement to an operation.
fn describe(
    operation: &CstObject,
    endpoint: &Endpoint,
    everywhere: &Value,
    scopes: bool,
) -> Result<(), String> {
    if endpoint.public {
        return describe_public(operation, endpoint);
    }
    let scopes = if scopes { &endpoint.requirement.scopes[..] } else { &[] };
    // Every existing alternative requires the token too: an additional alternative would allow calls without it.
    let invalid = "the `security` of an operation is not an array of objects";
    let existing = match operation.get("security") {
        Some(existing) => existing.array_value().ok_or(invalid)?.elements(),
        None => Vec::new(),
    };
    if existing.is_empty() {
        // An earlier run has written an empty list while the endpoint was public.
        let was_public = inner(operation, "x-step-up")?
            .and_then(|known| known.get("trust")?.value()?.as_string_lit()?.decoded_value().ok())
            .is_some_and(|trust| trust == Trust::Public.as_str());
        let own = operation.get("security").is_some() && !was_public;
        let everywhere = everywhere.as_array().filter(|all| !own && !all.is_empty());
        let mut alternatives = everywhere.cloned().unwrap_or_else(|| vec![json!({})]);
        for alternative in alternatives.iter_mut().filter_map(Value::as_object_mut) {
            alternative.insert(SCHEME.into(), json!(scopes));
        }
        put(operation, "security", &alternatives)?;
    }
    for alternative in existing {
        put(&alternative.as_object().ok_or(invalid)?, SCHEME, scopes)?;
    }
    let responses = object(operation, "responses")?;
    for status in ["401", "403"] {
        if responses.get(status).is_none() {
            let response = json!({"$ref": format!("#/components/responses/StepUp{status}")});
            put(&responses, status, &response)?;
        }
    }
    put(operation, "x-step-up", &endpoint.requirement)
}

/// Marks an operation as public. Its own security, such as a signature, stays.
fn describe_public(operation: &CstObject, endpoint: &Endpoint) -> Result<(), String> {
    let own = operation.get("security").and_then(|security| security.array_value());
    match own.map(|own| own.elements()) {
        Some(alternatives) if !alternatives.is_empty() => {
            // Added while the endpoint was not public.
            let alternatives = alternatives.iter().filter_map(|one| one.as_object());
            for added in alternatives.filter_map(|one| one.get(SCHEME)) {
                added.remove();
            }
        }
        _ => put(operation, "security", &json!([]))?,
    }
    let mut public = json!({"trust": endpoint.trust(), "step-up": false});
    if let Some(reason) = &endpoint.reason {
        public["reason"] = reason.as_str().into();
    }
    put(operation, "x-step-up", &public)
}

/// The path as OpenAPI writes it: a wildcard is an ordinary parameter.
fn plain(path: &str) -> String {
    path.replace("{*", "{")
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| {
        let (_, name) = segment.strip_suffix('}')?.rsplit_once('{')?;
        Some(name.trim_start_matches('*'))
    });
    // A literal brace, which OpenAPI does not support, is not part of a name.
    let is_name = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    names
        .filter(is_name)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}

fn components(components: &CstObject, arguments: &Arguments) -> Result<(), String> {
    let scheme = match &arguments.issuer {
        Some(issuer) => json!({
            "type": "openIdConnect",
            "openIdConnectUrl":
                format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')),
        }),
        None => json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
    };
    put(&object(components, "securitySchemes")?, SCHEME, &marked(scheme))?;
    let responses = object(components, "responses")?;
    for (status, description) in [
        (
            "401",
            "No valid access token, or one whose authentication is too weak or too old: the challenge says \
             what to request from the identity provider (RFC 6750, RFC 9470)",
        ),
        ("403", "A scope is missing, or the call is not allowed (RFC 6750)"),
    ] {
        let challenge = json!({"description": "The challenge", "schema": {"type": "string"}});
        let response = json!({
            "description": description,
            "headers": {"WWW-Authenticate": challenge},
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/StepUpProblem"},
            }},
        });
        put(&responses, &format!("StepUp{status}"), &marked(response))?;
    }
    let problem = json!({
        "type": "object",
        "description": "A problem (RFC 9457), with the content of the challenge",
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
            "claims": {"type": "string"},
        },
    });
    put(&object(components, "schemas")?, "StepUpProblem", &marked(problem))
}

fn marked(mut value: Value) -> Value {
    value[MARK] = true.into();
    value
}

/// JSON without extensions (RFC 8259).
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The object in this member.
fn inner(parent: &CstObject, name: &str) -> Result<Option<CstObject>, String> {
    let Some(member) = parent.get(name) else { return Ok(None) };
    let object = member.object_value().ok_or_else(|| format!("`{name}` is not a JSON object"))?;
    Ok(Some(object))
}

/// Returns the object in this member, and creates the object if it is missing.
fn object(parent: &CstObject, name: &str) -> Result<CstObject, String> {
    Ok(match inner(parent, name)? {
        Some(object) => object,
        None => parent.object_value_or_set(name),
    })
}

/// Writes a member, unless it has this value already.
fn put(object: &CstObject, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), String> {
    let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
    let member = object.get(name);
    let current =
        member.as_ref().and_then(|one| parse_strict(one.value()?.to_string().as_bytes()).ok());
    match member {
        Some(_) if current.as_ref() == Some(&value) => {}
        Some(member) => member.set_value(input(value)),
        None => {
            object.append(name, input(value));
        }
    }
    Ok(())
}

fn input(value: Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => value.into(),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => value.into(),
        Value::Array(items) => CstInputValue::Array(items.into_iter().map(input).collect()),
        Value::Object(members) => CstInputValue::Object(
            members.into_iter().map(|(name, value)| (name, input(value))).collect(),
        ),
    }
}
