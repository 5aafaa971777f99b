//! Builds contracts from methods, paths and requirements.

use serde_json::{Value, json};
use stepup_contract::Contract;

/// An endpoint of a contract. An empty method means any method.
pub fn endpoint(method: &str, path: &str, security: &Value) -> Value {
    let mut endpoint = json!({"path": path, "security": security});
    if !method.is_empty() {
        endpoint["method"] = method.into();
    }
    endpoint
}

/// A contract with these endpoints.
pub fn contract(unlisted: &str, endpoints: &[Value]) -> Contract {
    let document = json!({
        "contract": 1, "service": "bank", "version": "1", "unlisted": unlisted,
        "endpoints": endpoints,
    });
    Contract::parse(document.to_string()).expect("a contract")
}
