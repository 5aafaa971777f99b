//! The JSON fragments of an endpoint's record, and the statics that put a record into the link section.
//! `stepup_contract::record` defines the format.

use crate::keys::Keys;
use proc_macro2::TokenStream;
use quote::quote;
use serde_json::to_string;
use stepup_contract::{HttpMethod, Trust, record};

/// `{"record":1,…,"package":"…","version":"…",` of the current crate.
pub(crate) fn head() -> String {
    let package = variable("CARGO_PKG_NAME");
    let version = variable("CARGO_PKG_VERSION");
    format!(
        "{{\"record\":{},\"runtime\":{},\"package\":{package},\"version\":{version},",
        record::FORMAT,
        text(record::RUNTIME),
    )
}

/// `"method":"POST","path":"/x",`
pub(crate) fn route(method: Option<HttpMethod>, path: &str) -> String {
    let path = text(path);
    match method {
        Some(method) => format!("\"method\":\"{method}\",\"path\":{path},"),
        None => format!("\"path\":{path},"),
    }
}

/// A `Policy` expression for these keys.
pub(crate) fn policy(keys: &Keys, runtime: &TokenStream) -> TokenStream {
    // If the keys have errors, they may contradict the trust, which an error reports already.
    let trust = match keys.trust() {
        Trust::Public => Trust::Public,
        _ => keys.requirement.trust(),
    };
    let reason = keys.reason().map(|reason| format!(",\"reason\":{}", text(&reason)));
    let mut security = keys.requirement.clone();
    security.scopes.clear();
    let security = to_string(&security).unwrap_or_default();
    let policy = format!(
        "\"trust\":\"{}\"{},\"security\":{}",
        trust.as_str(),
        reason.unwrap_or_default(),
        security.strip_suffix('}').unwrap_or_default()
    );
    let scopes = scopes(&keys.requirement.scopes);
    quote!(#runtime::__private::Policy::from_checked_json(#policy, #scopes))
}

/// `"a","b"`
pub(crate) fn scopes(scopes: &[String]) -> String {
    scopes.iter().map(|scope| text(scope)).collect::<Vec<_>>().join(",")
}

/// `"summary":"…",`, or nothing.
pub(crate) fn summary(summary: Option<&str>) -> String {
    summary.map(|summary| format!("\"summary\":{},", text(summary))).unwrap_or_default()
}

/// `text` as a JSON string.
pub(crate) fn text(text: &str) -> String {
    to_string(text).unwrap_or_default()
}

fn variable(name: &str) -> String {
    text(&std::env::var(name).unwrap_or_default())
}

/// Puts the line of the constant `RECORD`, which stands in the same block, into the link section,
/// and a pointer to these very bytes into the slice that `Contract::collect` reads.
pub(crate) fn statics(runtime: &TokenStream) -> TokenStream {
    let private = quote!(#runtime::__private);
    quote! {
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__stepup"))]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".stepup"))]
        static __STEP_UP_LINE: [::core::primitive::u8; __STEP_UP_RECORD.len()] = __STEP_UP_RECORD.line();

        #[#private::linkme::distributed_slice(#private::STEPUP_RECORDS_0_1)]
        #[linkme(crate = #private::linkme)]
        static __STEP_UP_ENTRY: &'static [::core::primitive::u8] = &__STEP_UP_LINE;
    }
}
