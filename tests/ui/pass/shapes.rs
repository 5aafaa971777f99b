//! Generics, where clauses, lifetimes, `impl Trait`, visibilities, attributes.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use std::borrow::Cow;
use stepup_runtime::{Contract, Principal, StepUp, routes, step_up};

trait Store: Clone + Send + Sync + 'static {
    const NAME: &'static str;
}

#[derive(Clone)]
struct Pg;

impl Store for Pg {
    const NAME: &'static str = "pg";
}

/// A generic handler.
#[step_up(post = "/transfers", methods = ["mfa"])]
async fn transfer<S: Store>(State(_): State<StepUp>) -> &'static str {
    S::NAME
}

#[step_up(post = "/where", acr = ["gold", "silver"], max_age = "5m")]
async fn where_clause<S>(_: Principal) -> impl IntoResponse
where
    S: Store,
{
    S::NAME
}

#[step_up(get = "/cow", max_age = 0)]
pub(crate) async fn lifetimes<'a>(Path(()): Path<()>) -> Cow<'a, str> {
    "x".into()
}

#[step_up(get = "/arrays", methods = any("hwk", "face"))]
pub async fn const_generic<const N: usize>() -> Json<[u8; 1]> {
    Json([u8::try_from(N).unwrap()])
}

/// A doc comment.
///
/// It has several paragraphs.
#[step_up(get = "/attributes", trust = "standard", scopes = ["a", "b"])]
#[allow(unused_mut, reason = "other attributes stay")]
#[inline]
async fn attributes(mut _headers: HeaderMap) {
    let mut _unused = 0;
}

#[cfg(any())]
#[step_up(get = "/absent-above", methods = ["mfa"])]
async fn absent_above(_: DoesNotExist) {}

#[step_up(get = "/absent-below", methods = ["mfa"])]
#[cfg(any())]
async fn absent_below(_: DoesNotExist) {}

#[step_up(get = "/present-below", methods = ["mfa"])]
#[cfg(all())]
async fn present_below() {}

#[step_up(get = "/everything", methods = ["mfa", custom("okta_verify")], acr = "gold",
          max_age = "1h", scopes = ["a"], risk = risk(step_up = "medium", deny = "high"),
          bound = true, per_action = true)]
async fn everything() {}


#[step_up(any = "/any", methods = ["phishing_resistant"])]
async fn any_method(
    _1: HeaderMap,
    _2: HeaderMap,
    _3: HeaderMap,
    _4: HeaderMap,
    _5: HeaderMap,
    _6: HeaderMap,
    _7: HeaderMap,
    _8: HeaderMap,
    _9: HeaderMap,
    _10: HeaderMap,
    _11: HeaderMap,
    _12: HeaderMap,
    _13: HeaderMap,
    _14: HeaderMap,
    _15: String,
) {
}

fn main() {
    let _: axum::Router<StepUp> = routes![
        transfer::<Pg>,
        where_clause::<Pg>,
        lifetimes,
        const_generic::<3>,
        attributes,
        present_below,
        any_method,
    ];
    let contract = Contract::collect().unwrap();
    let routes: Vec<String> = contract.endpoints().iter().map(|e| e.route()).collect();
    assert_eq!(
        routes,
        [
            "any method /any",
            "GET /arrays",
            "GET /attributes",
            "GET /cow",
            "GET /everything",
            "GET /present-below",
            "POST /transfers",
            "POST /where",
        ]
    );
}
