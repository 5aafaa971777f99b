//! The cache of verified tokens: the cost of a hit, the checks that still apply to it, and the cache's size.

use http::Request;
use http::request::Parts;
use serde_json::json;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stepup_runtime::testing::{TestAlgorithm, TestClock, TestIssuer};
use stepup_runtime::{Contract, Endpoint, StepUp, TokenCache};

fn endpoint() -> Endpoint {
    let text =
        r#"{"path": "/", "security": {"step-up": true, "methods": ["mfa"], "max-age": 300}}"#;
    Contract::parse(text).expect("a contract").endpoints()[0].clone()
}

fn head(token: &str) -> Parts {
    let request = Request::get("/").header("authorization", format!("Bearer {token}"));
    request.body(()).expect("a request").into_parts().0
}

/// Enforces without waiting: if the token's key is known, the future is ready at the first poll.
fn poll_once(step_up: &StepUp, endpoint: &Endpoint, head: &Parts) {
    let enforced = pin!(step_up.enforce(endpoint, head.into()));
    let mut context = Context::from_waker(Waker::noop());
    match enforced.poll(&mut context) {
        Poll::Ready(outcome) => outcome.map(drop).expect("allowed"),
        Poll::Pending => panic!("a token with a known key must not wait"),
    }
}

#[tokio::test]
async fn a_hit_allocates_at_most_twice_and_a_miss_at_most_forty_times() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let (endpoint, head) = (endpoint(), head(&idp.mfa_token()));
    let poll_once = || poll_once(&step_up, &endpoint, &head);
    let miss = allocation_counter::measure(poll_once);
    // The first call verifies the token.
    assert!((21..=40).contains(&miss.count_total), "{miss:?}");
    for _ in 0..1000 {
        let hit = allocation_counter::measure(poll_once);
        assert!(hit.count_total <= 2, "{hit:?}");
    }
}

async fn status(step_up: &StepUp, token: &str) -> u16 {
    let outcome = step_up.enforce(&endpoint(), (&head(token)).into()).await;
    outcome.map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
}

#[tokio::test]
async fn a_cached_token_is_still_checked_against_the_clock() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let now = 2_000_000_000;
    let clock = TestClock::at(now);
    let builder = StepUp::builder().issuer(idp.issuer()).clock(clock.clone());
    let step_up = builder.build().await.expect("built");
    let token = idp.token_at(now).claim("amr", json!(["mfa"])).claim("exp", now + 600).mint();
    for (later, expected) in
        [(0, 200), (300, 200), (301, 401), (599, 401), (600, 401), (60, 200), (0, 200)]
    {
        clock.set(now + later);
        assert_eq!(status(&step_up, &token).await, expected, "{later} seconds later");
    }
    let early = idp.token_at(now + 1000).claim("amr", json!(["mfa"])).mint();
    clock.set(now + 1000);
    assert_eq!(status(&step_up, &early).await, 200);
    clock.set(now);
    assert_eq!(status(&step_up, &early).await, 401, "not valid yet, cached or not");
}

#[tokio::test]
async fn only_the_identical_token_is_a_hit() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let step_up = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let token = idp.mfa_token();
    assert_eq!(status(&step_up, &token).await, 200);
    for index in (0..token.len()).step_by(7) {
        let mut other = token.clone().into_bytes();
        other[index] = if other[index] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).expect("ASCII");
        assert_eq!(status(&step_up, &other).await, 401, "a changed byte at {index}");
    }
    for other in [format!("{token}="), format!("{token}A"), token[..token.len() - 1].to_owned()] {
        assert_ne!(status(&step_up, &other).await, 200);
    }
    assert_eq!(status(&step_up, &token).await, 200);
}

#[tokio::test]
async fn removing_a_key_also_invalidates_its_cached_tokens() {
    for limits in [TokenCache::default(), TokenCache::off(), TokenCache::default().entries(1)] {
        let idp = TestIssuer::start().await.expect("an issuer");
        let issuer = idp.issuer().key_refresh_cooldown(Duration::ZERO);
        let builder = StepUp::builder().issuer(issuer).token_cache(limits);
        let step_up = builder.build().await.expect("built");
        let token = idp.mfa_token();
        assert_eq!(status(&step_up, &token).await, 200);
        idp.rotate("new", TestAlgorithm::Rs256).expect("a new key");
        assert_eq!(status(&step_up, &token).await, 200, "not noticed yet");
        assert_eq!(status(&step_up, &idp.mfa_token()).await, 200, "fetches the new keys");
        assert_eq!(status(&step_up, &token).await, 401, "{limits:?}");
    }
}

/// Whether the cache contains the token, judged by the allocations of a call with it.
fn is_hit(step_up: &StepUp, token: &str) -> bool {
    let (endpoint, head) = (endpoint(), head(token));
    let measured = allocation_counter::measure(|| poll_once(step_up, &endpoint, &head));
    measured.count_total <= 2
}

#[tokio::test]
async fn the_cache_is_bounded_in_entries_and_in_bytes() {
    let idp = TestIssuer::start().await.expect("an issuer");
    for (limits, limit) in [
        (TokenCache::default().entries(10), 10),
        (TokenCache::default().bytes(30_000), 15),
        (TokenCache::default().bytes(100), 0),
        (TokenCache::default().entries(u64::MAX), 200),
        (TokenCache::default().entries(u64::MAX).bytes(u64::MAX), 200),
        (TokenCache::off(), 0),
    ] {
        let builder = StepUp::builder().issuer(idp.issuer()).token_cache(limits);
        let step_up = builder.build().await.expect("built");
        let token = |n: usize| idp.token().claim("amr", json!(["mfa"])).claim("n", n).mint();
        let tokens: Vec<String> = (0..200).map(token).collect();
        for token in &tokens {
            assert_eq!(status(&step_up, token).await, 200);
        }
        // The most recent first, because a miss may evict an older token.
        let hits = tokens.iter().rev().filter(|token| is_hit(&step_up, token)).count();
        assert!(hits <= limit, "{limits:?}: {hits}");
        if limit > 0 {
            assert!(hits > 0, "{limits:?}: nothing is cached");
        }
    }
}

/// This holds for all claims, even if many parsed values, such as scopes, are stored in addition to the claim.
#[tokio::test]
async fn cached_tokens_use_about_as_many_bytes_as_the_limit_allows() {
    const LIMIT: u64 = 8 << 20;
    let idp = TestIssuer::start().await.expect("an issuer");
    let numbers = |to: u32| (0..to).map(|n| n.to_string()).collect::<Vec<_>>();
    for (claim, value) in [
        ("scope", json!("a ".repeat(5000))),
        ("amr", json!([&["mfa".to_owned()][..], &numbers(1200)].concat())),
        ("groups", json!(vec!["a"; 2500])),
        ("roles", json!((0..1000).map(|n| json!({"a": n % 10})).collect::<Vec<_>>())),
        ("address", json!("a".repeat(10_000))),
    ] {
        let limits = TokenCache::default().bytes(LIMIT);
        let builder = StepUp::builder().issuer(idp.issuer()).token_cache(limits);
        let step_up = builder.build().await.expect("built");
        let endpoint = endpoint();
        let minted = |n: u32| {
            let token = idp.token().claim("amr", json!(["mfa"])).claim("n", n);
            token.claim(claim, value.clone()).mint()
        };
        let tokens: Vec<String> = (0..300).map(minted).collect();
        let bytes_used = |token: &String| {
            let head = head(token);
            let measured = allocation_counter::measure(|| poll_once(&step_up, &endpoint, &head));
            // Negative if other tokens were freed in the meantime.
            u64::try_from(measured.bytes_current).ok()
        };
        let each = tokens.iter().take(9).filter_map(bytes_used).max().expect("a measurement");
        for token in &tokens {
            let _ = bytes_used(token);
        }
        // The most recent first, because a miss may evict an older token.
        let hits = tokens.iter().rev().filter(|token| is_hit(&step_up, token)).count();
        let bytes = each * u64::try_from(hits).expect("few");
        assert!(bytes < LIMIT * 5 / 4, "{claim}: {hits} tokens of {each} bytes");
        assert!(bytes > LIMIT / 16, "{claim}: {hits} tokens of {each} bytes");
    }
}
