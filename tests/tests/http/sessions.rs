//! What happened to a session after its token was issued: revocations, required reauthentications, locks, disabled
//! accounts and risk, as clients experience them.

use serde_json::json;
use std::time::Duration;
use stepup_runtime::testing::{TestClock, TestIssuer, TestToken};
use stepup_runtime::{
    BuildError, Contract, NoticeTarget, Principal, RequestHead, RiskFuture, RiskLevel, RiskSource,
    Sessions, SessionsError, StepUp, routes, step_up,
};
use stepup_tests::server::{Answer, Server};

#[step_up(get = "/profile", trust = "standard")]
async fn profile() -> &'static str {
    "reached"
}

#[step_up(post = "/pay", methods = ["mfa"])]
async fn pay() -> &'static str {
    "paid"
}

#[step_up(post = "/quick", max_age = 300)]
async fn quick() -> &'static str {
    "quick"
}

#[step_up(post = "/risky", methods = ["mfa"], risk = risk(step_up = "medium", deny = "high"))]
async fn risky() -> &'static str {
    "risky"
}

#[step_up(get = "/health", trust = "public", reason = "the load balancer calls it")]
async fn health() -> &'static str {
    "healthy"
}

struct Api {
    idp: TestIssuer,
    clock: TestClock,
    step_up: StepUp,
    server: Server,
}

impl Api {
    async fn start(sessions: Sessions) -> Self {
        let idp = TestIssuer::start().await.expect("an issuer");
        Self::of(idp, sessions).await
    }

    async fn of(idp: TestIssuer, sessions: Sessions) -> Self {
        let clock = TestClock::system();
        let builder = StepUp::builder().issuer(idp.issuer()).clock(clock.clone());
        let step_up = builder.sessions(sessions).build().await.expect("built");
        let routes = routes![profile, pay, quick, risky, health];
        let server = Server::start(routes.with_state(step_up.clone())).await;
        Self { idp, clock, step_up, server }
    }

    /// A strong token of Alice in this session, of an authentication some seconds ago.
    fn token(&self, sid: &str, seconds_ago: u64) -> String {
        let now = stepup_runtime::Clock::now(&self.clock);
        self.strong().claim("sid", sid).claim("auth_time", now - seconds_ago).mint()
    }

    fn strong(&self) -> TestToken {
        let now = stepup_runtime::Clock::now(&self.clock);
        let token = self.idp.token().claim("amr", json!(["mfa"]));
        token.claim("iat", now).claim("exp", now + 3600)
    }

    fn session(&self, sid: &str) -> NoticeTarget {
        NoticeTarget::session(self.idp.url(), sid)
    }

    fn alice(&self) -> NoticeTarget {
        NoticeTarget::subject(self.idp.url(), "alice")
    }

    async fn get(&self, token: &str) -> Answer {
        self.server.call("GET", "/profile", Some(token)).await
    }

    async fn post(&self, path: &str, token: &str) -> Answer {
        self.server.call("POST", path, Some(token)).await
    }

    /// The statuses of a standard and of a sensitive endpoint.
    async fn statuses(&self, token: &str) -> (u16, u16) {
        (self.get(token).await.status, self.post("/pay", token).await.status)
    }
}

fn assert_revoked(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.parameter("error").as_deref(), Some("invalid_token"), "{answer:?}");
    assert_eq!(answer.json()["detail"], "the session has ended; log in again");
}

#[tokio::test]
async fn an_ended_session_is_refused_at_once_and_others_are_not() {
    let api = Api::start(Sessions::memory()).await;
    let (one, two) = (api.token("one", 60), api.token("two", 60));
    assert_eq!((api.statuses(&one).await, api.statuses(&two).await), ((200, 200), (200, 200)));
    api.step_up.sessions().revoke(api.session("one"), "logged out").await.expect("durable");
    assert_revoked(&api.get(&one).await);
    assert_revoked(&api.post("/pay", &one).await);
    assert_eq!(api.statuses(&two).await, (200, 200));
    // A new token of the same session is refused too, and a public endpoint reads none.
    assert_revoked(&api.get(&api.token("one", 0)).await);
    assert_eq!(api.server.call("GET", "/health", Some(&one)).await.status, 200);
    // A session belongs to its issuer.
    let other = NoticeTarget::session("https://other.example", "two");
    api.step_up.sessions().revoke(other, "").await.expect("durable");
    assert_eq!(api.statuses(&two).await, (200, 200));
}

#[tokio::test]
async fn a_subjects_revocation_covers_every_authentication_up_to_the_event() {
    let api = Api::start(Sessions::memory()).await;
    let sessions = api.step_up.sessions();
    let known = api.token("known", 60);
    assert_eq!(api.get(&known).await.status, 200);
    sessions.revoke(api.alice(), "a lost device").await.expect("durable");
    let without = |name: &str| api.strong().without(name);
    for (what, token) in [
        ("a known session", known),
        ("a session seen for the first time", api.token("new", 0)),
        ("a token without sid", without("sid").mint()),
        ("a token without auth_time, issued before", without("auth_time").mint()),
        ("a token without auth_time and iat", without("auth_time").without("iat").mint()),
    ] {
        assert_revoked(&api.get(&token).await);
        assert_eq!(api.post("/pay", &token).await.status, 401, "{what}");
    }
    let bob = api.strong().subject("bob").mint();
    assert_eq!(api.statuses(&bob).await, (200, 200));
    api.clock.advance(1);
    assert_eq!(api.statuses(&api.token("later", 0)).await, (200, 200), "a later login");
    assert_eq!(api.get(&without("auth_time").mint()).await.status, 200, "issued later");
}

#[tokio::test]
async fn all_sessions_except_one_can_be_ended() {
    let api = Api::start(Sessions::memory()).await;
    let (this, other) = (api.token("this", 60), api.token("other", 60));
    api.step_up.sessions().revoke_others(api.alice(), "this", "").await.expect("durable");
    assert_eq!(api.statuses(&this).await, (200, 200));
    assert_revoked(&api.get(&other).await);
    assert_revoked(&api.get(&api.strong().mint()).await);
    let session = api.step_up.sessions().revoke_others(api.session("x"), "y", "").await;
    assert!(matches!(session, Err(SessionsError::Invalid(_))), "{session:?}");
}

#[tokio::test]
async fn a_notice_for_one_client_affects_only_its_tokens() {
    let api = Api::start(Sessions::memory()).await;
    let of = |client: &str| api.strong().claim("client_id", client).claim("sid", "s").mint();
    let session = api.session("s").at_client("app");
    api.step_up.sessions().revoke(session, "").await.expect("durable");
    assert_revoked(&api.get(&of("app")).await);
    assert_eq!(api.get(&of("web")).await.status, 200);
}

#[tokio::test]
async fn a_required_reauthentication_challenges_only_sensitive_endpoints() {
    let api = Api::start(Sessions::memory()).await;
    let old = api.token("s", 60);
    api.step_up.sessions().require_reauthentication(api.alice(), "").await.expect("durable");
    api.clock.advance(10);
    assert_eq!(api.get(&old).await.status, 200);
    for (path, acr_values) in [("/pay", Some("mfa")), ("/quick", None)] {
        let answer = api.post(path, &old).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(
            answer.parameter("error").as_deref(),
            Some("insufficient_user_authentication"),
            "{path}"
        );
        assert_eq!(answer.parameter("acr_values").as_deref(), acr_values, "{path}");
        // The identity provider must not reuse the authentication of 10 seconds ago.
        assert_eq!(answer.parameter("max_age").as_deref(), Some("9"), "{path}");
    }
    let undated = api.strong().without("auth_time").mint();
    assert_eq!(api.statuses(&undated).await, (200, 401));
    assert_eq!(api.statuses(&api.token("s", 9)).await, (200, 200));
    assert_eq!(api.post("/quick", &api.token("s", 9)).await.status, 200);
}

#[tokio::test]
async fn a_lock_ends_by_itself_and_is_not_shortened() {
    let api = Api::start(Sessions::memory()).await;
    let token = api.token("s", 60);
    let sessions = api.step_up.sessions();
    sessions.lock(api.alice(), 120, "").await.expect("durable");
    sessions.lock(api.alice(), 60, "").await.expect("durable");
    let answer = api.get(&token).await;
    assert_eq!((answer.status, answer.header("retry-after")), (403, Some("120")));
    assert_eq!(answer.json()["type"], "urn:stepup:problem:locked");
    assert_eq!(answer.header("www-authenticate"), None);
    api.clock.advance(119);
    assert_eq!(api.statuses(&token).await, (403, 403));
    api.clock.advance(1);
    assert_eq!(api.statuses(&token).await, (200, 200));
}

#[tokio::test]
async fn a_disabled_account_is_refused_until_it_is_enabled() {
    let api = Api::start(Sessions::memory()).await;
    let token = api.token("s", 60);
    api.step_up.sessions().disable(api.alice(), "").await.expect("durable");
    for token in [&token, &api.token("new", 0)] {
        let answer = api.get(token).await;
        assert_eq!(
            (answer.status, &answer.json()["detail"]),
            (401, &json!("the account is disabled"))
        );
    }
    // In the same second, disabled counts.
    api.step_up.sessions().enable(api.alice(), "").await.expect("durable");
    assert_eq!(api.get(&token).await.status, 401);
    api.clock.advance(1);
    api.step_up.sessions().enable(api.alice(), "").await.expect("durable");
    assert_eq!(api.statuses(&token).await, (200, 200));
}

#[tokio::test]
async fn risk_decides_whether_a_step_up_is_required_and_when_the_call_is_refused() {
    let api = Api::start(Sessions::memory()).await;
    let weak = |api: &Api| {
        let now = stepup_runtime::Clock::now(&api.clock);
        let token = api.idp.token().claim("amr", json!(["pwd"])).claim("sid", "s");
        token.claim("iat", now).claim("exp", now + 3600).mint()
    };
    let (weak, strong) = (weak(&api), api.token("s", 0));
    let statuses =
        async || (api.post("/risky", &weak).await.status, api.post("/risky", &strong).await.status);
    assert_eq!(statuses().await, (200, 200), "without a notice the risk is low");
    let risk = || api.step_up.risk();
    risk().report(api.session("s"), RiskLevel::Medium, "").await.expect("durable");
    assert_eq!(statuses().await, (401, 200));
    api.clock.advance(1);
    risk().report(api.session("s"), RiskLevel::Critical, "").await.expect("durable");
    assert_eq!(statuses().await, (403, 403));
    let refused = api.post("/risky", &strong).await;
    assert_eq!(refused.json()["detail"], "the session's risk is too high");
    assert_eq!((api.get(&weak).await.status, api.post("/pay", &strong).await.status), (200, 200));
    api.clock.advance(1);
    risk().report_for(api.session("s"), RiskLevel::High, 60, "").await.expect("durable");
    assert_eq!(statuses().await, (403, 403));
    api.clock.advance(60);
    assert_eq!(statuses().await, (200, 200), "the report has ended");
    // Of a session's and its subject's risk the higher one counts.
    risk().report(api.alice(), RiskLevel::High, "").await.expect("durable");
    assert_eq!(statuses().await, (403, 403));
}

#[tokio::test]
async fn without_news_of_the_log_requests_are_answered_with_503() {
    for (serve, standard) in [(false, 503), (true, 200)] {
        let sessions = Sessions::memory().staleness(Duration::ZERO);
        let api = Api::start(sessions.serve_standard_when_stale(serve)).await;
        let token = api.token("s", 0);
        let mut statuses = api.statuses(&token).await;
        // Between two heartbeats, the log was not heard from.
        while statuses != (standard, 503) {
            statuses = api.statuses(&token).await;
        }
        let answer = api.post("/pay", &token).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(api.server.call("GET", "/health", None).await.status, 200);
    }
}

#[tokio::test]
async fn an_authentication_that_outlives_the_notices_about_it_is_refused() {
    let api = Api::start(Sessions::memory().longest_session(Duration::from_secs(600))).await;
    let now = stepup_runtime::Clock::now(&api.clock);
    let long = api.strong().claim("auth_time", now).claim("exp", now + 7200).mint();
    let refreshed = |api: &Api| {
        let later = stepup_runtime::Clock::now(&api.clock);
        api.strong().claim("auth_time", now).claim("iat", later).mint()
    };
    assert_eq!(api.get(&long).await.status, 200);
    api.clock.advance(600);
    assert_eq!((api.get(&long).await.status, api.get(&refreshed(&api)).await.status), (200, 200));
    api.clock.advance(1);
    for token in [&long, &refreshed(&api)] {
        let answer = api.get(token).await;
        assert_eq!(answer.status, 401);
        let detail = "the user logged in too long ago, or at an unknown time; log in again";
        assert_eq!(answer.json()["detail"], detail);
    }
    let undated = api.strong().without("iat").without("auth_time").mint();
    assert_eq!(api.get(&undated).await.status, 401);
    // A time in the future does not help: the earlier time counts.
    let future = api.strong().claim("auth_time", u64::from(u32::MAX)).without("iat").mint();
    assert_eq!(api.get(&future).await.status, 401);
    let long_lock = api.step_up.sessions().lock(api.alice(), 601, "").await;
    assert!(matches!(long_lock, Err(SessionsError::Invalid(_))), "{long_lock:?}");
}

#[tokio::test]
async fn a_contract_with_risk_needs_a_session_log() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let risk = json!({"step-up": true, "methods": ["mfa"], "risk": {"deny": "high"}});
    let contract = || {
        let document = json!({"method": "POST", "path": "/risky", "security": risk});
        Contract::parse(document.to_string()).expect("a contract")
    };
    let builder = || StepUp::builder().issuer(idp.issuer()).contract(contract());
    let error = builder().build().await.expect_err("no log");
    assert!(matches!(error, BuildError::Unenforceable(_)), "{error}");
    assert!(error.to_string().contains("Sessions::open"), "{error}");
    assert!(builder().sessions(Sessions::memory()).build().await.is_ok());
    let without = StepUp::builder().issuer(idp.issuer()).build().await.expect("built");
    let target = NoticeTarget::subject(idp.url(), "alice");
    let error = without.sessions().revoke(target, "").await.expect_err("no log");
    assert!(matches!(error, SessionsError::NotConfigured), "{error}");
}

#[tokio::test]
async fn a_revocation_in_a_file_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sessions.redb");
    let open = || Sessions::open(&path).expect("a folder");
    let api = Api::start(open()).await;
    let (ended, other) = (api.token("ended", 60), api.token("other", 60));
    api.step_up.sessions().revoke(api.session("ended"), "").await.expect("durable");
    let second = StepUp::builder().issuer(api.idp.issuer()).sessions(open()).build().await;
    let error = second.expect_err("in use");
    assert!(error.to_string().contains("another process has opened"), "{error}");
    let Api { idp, step_up, server, .. } = api;
    drop((step_up, server));
    // The server's task and the task that follows the log end a moment later.
    while StepUp::builder().issuer(idp.issuer()).sessions(open()).build().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let api = Api::of(idp, open()).await;
    assert_revoked(&api.get(&ended).await);
    assert_eq!(api.statuses(&other).await, (200, 200));
    let missing = Sessions::open(folder.path().join("missing/sessions.redb"));
    assert!(matches!(missing, Err(SessionsError::File { .. })), "{missing:?}");
}

#[tokio::test]
async fn users_list_and_end_their_own_sessions() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = json!({"method": "GET", "path": "/profile", "security": {"step-up": false}});
    let contract = Contract::parse(contract.to_string()).expect("a contract");
    let clock = TestClock::system();
    let builder = StepUp::builder().issuer(idp.issuer()).clock(clock.clone());
    let step_up = builder.contract(contract).sessions(Sessions::memory());
    let step_up = step_up.build().await.expect("built");
    let app = routes![profile].merge(step_up.session_routes());
    let server = Server::start(step_up.protect(app).with_state(step_up.clone())).await;
    let token = |subject: &str, sid: &str| {
        let token = idp.token().subject(subject).claim("sid", sid);
        token.claim("amr", json!(["pwd"])).mint()
    };
    let (phone, laptop) = (token("alice", "phone"), token("alice", "laptop"));
    let (bob, without) = (token("bob", "bobs"), idp.token().mint());
    for token in [&phone, &bob, &without] {
        assert_eq!(server.call("GET", "/profile", Some(token)).await.status, 200);
    }
    clock.advance(5);
    let list = async |token: &str| {
        let answer = server.call("GET", "/sessions", Some(token)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        answer.json()["sessions"].as_array().expect("a list").clone()
    };
    let sessions = list(&laptop).await;
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(true), &json!(false)));
    assert_eq!(sessions[1]["amr"], json!(["pwd"]));
    assert_eq!(
        sessions[0]["first_seen"].as_u64(),
        sessions[1]["last_seen"].as_u64().map(|t| t + 5)
    );
    assert!(!sessions[0].to_string().contains("laptop"), "the sid is not revealed");
    // Only one's own sessions can be ended.
    let path = |session: &serde_json::Value| {
        format!("/sessions/{}", session["id"].as_str().expect("an id"))
    };
    let phones = path(&sessions[1]);
    assert_eq!(server.call("DELETE", &phones, Some(&bob)).await.status, 404);
    assert_eq!(server.call("DELETE", &phones, None).await.status, 401);
    assert_eq!(server.call("DELETE", "/sessions/x", Some(&laptop)).await.status, 403, "unlisted");
    assert_eq!(server.call("GET", "/profile", Some(&phone)).await.status, 200);
    assert_eq!(server.call("DELETE", &phones, Some(&laptop)).await.status, 204);
    assert_revoked(&server.call("GET", "/profile", Some(&phone)).await);
    assert_eq!(list(&laptop).await.len(), 1);
    assert_eq!(server.call("DELETE", &phones, Some(&laptop)).await.status, 404, "already ended");
    assert_eq!(server.call("GET", "/sessions", Some(&phone)).await.status, 401);
    let of_bob = step_up.sessions().list(idp.url(), "bob");
    assert_eq!((of_bob.len(), of_bob[0].sid.as_str()), (1, "bobs"));
}

/// What the application says about the risk of a request: a header, which may also make it fail or hang.
struct Stated;

impl RiskSource for Stated {
    fn risk<'a>(&'a self, request: RequestHead<'a>, caller: &'a Principal) -> RiskFuture<'a> {
        let stated = request.headers().get("x-risk").and_then(|value| value.to_str().ok());
        let stated = stated.unwrap_or("low").to_owned();
        Box::pin(async move {
            assert_eq!(caller.subject(), "alice");
            if stated == "hang" {
                std::future::pending::<()>().await;
            }
            Ok(stated.parse::<RiskLevel>()?)
        })
    }
}

#[tokio::test]
async fn the_applications_own_risk_counts_if_it_is_higher_and_a_failure_counts_as_configured() {
    // Without a configured level, the endpoint's level of step-up counts.
    for (on_failure, weak, strong) in
        [(None, 401, 200), (Some(RiskLevel::High), 403, 403), (Some(RiskLevel::Low), 200, 200)]
    {
        let idp = TestIssuer::start().await.expect("an issuer");
        let builder = StepUp::builder().issuer(idp.issuer()).sessions(Sessions::memory());
        let builder = builder.risk_source(Stated, Duration::from_millis(100), on_failure);
        let step_up = builder.build().await.expect("built");
        let server = Server::start(routes![risky, pay].with_state(step_up.clone())).await;
        let token = |amr: &str| idp.token().claim("amr", json!([amr])).claim("sid", "s").mint();
        let call = async |risk: &str| {
            let mut statuses = [0; 2];
            for (status, token) in statuses.iter_mut().zip([token("pwd"), token("mfa")]) {
                let request = reqwest::Client::new().post(server.url("/risky"));
                *status =
                    Answer::of(request.bearer_auth(token).header("x-risk", risk)).await.status;
            }
            statuses
        };
        assert_eq!(call("low").await, [200, 200]);
        assert_eq!(call("medium").await, [401, 200]);
        assert_eq!(call("high").await, [403, 403]);
        assert_eq!(call("unreadable").await, [weak, strong], "{on_failure:?}");
        assert_eq!(call("hang").await, [weak, strong], "{on_failure:?}");
        let session = NoticeTarget::session(idp.url(), "s");
        step_up.risk().report(session, RiskLevel::Medium, "").await.expect("durable");
        assert_eq!(call("low").await, [401, 200]);
        assert_eq!(call("high").await, [403, 403]);
        // Other endpoints do not ask.
        let answer = server.call("POST", "/pay", Some(&token("mfa"))).await;
        assert_eq!(answer.status, 200);
    }
}
