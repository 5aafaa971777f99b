//! Code that the fuzz targets share: an issuer, and an API with one sensitive endpoint that trusts the issuer.

use http::Request;
use std::sync::LazyLock;
use stepup_runtime::testing::{TestClock, TestIssuer};
use stepup_runtime::{Contract, Endpoint, Principal, Refusal, StepUp};
use tokio::runtime::{Builder, Runtime};

/// The time in all fuzz targets, in seconds since the epoch.
pub const NOW: u64 = 1_800_000_000;

/// The address of the API, which DPoP proofs contain.
pub const RESOURCE: &str = "https://api.test";

/// An API with one endpoint.
pub struct Api {
    pub idp: TestIssuer,
    step_up: StepUp,
    endpoint: Endpoint,
    runtime: Runtime,
}

pub static API: LazyLock<Api> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (idp, step_up) = runtime.block_on(async {
        let idp = TestIssuer::start().await.expect("an issuer");
        let issuer = idp.issuer().jwks(idp.jwks());
        let builder = StepUp::builder().issuer(issuer).clock(TestClock::at(NOW)).resource(RESOURCE);
        let step_up = builder.build().await.expect("built");
        (idp, step_up)
    });
    let text =
        r#"{"path": "/", "security": {"step-up": true, "methods": ["mfa"], "max-age": 300}}"#;
    let contract = Contract::parse(text).expect("a contract");
    Api { idp, step_up, endpoint: contract.endpoints()[0].clone(), runtime }
});

impl Api {
    /// Enforces the endpoint on a request with this Authorization header and this path.
    pub fn call(
        &self,
        authorization: &[u8],
        path: &str,
    ) -> Option<Result<Option<Principal>, Refusal>> {
        self.call_with(path, &[("authorization", authorization)])
    }

    /// Enforces the endpoint on a request with these headers and this path.
    pub fn call_with(
        &self,
        path: &str,
        headers: &[(&str, &[u8])],
    ) -> Option<Result<Option<Principal>, Refusal>> {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).ok()?.into_parts();
        Some(self.runtime.block_on(self.step_up.enforce(&self.endpoint, (&head).into())))
    }
}
