//! What a session log costs: enforcement of a cached token with sessions off, on, with a million notices about other
//! sessions, and with one about this session; then the load of a million notices from a file, their memory, and a burst of
//! signals. All cases of enforcement use the same token, endpoint and thread.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use criterion::Criterion;
use http::{HeaderMap, Method, Uri};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use stepup_benches::{criterion, print_ratios, token};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{
    Contract, Endpoint, Notice, NoticeEffect, NoticeSource, NoticeTarget, RequestHead, RiskLevel,
    Sessions, StepUp,
};
use tokio::runtime::{Builder, Runtime};

/// The session of the token of all benchmarks.
const SID: &str = "b9a0c1d2-e3f4-4a5b-8c6d-7e8f9a0b1c2d";

const MILLION: usize = 1_000_000;

const CASES: [&str; 4] = ["off", "on", "a-million-notices-about-others", "one-notice-about-it"];

fn endpoint() -> Endpoint {
    let text = r#"{"path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}}"#;
    Contract::parse(text).expect("a contract").endpoints()[0].clone()
}

async fn step_up(idp: &TestIssuer, sessions: Option<Sessions>) -> StepUp {
    let builder = StepUp::builder().issuer(idp.issuer().jwks(idp.jwks()));
    let builder = match sessions {
        Some(sessions) => builder.sessions(sessions),
        None => builder,
    };
    builder.build().await.expect("built")
}

/// Notices about sessions with these numbers, as a logout creates them.
fn notices(idp: &TestIssuer, numbers: std::ops::Range<usize>) -> Vec<Notice> {
    let of = |number: usize| {
        let sid = format!("7e8f9a0b-1c2d-4a5b-8c6d-{number:012}");
        let effect = NoticeEffect::Revoked { except: None };
        let target = NoticeTarget::session(idp.url(), sid);
        Notice::new(target, effect, u64::MAX, NoticeSource::Logout, "a logout at the issuer")
    };
    numbers.map(of).collect()
}

async fn append_million(idp: &TestIssuer, step_up: &StepUp) {
    for start in (0..MILLION).step_by(10_000) {
        let notices = notices(idp, start..start + 10_000);
        step_up.sessions().append(notices).await.expect("durable");
    }
}

fn benches(c: &mut Criterion, runtime: &Runtime, idp: &TestIssuer) {
    let variants = runtime.block_on(async {
        let sessions = || Some(Sessions::memory().max_notices(2 * MILLION));
        let (off, on) = (step_up(idp, None).await, step_up(idp, sessions()).await);
        let (million, one) = (step_up(idp, sessions()).await, step_up(idp, sessions()).await);
        append_million(idp, &million).await;
        let session = NoticeTarget::session(idp.url(), SID);
        one.risk().report(session, RiskLevel::Medium, "").await.expect("durable");
        [off, on, million, one]
    });
    let (endpoint, target) = (endpoint(), Uri::from_static("/pay"));
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", token(idp)).parse().expect("a header");
    headers.insert("authorization", bearer);
    let mut group = c.benchmark_group("sessions");
    for (case, step_up) in CASES.into_iter().zip(&variants) {
        // The log's heartbeats need the runtime.
        let _in_runtime = runtime.enter();
        let first = RequestHead::new(&Method::POST, &target, &headers);
        runtime.block_on(step_up.enforce(&endpoint, first)).expect("allowed");
        group.bench_function(case, |b| {
            b.iter(|| {
                let head = RequestHead::new(&Method::POST, &target, black_box(&headers));
                // Ready at once, because the token is cached.
                let enforcement = pin!(step_up.enforce(&endpoint, head));
                let caller = enforcement.poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(caller, Poll::Ready(Ok(Some(_)))));
            });
        });
    }
    group.finish();
}

/// The resident memory of this process, in bytes.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    let kilobytes = line.split_whitespace().nth(1).expect("a number");
    kilobytes.parse::<usize>().expect("a number") * 1024
}

async fn file(idp: &TestIssuer, path: &Path) {
    let sessions = || Sessions::open(path).expect("a folder").max_notices(2 * MILLION);
    let first = step_up(idp, Some(sessions())).await;
    let started = Instant::now();
    let burst: Vec<_> = notices(idp, 2 * MILLION..2 * MILLION + 10_000)
        .into_iter()
        .map(|notice| {
            let step_up = first.clone();
            tokio::spawn(async move { step_up.sessions().append(vec![notice]).await })
        })
        .collect();
    for appended in burst {
        appended.await.expect("no panic").expect("durable");
    }
    println!("10,000 signals, each on its own, durable in a file: {:?}", started.elapsed());
    append_million(idp, &first).await;
    drop(first);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let (before, started) = (memory(), Instant::now());
    let again = step_up(idp, Some(sessions())).await;
    let (loaded, number) = (started.elapsed(), again.sessions().notices());
    let each = memory().saturating_sub(before) / number;
    println!("{number} notices loaded from a file in {loaded:?}; {each} bytes of memory each");
}

fn main() {
    let mut criterion = criterion();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let idp = runtime.block_on(TestIssuer::start()).expect("an issuer");
    let measures = std::env::args().any(|argument| argument == "--bench");
    if measures {
        let folder = std::env::temp_dir().join(format!("stepup-sessions-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        runtime.block_on(file(&idp, &folder.join("sessions.redb")));
        fs::remove_dir_all(&folder).expect("removed");
    }
    benches(&mut criterion, &runtime, &idp);
    criterion.final_summary();
    print_ratios("sessions", &CASES);
}
