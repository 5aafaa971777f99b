//! The JSON Schema (draft 2020-12) of the contract, built from the same names and lists as the parser. The schema
//! describes the types; only the parser checks that paths are valid and that no two endpoints match the same requests.

use crate::model::{CUSTOM, FORMAT, Field, HttpMethod, Method, NO_LEVEL, RiskLevel, Trust};
use serde_json::{Value, json};

/// The schema of a contract as an enforcer accepts it, in the full and the short form.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Step-up contract",
        "description": "What each endpoint of a service requires of its callers",
        "anyOf": [
            {"$ref": "#/$defs/contract"},
            {"$ref": "#/$defs/endpoint"},
            {"type": "array", "items": {"$ref": "#/$defs/endpoint"}},
        ],
        "$defs": {
            "contract": contract(),
            "endpoint": endpoint(),
            "security": security(),
            "method": {
                "description": "A method of RFC 8176, a group of methods, or a vendor's own value",
                "anyOf": [
                    {"enum": Method::named().map(|method| method.to_string()).collect::<Vec<_>>()},
                    {"type": "string", "pattern": format!("^{CUSTOM}[!#-\\[\\]-~]+$")},
                ],
            },
            // The characters that a challenge may contain (RFC 6749 §3.3).
            "word": {"type": "string", "pattern": "^[!#-\\[\\]-~]+$"},
            "risk-level": {"enum": RiskLevel::ALL.map(RiskLevel::as_str)},
        },
    })
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        // Reserved for others.
        "patternProperties": {"^x-": true},
        "additionalProperties": false,
    })
}

fn contract() -> Value {
    let properties = json!({
        "contract": {"const": FORMAT, "description": "The version of this format"},
        "service": {"type": "string", "description": "The name of the service"},
        "version": {"type": "string", "description": "The service's version"},
        "unlisted": {
            "enum": ["deny", "allow"],
            "default": "deny",
            "description": "What happens to requests that no endpoint matches",
        },
        "base": {"type": "string", "pattern": "^/.*[^/]$", "description": "A prefix of every path"},
        "endpoints": {"type": "array", "items": {"$ref": "#/$defs/endpoint"}},
    });
    object(properties, &["contract", "service", "version", "endpoints"])
}

fn endpoint() -> Value {
    let properties = json!({
        "method": {
            "enum": HttpMethod::ALL.map(HttpMethod::as_str),
            "description": "Every method if absent; GET also serves HEAD",
        },
        "path": {
            "type": "string",
            "pattern": "^/",
            "description": "axum's template: /users/{id}, /files/{*rest}",
        },
        "trust": {"enum": Trust::ALL.map(Trust::as_str)},
        "handler": {"type": "string", "description": "The handler's path in the source, for people"},
        "summary": {"type": "string", "description": "What the endpoint does, in one line"},
        "reason": {"type": "string", "pattern": "\\S", "description": "Why the endpoint is public"},
        "security": {"$ref": "#/$defs/security"},
    });
    let mut endpoint = object(properties, &["path", "security"]);
    let nothing = Field::ALL.map(|field| {
        // A flag that is explicitly false requires nothing.
        let is_flag = matches!(field, Field::Bound | Field::PerAction);
        (field.key(), if is_flag { json!({"const": false}) } else { false.into() })
    });
    let nothing: Value =
        nothing.into_iter().chain([(Field::StepUp.key(), json!({"const": false}))]).collect();
    if let Some(endpoint) = endpoint.as_object_mut() {
        let public =
            json!({"properties": {"trust": {"const": Trust::Public}}, "required": ["trust"]});
        endpoint.insert("if".into(), public);
        endpoint
            .insert("then".into(), json!({"properties": {"security": {"properties": nothing}}}));
        endpoint.insert("else".into(), json!({"properties": {"reason": false}}));
    }
    endpoint
}

fn security() -> Value {
    let list = |of: &str| {
        json!({
            "type": "array", "items": {"$ref": format!("#/$defs/{of}")}, "minItems": 1,
            "uniqueItems": true,
        })
    };
    let acr = json!({
        "type": "array", "minItems": 1, "uniqueItems": true,
        "items": {"allOf": [{"$ref": "#/$defs/word"}, {"not": {"const": NO_LEVEL}}]},
    });
    let risk = json!({
        "type": "object",
        "properties": {
            "step-up": {"$ref": "#/$defs/risk-level"},
            "deny": {"$ref": "#/$defs/risk-level"},
        },
        "patternProperties": {"^x-": true},
        "additionalProperties": false,
        "anyOf": [{"required": ["step-up"]}, {"required": ["deny"]}],
    });
    let step_up = [Field::Methods, Field::AnyMethods, Field::Acr, Field::MaxAge].map(Field::key);
    let only_sensitive = [Field::Risk, Field::PerAction].map(Field::key);
    let mut security = object(
        json!({
            (Field::StepUp.key()): {"type": "boolean"},
            (Field::Methods.key()): list("method"),
            (Field::AnyMethods.key()): list("method"),
            (Field::Acr.key()): acr,
            (Field::MaxAge.key()): {"type": "integer", "minimum": 0, "maximum": u32::MAX},
            (Field::Scopes.key()): list("word"),
            (Field::Risk.key()): risk,
            (Field::Bound.key()): {"type": "boolean"},
            (Field::PerAction.key()): {"type": "boolean"},
        }),
        &[Field::StepUp.key()],
    );
    let requires = |name: &&str| json!({"required": [name]});
    if let Some(security) = security.as_object_mut() {
        security
            .insert("if".into(), json!({"properties": {(Field::StepUp.key()): {"const": true}}}));
        let any: Vec<Value> = step_up.iter().map(requires).collect();
        security.insert("then".into(), json!({"anyOf": any}));
        let none = step_up.iter().map(|name| ((*name).to_owned(), Value::Bool(false)));
        let none = none.chain(only_sensitive.iter().map(|name| match *name {
            // A flag that is explicitly false requires nothing.
            name if name == Field::PerAction.key() => (name.to_owned(), json!({"const": false})),
            name => (name.to_owned(), Value::Bool(false)),
        }));
        security.insert("else".into(), json!({"properties": none.collect::<Value>()}));
    }
    security
}
