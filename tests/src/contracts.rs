//! Contracts in a few words.

use serde_json::{Value, json};
use stepup_contract::Contract;

/// An endpoint of a contract; no method is any.
pub fn endpoint(method: &str, path: &str, security: &Value) -> Value {
    let mut endpoint = json!({"path": path, "security": security});
    if !method.is_empty() {
        endpoint["method"] = method.into();
    }
    endpoint
}

/// The contract of these endpoints.
pub fn contract(unlisted: &str, endpoints: &[Value]) -> Contract {
    let document = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": unlisted,
        "endpoints": endpoints,
    });
    Contract::parse(document.to_string()).expect("a contract")
}
