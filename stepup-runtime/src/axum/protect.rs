//! Protects a whole router: no handler is open to everybody because its author forgot the attribute.

use crate::axum::layer::ContractLayer;
use crate::enforcement::step_up::StepUp;
use axum::Router;

impl StepUp {
    /// Refuses every request that the contract does not list: to a handler that is mounted by hand and has no
    /// attribute, and to the fallback. Its response is the gateway's, 403; the log names each route once, with the fix.
    /// Requests to listed endpoints get the same decision as in their guards.
    ///
    /// Call it last, on the whole router: routes that are added later are not protected. Layers that are added later
    /// run first; a layer that answers CORS preflights is one of them.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use stepup_runtime::{StepUp, routes, step_up};
    ///
    /// #[step_up(post = "/approve-transaction", methods = ["mfa"], max_age = 300)]
    /// async fn approve() {}
    ///
    /// #[step_up(get = "/health", trust = "public", reason = "the load balancer calls it")]
    /// async fn health() {}
    ///
    /// fn app(step_up: StepUp) -> Router {
    ///     let router = routes![approve, health].route("/debug", get(async || "never called"));
    ///     step_up.protect(router).with_state(step_up)
    /// }
    /// ```
    ///
    /// The contract's `unlisted = "allow"` applies here too. The metadata of
    /// [`metadata_routes`](StepUp::metadata_routes) is public and needs no endpoint.
    ///
    /// # Panics
    /// If the builder got no [`contract`](crate::Builder::contract).
    #[must_use = "the router that is returned is protected, not the one that was passed"]
    pub fn protect<S>(&self, router: Router<S>) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        #[expect(clippy::panic, reason = "a mistake in the program, at its start")]
        let Some(contract) = self.contract() else {
            panic!(
                "protect() needs the contract; call StepUp::builder().contract(Contract::collect()?)"
            );
        };
        router.layer(ContractLayer::new(contract, self.clone()))
    }
}
