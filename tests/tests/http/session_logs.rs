//! Several instances with one session log in real Redis: revocations spread quickly, and survive the failure of a master.

use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{
    Contract, Endpoint, NoticeTarget, RequestHead, Sessions, SessionsError, StepUp,
};
use stepup_tests::redis::{RedisCluster, RedisSentinels, RedisServer};
use tokio::time::sleep;

/// How long an instance may not hear from its log.
const BOUND: Duration = Duration::from_secs(5);

const STREAM: &str = "{stepup}:notices";

async fn instance(idp: &TestIssuer, sessions: Sessions) -> StepUp {
    let builder = StepUp::builder().issuer(idp.issuer().jwks(idp.jwks())).sessions(sessions);
    builder.build().await.expect("built")
}

pub(crate) fn endpoint() -> Endpoint {
    let security = json!({"step-up": true, "methods": ["mfa"]});
    let document = json!({"method": "POST", "path": "/pay", "security": security});
    Contract::parse(document.to_string()).expect("a contract").endpoints()[0].clone()
}

/// The status of a request with this token; 200 if it is allowed.
pub(crate) async fn status(step_up: &StepUp, endpoint: &Endpoint, token: &str) -> u16 {
    let target = http::Uri::from_static("/pay");
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    let head = RequestHead::new(&http::Method::POST, &target, &headers);
    let outcome = step_up.enforce(endpoint, head).await;
    outcome.map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
}

pub(crate) fn token(idp: &TestIssuer, sid: &str) -> String {
    idp.token().claim("amr", json!(["mfa"])).claim("sid", sid).mint()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; tests/run installs it"]
async fn a_revocation_at_one_instance_is_enforced_at_the_others_while_requests_run() {
    let idp = Arc::new(TestIssuer::start().await.expect("an issuer"));
    let redis = RedisServer::start(&[]).await;
    let sessions = || Sessions::redis(&redis.url()).expect("a URL");
    let one = instance(&idp, sessions()).await;
    let others = [instance(&idp, sessions()).await, instance(&idp, sessions()).await];
    let endpoint = endpoint();
    // 200 requests a second.
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (step_up, endpoint, stop) = (others[0].clone(), endpoint.clone(), Arc::clone(&stop));
        let token = token(&idp, "unaffected");
        async move {
            let mut allowed = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(status(&step_up, &endpoint, &token).await, 200);
                allowed += 1;
                sleep(Duration::from_millis(5)).await;
            }
            allowed
        }
    });
    let mut times = Vec::new();
    for number in 0..200 {
        let sid = format!("session-{number}");
        let token = token(&idp, &sid);
        for step_up in &others {
            assert_eq!(status(step_up, &endpoint, &token).await, 200);
        }
        let session = NoticeTarget::session(idp.url(), sid);
        let started = Instant::now();
        one.sessions().revoke(session, "").await.expect("durable");
        assert_eq!(status(&one, &endpoint, &token).await, 401);
        for step_up in &others {
            while status(step_up, &endpoint, &token).await != 401 {
                assert!(started.elapsed() < BOUND, "{number}");
                sleep(Duration::from_millis(1)).await;
            }
        }
        times.push(started.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    let allowed = load.await.expect("no panic");
    let [p50, p99] = [50, 99].map(|percent| percentile(&mut times, percent));
    println!("revoked everywhere after {p50:?} (median), {p99:?} (p99); {allowed} other requests");
}

/// A popular client cache for Redis loses revocations that arrive while a value is being read.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; tests/run installs it"]
async fn no_revocation_is_lost_under_busy_readers() {
    let idp = Arc::new(TestIssuer::start().await.expect("an issuer"));
    let redis = RedisServer::start(&[]).await;
    let sessions = || Sessions::redis(&redis.url()).expect("a URL");
    let (one, two) = (instance(&idp, sessions()).await, instance(&idp, sessions()).await);
    let endpoint = endpoint();
    let tokens: Vec<String> = (0..1000).map(|number| token(&idp, &number.to_string())).collect();
    let tokens = Arc::new(tokens);
    let current = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (step_up, endpoint, stop) = (two.clone(), endpoint.clone(), Arc::clone(&stop));
        let (tokens, current) = (Arc::clone(&tokens), Arc::clone(&current));
        readers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let token = &tokens[current.load(Ordering::Relaxed)];
                let _ = status(&step_up, &endpoint, token).await;
                tokio::task::yield_now().await;
            }
        });
    }
    for number in 0..1000 {
        current.store(number, Ordering::Relaxed);
        let session = NoticeTarget::session(idp.url(), number.to_string());
        one.sessions().revoke(session, "").await.expect("durable");
    }
    sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    readers.join_all().await;
    for (number, token) in tokens.iter().enumerate() {
        assert_eq!(status(&two, &endpoint, token).await, 401, "{number}");
    }
}

/// Revokes sessions at one instance until it is stopped.
struct Writer {
    acknowledged: Arc<Mutex<HashMap<String, (String, Instant)>>>,
    unconfirmed: Arc<Mutex<usize>>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    fn start(idp: &Arc<TestIssuer>, step_up: StepUp) -> Self {
        let acknowledged = Arc::new(Mutex::new(HashMap::new()));
        let (unconfirmed, stop) = (Arc::new(Mutex::new(0)), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn({
            let (idp, known) = (Arc::clone(idp), Arc::clone(&acknowledged));
            let (unconfirmed, stop) = (Arc::clone(&unconfirmed), Arc::clone(&stop));
            async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let sid = format!("session-{number}");
                    let session = NoticeTarget::session(idp.url(), sid.clone());
                    match step_up.sessions().revoke(session, "").await {
                        Ok(()) => {
                            let token = token(&idp, &sid);
                            known.lock().expect("no panic").insert(sid, (token, Instant::now()));
                        }
                        Err(SessionsError::Unconfirmed { .. } | SessionsError::Unreachable(_)) => {
                            *unconfirmed.lock().expect("no panic") += 1;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            }
        });
        Self { acknowledged, unconfirmed, stop, task }
    }

    fn acknowledged(&self) -> Vec<(String, String, Instant)> {
        let all = self.acknowledged.lock().expect("no panic");
        all.iter().map(|(sid, (token, time))| (sid.clone(), token.clone(), *time)).collect()
    }

    /// Asserts that no instance allows a session whose revocation was acknowledged longer ago than the bound.
    async fn check(&self, instances: &[StepUp], endpoint: &Endpoint) {
        for (sid, token, time) in self.acknowledged() {
            if time.elapsed() > BOUND + Duration::from_millis(500) {
                for (number, step_up) in instances.iter().enumerate() {
                    let status = status(step_up, endpoint, &token).await;
                    assert_ne!(status, 200, "{sid} is allowed by instance {number}");
                }
            }
        }
    }

    /// Stops, and asserts that every instance, and a new one, refuses every acknowledged session.
    async fn finish(self, instances: &[StepUp], new: StepUp, endpoint: &Endpoint) {
        self.stop.store(true, Ordering::Relaxed);
        let acknowledged = self.acknowledged();
        self.task.await.expect("no panic");
        // The other instances hear of the last ones.
        sleep(Duration::from_secs(2)).await;
        assert!(acknowledged.len() > 20, "{}", acknowledged.len());
        for (number, step_up) in instances.iter().chain([&new]).enumerate() {
            for (sid, token, _) in &acknowledged {
                let status = status(step_up, endpoint, token).await;
                assert_eq!(status, 401, "{sid} was acknowledged, at instance {number}");
            }
        }
        let unconfirmed = *self.unconfirmed.lock().expect("no panic");
        println!("{} revocations acknowledged, {unconfirmed} not", acknowledged.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; tests/run installs it"]
async fn no_acknowledged_revocation_is_lost_when_masters_of_a_cluster_are_killed() {
    let idp = Arc::new(TestIssuer::start().await.expect("an issuer"));
    let mut cluster = RedisCluster::start().await;
    let url = cluster.url();
    let sessions = || Sessions::redis(&url).expect("a URL").replicas(1);
    let instances = [instance(&idp, sessions()).await, instance(&idp, sessions()).await];
    let (endpoint, fine) = (endpoint(), token(&idp, "fine"));
    let writer = Writer::start(&idp, instances[0].clone());
    let mut recovered = Vec::new();
    for round in 0..20 {
        let (master, _) = cluster.master_of(STREAM).expect("a master");
        cluster.nodes[master].kill();
        let killed = Instant::now();
        let before = writer.acknowledged().len();
        sleep(Duration::from_millis(200)).await;
        cluster.nodes[master].restart().await;
        // Until revocations are acknowledged again, and both instances serve sensitive endpoints.
        loop {
            let [one, two] = &instances;
            let serves = (status(one, &endpoint, &fine).await, status(two, &endpoint, &fine).await);
            let replicated = cluster.master_of(STREAM).is_some_and(|(_, replicas)| replicas > 0);
            if serves == (200, 200) && replicated && writer.acknowledged().len() > before + 20 {
                break;
            }
            assert!(killed.elapsed() < Duration::from_secs(180), "round {round} does not recover");
            writer.check(&instances, &endpoint).await;
            sleep(Duration::from_millis(50)).await;
        }
        recovered.push(killed.elapsed());
        writer.check(&instances, &endpoint).await;
    }
    let [p50, p99] = [50, 99].map(|percent| percentile(&mut recovered, percent));
    println!("20 masters killed; recovered after {p50:?} (median), {p99:?} (longest)");
    let new = instance(&idp, sessions()).await;
    writer.finish(&instances, new, &endpoint).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; tests/run installs it"]
async fn a_partitioned_old_master_neither_acknowledges_nor_keeps_an_instance_fresh() {
    let idp = Arc::new(TestIssuer::start().await.expect("an issuer"));
    let redis = RedisSentinels::start().await;
    let url = redis.url();
    // Both replicas, because either can become the master.
    let sessions = || Sessions::redis(&url).expect("a URL").replicas(2);
    let instances = [instance(&idp, sessions()).await, instance(&idp, sessions()).await];
    let (endpoint, fine) = (endpoint(), token(&idp, "fine"));
    let writer = Writer::start(&idp, instances[0].clone());
    for _ in 0..3 {
        let master = redis.master();
        let before = writer.acknowledged().len();
        redis.servers[master].signal("-STOP");
        let stopped = Instant::now();
        while redis.master() == master {
            assert!(stopped.elapsed() < Duration::from_secs(90), "no failover");
            sleep(Duration::from_millis(50)).await;
        }
        // The old master comes back, and believes for a moment that it still is the master.
        redis.servers[master].signal("-CONT");
        loop {
            let [one, two] = &instances;
            let serves = (status(one, &endpoint, &fine).await, status(two, &endpoint, &fine).await);
            if serves == (200, 200) && writer.acknowledged().len() > before + 10 {
                break;
            }
            assert!(stopped.elapsed() < Duration::from_secs(180), "no recovery");
            writer.check(&instances, &endpoint).await;
            sleep(Duration::from_millis(50)).await;
        }
        println!("a new master after {:?}", stopped.elapsed());
    }
    let new = instance(&idp, sessions()).await;
    writer.finish(&instances, new, &endpoint).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; tests/run installs it"]
async fn without_redis_sensitive_endpoints_stop_after_the_bound_and_the_start_fails() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mut redis = RedisServer::start(&[]).await;
    let sessions = || Sessions::redis(&redis.url()).expect("a URL");
    let bound = Duration::from_secs(2);
    let step_up = instance(&idp, sessions().staleness(bound)).await;
    let url = redis.url();
    let (endpoint, token) = (endpoint(), token(&idp, "s"));
    assert_eq!(status(&step_up, &endpoint, &token).await, 200);
    redis.kill();
    let killed = Instant::now();
    while status(&step_up, &endpoint, &token).await == 200 {
        assert!(killed.elapsed() < bound + Duration::from_millis(500));
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status(&step_up, &endpoint, &token).await, 503);
    let builder = StepUp::builder().issuer(idp.issuer().jwks(idp.jwks()));
    let error = builder.sessions(Sessions::redis(&url).expect("a URL")).build().await;
    let error = error.expect_err("no Redis");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    redis.restart().await;
    while status(&step_up, &endpoint, &token).await != 200 {
        assert!(killed.elapsed() < Duration::from_secs(60), "no recovery");
        sleep(Duration::from_millis(50)).await;
    }
}
