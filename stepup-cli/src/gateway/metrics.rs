//! The gateway's metrics, for Prometheus.

use crate::settings::listen::Mode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::Duration;
use stepup_contract::{Contract, Trust};
use stepup_runtime::{Admission, Refusal};

/// One label.
type Label = [(&'static str, &'static str); 1];

/// The labels of an answer: the mode of its check, and the decision.
type Labels = [(&'static str, &'static str); 2];

/// A request that was allowed.
const ALLOW: &str = "allow";

/// The upper bounds of the buckets, in seconds. A cached token takes microseconds; a fetch of keys takes up to seconds.
const BUCKETS: [f64; 10] = [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0];

/// The gateway's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Labels, Counter>,
    /// The counters of `answers` for authorized callers, stored here to avoid a lookup.
    allowed: [(Mode, Counter); Mode::ALL.len()],
    seconds: Histogram,
    reloads: Family<Label, Counter>,
    weakened: Family<Label, Counter>,
    endpoints: Family<Label, Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("stepup");
        let answers = Family::<Labels, Counter>::default();
        registry.register("answers", "Answers, by mode and decision", answers.clone());
        let allowed =
            Mode::ALL.map(|mode| (mode, answers.get_or_create_owned(&labels(mode, ALLOW))));
        let seconds = Histogram::new(BUCKETS);
        registry.register("answer_seconds", "Time to answer a check", seconds.clone());
        let reloads = Family::default();
        registry.register(
            "contract_reloads",
            "Changed contracts, by whether they were accepted",
            reloads.clone(),
        );
        let weakened = Family::default();
        registry.register(
            "weakened_contracts",
            "Changed contracts that authorize more callers, by whether they were accepted",
            weakened.clone(),
        );
        let endpoints = Family::default();
        registry.register("endpoints", "Endpoints of the current contract", endpoints.clone());
        Self { registry, answers, allowed, seconds, reloads, weakened, endpoints }
    }

    pub(crate) fn answered(
        &self,
        mode: Mode,
        outcome: &Result<Admission, Refusal>,
        duration: Duration,
    ) {
        self.seconds.observe(duration.as_secs_f64());
        let decision = match outcome {
            Ok(Admission::Caller(_)) => {
                if let Some((_, allowed)) = self.allowed.iter().find(|(other, _)| *other == mode) {
                    allowed.inc();
                }
                return;
            }
            Ok(Admission::Public) => "allow-public",
            Ok(Admission::Preflight) => "preflight",
            Ok(_) => "allow-unlisted",
            Err(refusal) => refusal.kind(),
        };
        self.answers.get_or_create(&labels(mode, decision)).inc();
    }

    pub(crate) fn reloaded(&self, accepted: bool) {
        let accepted = if accepted { "yes" } else { "no" };
        self.reloads.get_or_create(&[("taken", accepted)]).inc();
    }

    pub(crate) fn weakened(&self, accepted: bool) {
        let accepted = if accepted { "yes" } else { "no" };
        self.weakened.get_or_create(&[("taken", accepted)]).inc();
    }

    pub(crate) fn contract_loaded(&self, contract: &Contract) {
        for trust in Trust::ALL {
            let endpoints = contract.endpoints().iter().filter(|one| one.trust() == trust);
            let number = i64::try_from(endpoints.count()).unwrap_or(i64::MAX);
            self.endpoints.get_or_create(&[("trust", trust.as_str())]).set(number);
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn labels(mode: Mode, decision: &'static str) -> Labels {
    [("mode", mode.as_str()), ("decision", decision)]
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
