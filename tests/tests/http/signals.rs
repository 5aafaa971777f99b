//! Signals of identity providers end sessions: pushed security events (RFC 8935, CAEP, RISC) and back-channel logouts.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use stepup_runtime::testing::{TestClock, TestIssuer, TestToken};
use stepup_runtime::{
    BuildError, Builder, Clock, Contract, NoticeTarget, RiskLevel, Sessions, StepUp, Transmitter,
    routes, step_up,
};
use stepup_tests::command::workspace;
use stepup_tests::server::{Answer, Server};

const AUDIENCE: &str = "https://api.test/signals";
const CLIENT: &str = "bank-app";
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[step_up(get = "/profile", trust = "standard")]
async fn profile() -> &'static str {
    "reached"
}

#[step_up(post = "/pay", methods = ["mfa"])]
async fn pay() -> &'static str {
    "paid"
}

#[step_up(post = "/risky", methods = ["mfa"], risk = risk(deny = "high"))]
async fn risky() -> &'static str {
    "risky"
}

struct Api {
    idp: TestIssuer,
    clock: TestClock,
    step_up: StepUp,
    server: Server,
}

impl Api {
    async fn start(change: impl FnOnce(Builder, &TestIssuer) -> Builder) -> Self {
        let idp = TestIssuer::start().await.expect("an issuer");
        let clock = TestClock::system();
        let contract = json!([
            {"method": "GET", "path": "/profile", "security": {"step-up": false}},
            {"method": "POST", "path": "/pay", "security": {"step-up": true, "methods": ["mfa"]}},
            {"method": "POST", "path": "/risky",
             "security": {"step-up": true, "methods": ["mfa"], "risk": {"deny": "high"}}},
        ]);
        let contract = Contract::parse(contract.to_string()).expect("a contract");
        let builder = StepUp::builder().issuer(idp.issuer()).clock(clock.clone());
        let builder = builder.contract(contract).sessions(Sessions::memory());
        let builder = builder.logout_audience(CLIENT);
        let step_up = change(builder, &idp).build().await.expect("built");
        let app = routes![profile, pay, risky].merge(step_up.signal_routes());
        let server = Server::start(step_up.protect(app).with_state(step_up.clone())).await;
        Self { idp, clock, step_up, server }
    }

    async fn with_transmitter() -> Self {
        Self::start(|builder, idp| builder.transmitter(transmitter(idp))).await
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn token(&self, sid: &str) -> String {
        let token = self.idp.token().claim("amr", json!(["mfa"])).claim("sid", sid);
        let now = self.now();
        token.claim("iat", now).claim("auth_time", now).claim("exp", now + 3600).mint()
    }

    /// The statuses of a standard endpoint, of a sensitive one, and of one that depends on the risk.
    async fn statuses(&self, token: &str) -> [u16; 3] {
        let call = async |method, path| self.server.call(method, path, Some(token)).await.status;
        [call("GET", "/profile").await, call("POST", "/pay").await, call("POST", "/risky").await]
    }

    /// A security event token with one event about a subject.
    fn event(&self, uri: &str, event: Value, subject: Value) -> TestToken {
        let now = self.now();
        let token = self.idp.token().header("typ", "secevent+jwt");
        let strange = ["client_id", "scope", "amr", "auth_time", "sub", "exp"];
        let token = strange.iter().fold(token, |token, name| token.without(name));
        token
            .claim("aud", AUDIENCE)
            .claim("iat", now)
            .claim("jti", "event-1")
            .claim("sub_id", subject)
            .claim("events", json!({uri: event}))
    }

    fn alice(&self) -> Value {
        json!({"format": "iss_sub", "iss": self.idp.url(), "sub": "alice"})
    }

    async fn push(&self, token: &str) -> Answer {
        self.push_as(token, "application/secevent+jwt", None).await
    }

    async fn push_as(&self, token: &str, kind: &str, authorization: Option<&str>) -> Answer {
        let request = reqwest::Client::new().post(self.server.url("/signals/events"));
        let request = request.header("content-type", kind).body(token.to_owned());
        let authorization = authorization.map(|value| ("authorization", value));
        let request = authorization
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value));
        Answer::of(request).await
    }

    fn logout_token(&self) -> TestToken {
        let token = self.idp.token().header("typ", "logout+jwt").without("client_id");
        let now = self.now();
        let token = token.claim("aud", CLIENT).claim("iat", now).claim("exp", now + 120);
        token.claim("jti", "logout-1").claim("events", json!({LOGOUT: {}}))
    }

    async fn log_out(&self, token: &str) -> Answer {
        let request = reqwest::Client::new().post(self.server.url("/signals/logout"));
        let form = BTreeMap::from([("logout_token", token)]);
        Answer::of(request.form(&form)).await
    }
}

fn transmitter(idp: &TestIssuer) -> Transmitter {
    Transmitter::new(idp.url(), AUDIENCE).jwks_url(format!("{}/jwks", idp.url()))
}

#[tokio::test]
async fn pushed_events_have_their_effect_and_are_acknowledged_with_202() {
    for (uri, event, expected) in [
        (format!("{CAEP}/session-revoked"), json!({"reason_admin": "policy"}), [401, 401, 401]),
        (format!("{CAEP}/credential-change"), json!({"change_type": "revoke"}), [200, 401, 401]),
        (format!("{CAEP}/risk-level-change"), json!({"current_level": "HIGH"}), [200, 200, 403]),
        (format!("{CAEP}/session-presented"), json!({}), [200, 200, 200]),
        (format!("{RISC}/account-disabled"), json!({"reason": "hijacking"}), [401, 401, 401]),
        (format!("{RISC}/credential-compromise"), json!({}), [401, 401, 401]),
        ("https://example.com/unknown".into(), json!({}), [200, 200, 200]),
    ] {
        let api = Api::with_transmitter().await;
        let token = api.token("s");
        assert_eq!(api.statuses(&token).await, [200; 3]);
        let set = api.event(&uri, event, api.alice()).mint();
        for _repeated in 0..2 {
            let answer = api.push(&set).await;
            assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{uri}");
        }
        assert_eq!(api.statuses(&token).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn an_event_about_a_session_affects_only_this_session() {
    let api = Api::with_transmitter().await;
    let (one, two) = (api.token("one"), api.token("two"));
    let subject = json!({
        "format": "complex", "user": api.alice(), "session": {"format": "opaque", "id": "one"},
    });
    let set = api.event(&format!("{CAEP}/session-revoked"), json!({}), subject).mint();
    assert_eq!(api.push(&set).await.status, 202);
    assert_eq!((api.statuses(&one).await, api.statuses(&two).await), ([401; 3], [200; 3]));
}

#[tokio::test]
async fn an_account_event_that_names_a_session_is_about_the_user() {
    let api = Api::with_transmitter().await;
    let (one, two) = (api.token("one"), api.token("two"));
    let subject = json!({
        "format": "complex", "user": api.alice(), "session": {"format": "opaque", "id": "one"},
    });
    let set = api.event(&format!("{RISC}/account-disabled"), json!({}), subject).mint();
    assert_eq!(api.push(&set).await.status, 202);
    assert_eq!((api.statuses(&one).await, api.statuses(&two).await), ([401; 3], [401; 3]));
    assert_eq!(api.step_up.unreadable_events(), 0);
}

#[tokio::test]
async fn an_event_about_a_device_does_not_make_its_user_trusted_again() {
    let api = Api::with_transmitter().await;
    let token = api.token("s");
    let device = json!({
        "format": "complex", "user": api.alice(), "device": {"format": "opaque", "id": "d"},
    });
    let risk = format!("{CAEP}/risk-level-change");
    let at = |seconds: u64, level: &str| json!({"current_level": level, "event_timestamp": api.now() - seconds});
    for (event, subject, expected) in [
        (at(9, "HIGH"), api.alice(), 403),
        (at(8, "LOW"), device.clone(), 403),
        (json!({"current_level": "LOW", "principal": "DEVICE"}), api.alice(), 403),
        (at(6, "LOW"), api.alice(), 200),
        (at(5, "HIGH"), device, 403),
    ] {
        assert_eq!(api.push(&api.event(&risk, event.clone(), subject).mint()).await.status, 202);
        assert_eq!(api.statuses(&token).await[2], expected, "{event}");
    }
}

#[tokio::test]
async fn a_transmitter_that_is_no_issuer_speaks_for_the_subjects_of_all_issuers() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let sender = TestIssuer::start().await.expect("a transmitter");
    let transmitter = Transmitter::new(sender.url(), AUDIENCE);
    let builder = StepUp::builder().issuer(idp.issuer()).sessions(Sessions::memory());
    let step_up = builder.transmitter(transmitter).build().await.expect("built");
    let routes = routes![profile].merge(step_up.signal_routes());
    let server = Server::start(routes.with_state(step_up)).await;
    let token = idp.token().mint();
    assert_eq!(server.call("GET", "/profile", Some(&token)).await.status, 200);
    let subject = json!({"format": "iss_sub", "iss": idp.url(), "sub": "alice"});
    let set = sender.token().header("typ", "secevent+jwt").claim("aud", AUDIENCE);
    let set = set.claim("jti", "1").claim("sub_id", subject);
    let set = set.claim("events", json!({format!("{CAEP}/session-revoked"): {}})).mint();
    let request = reqwest::Client::new().post(server.url("/signals/events"));
    let request = request.header("content-type", "application/secevent+jwt").body(set);
    assert_eq!(Answer::of(request).await.status, 202);
    assert_eq!(server.call("GET", "/profile", Some(&token)).await.status, 401);
}

#[tokio::test]
async fn events_out_of_order_are_resolved_by_their_time() {
    let api = Api::with_transmitter().await;
    let token = api.token("s");
    let now = api.now();
    let at = |name: &str, seconds: u64| {
        let event = json!({"event_timestamp": now - 100 + seconds});
        api.event(&format!("{RISC}/{name}"), event, api.alice()).mint()
    };
    assert_eq!(api.push(&at("account-enabled", 20)).await.status, 202);
    assert_eq!(api.push(&at("account-disabled", 10)).await.status, 202);
    // The revocation that comes with it covers only authentications up to then.
    assert_eq!(api.statuses(&token).await, [200; 3]);
    assert_eq!(api.push(&at("account-disabled", 30)).await.status, 202);
    assert_eq!(api.statuses(&token).await, [401; 3]);
}

#[tokio::test]
async fn a_security_event_token_that_is_not_for_this_api_is_refused() {
    let api = Api::with_transmitter().await;
    let other = TestIssuer::start().await.expect("an issuer");
    let uri = format!("{CAEP}/session-revoked");
    let set = || api.event(&uri, json!({}), api.alice());
    let forged = other.token().header("typ", "secevent+jwt").claim("iss", api.idp.url());
    let forged = forged.claim("aud", AUDIENCE).claim("jti", "x").claim("events", json!({&uri: {}}));
    for (what, token, code) in [
        ("another audience", set().claim("aud", "https://other").mint(), "invalid_audience"),
        (
            "a second audience",
            set().claim("aud", json!([AUDIENCE, "https://other"])).mint(),
            "invalid_audience",
        ),
        ("no audience", set().without("aud").mint(), "invalid_audience"),
        ("another issuer", set().claim("iss", "https://other").mint(), "invalid_issuer"),
        ("another key", forged.mint(), "invalid_key"),
        ("an access token", api.token("s"), "invalid_request"),
        ("no typ", set().header("typ", Value::Null).mint(), "invalid_request"),
        ("a logout token", set().header("typ", "logout+jwt").mint(), "invalid_request"),
        ("no jti", set().without("jti").mint(), "invalid_request"),
        ("no events", set().without("events").mint(), "invalid_request"),
        ("not a JWT", "x".into(), "invalid_request"),
    ] {
        let answer = api.push(&token).await;
        assert_eq!((answer.status, answer.json()["err"].as_str()), (400, Some(code)), "{what}");
        assert!(answer.json()["description"].is_string(), "{what}");
    }
    let kind = api.push_as(&set().mint(), "text/plain", None).await;
    assert_eq!((kind.status, kind.json()["err"].as_str()), (400, Some("invalid_request")));
    assert_eq!(api.statuses(&api.token("s")).await, [200; 3]);
    // Some transmitters send another content type, an `exp`, or the audience as a list.
    let odd = set().claim("exp", 1).claim("aud", json!([AUDIENCE])).mint();
    assert_eq!(api.push_as(&odd, "application/jwt; charset=utf-8", None).await.status, 202);
    assert_eq!(api.statuses(&api.token("s")).await, [401; 3]);
}

#[tokio::test]
async fn a_push_needs_the_configured_authorization() {
    let api = Api::start(|builder, idp| {
        builder.transmitter(transmitter(idp).push_authorization("Bearer secret"))
    })
    .await;
    let set = api.event(&format!("{CAEP}/session-revoked"), json!({}), api.alice()).mint();
    let kind = "application/secevent+jwt";
    for wrong in [None, Some("Bearer other"), Some("secret"), Some("Bearer secret ")] {
        let answer = api.push_as(&set, kind, wrong).await;
        // HTTP removes white space at the end.
        let expected = if wrong == Some("Bearer secret ") { 202 } else { 400 };
        assert_eq!(answer.status, expected, "{wrong:?}");
    }
    assert_eq!(api.push_as(&set, kind, Some("Bearer secret")).await.status, 202);
}

#[tokio::test]
async fn an_event_that_cannot_be_used_is_counted_and_does_not_block_others() {
    let api = Api::with_transmitter().await;
    let token = api.token("s");
    let email = json!({"format": "email", "email": "bob@bank.example"});
    let foreign = json!({"format": "iss_sub", "iss": "https://other.example", "sub": "alice"});
    let revoked = format!("{CAEP}/session-revoked");
    for (number, subject) in [email, foreign, json!({"format": "odd"})].into_iter().enumerate() {
        assert_eq!(api.push(&api.event(&revoked, json!({}), subject).mint()).await.status, 202);
        assert_eq!(api.step_up.unreadable_events(), number as u64 + 1);
    }
    assert_eq!(api.statuses(&token).await, [200; 3]);
    let both = api.event(&revoked, json!({}), api.alice());
    let both = both.claim("events", json!({"https://example.com/odd": 1, revoked: {}})).mint();
    assert_eq!(api.push(&both).await.status, 202);
    assert_eq!(api.statuses(&token).await, [401; 3]);
}

#[tokio::test]
async fn an_event_about_an_e_mail_address_is_about_the_subject_whose_token_contained_it() {
    for (verified, expected) in [(json!(true), 401), (json!(false), 200), (json!("true"), 200)] {
        let api = Api::with_transmitter().await;
        let now = api.now();
        let token = api.idp.token().claim("email", "Alice@bank.example");
        let token = token.claim("email_verified", verified.clone()).claim("iat", now);
        let token = token.claim("auth_time", now).mint();
        assert_eq!(api.server.call("GET", "/profile", Some(&token)).await.status, 200);
        let subject = json!({"format": "email", "email": "alice@bank.example"});
        let set = api.event(&format!("{CAEP}/session-revoked"), json!({}), subject).mint();
        assert_eq!(api.push(&set).await.status, 202);
        let answer = api.server.call("GET", "/profile", Some(&token)).await;
        assert_eq!(answer.status, expected, "{verified}");
    }
}

#[tokio::test]
async fn a_back_channel_logout_ends_the_session_or_all_of_the_subject() {
    for (sid, expected) in [(Some("one"), [200; 3]), (None, [401; 3])] {
        let api = Api::start(|builder, _| builder).await;
        let (one, two) = (api.token("one"), api.token("two"));
        let token = api.logout_token();
        let token = match sid {
            Some(sid) => token.claim("sid", sid),
            None => token,
        };
        let answer = api.log_out(&token.mint()).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        assert_eq!((api.statuses(&one).await, api.statuses(&two).await), ([401; 3], expected));
        let bob = api.idp.token().subject("bob").claim("amr", json!(["mfa"])).mint();
        assert_eq!(api.statuses(&bob).await, [200; 3]);
    }
}

#[tokio::test]
async fn a_logout_token_that_is_not_valid_is_refused_with_400() {
    let api = Api::start(|builder, _| builder).await;
    let other = TestIssuer::start().await.expect("an issuer");
    let now = api.now();
    let valid = || api.logout_token().claim("sid", "s");
    let forged = other.token().header("typ", "logout+jwt").claim("iss", api.idp.url());
    let forged = forged.claim("aud", CLIENT).claim("jti", "x").claim("events", json!({LOGOUT: {}}));
    for (what, token) in [
        ("an access token", api.token("s")),
        ("an ID token", valid().claim("nonce", "n").mint()),
        ("no events", valid().without("events").mint()),
        ("another event", valid().claim("events", json!({"https://other": {}})).mint()),
        ("an event that is no object", valid().claim("events", json!({LOGOUT: true})).mint()),
        ("another audience", valid().claim("aud", "another-client").mint()),
        ("the API as its audience", valid().claim("aud", "https://api.test").mint()),
        ("another issuer", valid().claim("iss", "https://other").mint()),
        ("another key", forged.mint()),
        ("another typ", valid().header("typ", "at+jwt").mint()),
        ("no jti", valid().without("jti").mint()),
        ("no iat", valid().without("iat").mint()),
        ("expired", valid().claim("exp", now - 1).mint()),
        ("from the future", valid().claim("iat", now + 300).mint()),
        ("neither sid nor sub", api.logout_token().without("sub").mint()),
        ("not a JWT", "x".into()),
    ] {
        let answer = api.log_out(&token).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (400, Some("no-store")),
            "{what}"
        );
        assert_eq!(answer.json()["error"], "invalid_request", "{what}");
    }
    let empty = Answer::of(reqwest::Client::new().post(api.server.url("/signals/logout"))).await;
    assert_eq!(empty.status, 400);
    assert_eq!(api.statuses(&api.token("s")).await, [200; 3]);
    // `typ` is only recommended.
    assert_eq!(api.log_out(&valid().header("typ", Value::Null).mint()).await.status, 200);
    assert_eq!(api.statuses(&api.token("s")).await, [401; 3]);
}

#[tokio::test]
async fn signals_need_a_session_log_and_a_reachable_transmitter() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let builder = || StepUp::builder().issuer(idp.issuer());
    let error = builder().logout_audience(CLIENT).build().await.expect_err("no log");
    assert!(matches!(error, BuildError::Sessions(_)), "{error}");
    let unreachable = Transmitter::new("http://127.0.0.1:1", AUDIENCE);
    let with_log = builder().sessions(Sessions::memory()).transmitter(unreachable);
    let error = with_log.build().await.expect_err("no keys");
    assert!(matches!(error, BuildError::Transmitter(_)), "{error}");
    // Without the routes, their paths are not open.
    let step_up = builder().sessions(Sessions::memory());
    let contract = json!({"path": "/x", "security": {"step-up": false}}).to_string();
    let step_up = step_up.contract(Contract::parse(contract).expect("a contract"));
    let step_up = step_up.build().await.expect("built");
    let app = axum::Router::new().route("/signals/logout", axum::routing::post(async || "open"));
    let server = Server::start(step_up.protect(app)).await;
    assert_eq!(server.call("POST", "/signals/logout", None).await.status, 403);
}

/// A row of the table in `docs/sessions.md`: the event, the responses, and until when.
type Row = [String; 4];

fn documented_rows() -> Vec<Row> {
    let page = std::fs::read_to_string(workspace().join("docs/sessions.md")).expect("the page");
    let (_, table) = page.split_once("| event | standard |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        std::array::from_fn(|_| cells.next().expect("four cells"))
    })
    .collect()
}

impl Api {
    /// Makes the event of a row happen.
    async fn happen(&self, event: &str) {
        let subject = NoticeTarget::subject(self.idp.url(), "alice");
        let session = NoticeTarget::session(self.idp.url(), "s");
        let (sessions, risk) = (self.step_up.sessions(), self.step_up.risk());
        if let Some(caep) = event.strip_prefix("CAEP `") {
            let (name, rest) = caep.split_once('`').expect("a name");
            let details = match rest.split(',').next().unwrap_or_default().trim() {
                "to HIGH" => json!({"current_level": "HIGH"}),
                "to not-compliant" => json!({"current_status": "not-compliant"}),
                _ if rest.contains("decrease") => json!({"change_direction": "decrease"}),
                _ => json!({"change_type": "update"}),
            };
            let about = match rest.trim() {
                "of a session" => {
                    json!({"user": self.alice(), "session": {"format": "opaque", "id": "s"}})
                }
                _ => self.alice(),
            };
            let set = self.event(&format!("{CAEP}/{name}"), details, about);
            assert_eq!(self.push(&set.mint()).await.status, 202, "{event}");
        } else if let Some(risc) = event.strip_prefix("RISC `") {
            let name = risc.trim_end_matches('`');
            let set = self.event(&format!("{RISC}/{name}"), json!({}), self.alice());
            assert_eq!(self.push(&set.mint()).await.status, 202, "{event}");
        } else {
            let logout = self.logout_token();
            let done = match event {
                "`sessions().revoke(session)`" => sessions.revoke(session, "").await,
                "`sessions().revoke(subject)`" => sessions.revoke(subject, "").await,
                "`sessions().revoke_others(subject, another session)`" => {
                    sessions.revoke_others(subject, "another", "").await
                }
                "`sessions().require_reauthentication(subject)`" => {
                    sessions.require_reauthentication(subject, "").await
                }
                "`sessions().lock(subject, seconds)`" => sessions.lock(subject, 60, "").await,
                "`sessions().disable(subject)`" => sessions.disable(subject, "").await,
                "`risk().report(session, High)`, with `risk(deny = \"high\")`" => {
                    risk.report(session, RiskLevel::High, "").await
                }
                "back-channel logout with `sid`" => {
                    assert_eq!(self.log_out(&logout.claim("sid", "s").mint()).await.status, 200);
                    Ok(())
                }
                "back-channel logout with `sub` only" => {
                    assert_eq!(self.log_out(&logout.mint()).await.status, 200);
                    Ok(())
                }
                other => panic!("an unknown event in the table: {other}"),
            };
            done.expect("durable");
        }
    }
}

#[tokio::test]
async fn what_happens_when_is_documented() {
    let rows = documented_rows();
    assert!(rows.len() >= 20, "{}", rows.len());
    for [event, standard, sensitive, until] in &rows {
        let api = Api::with_transmitter().await;
        let path = if event.contains("risk(deny") { "/risky" } else { "/pay" };
        let call = async |method: &str, path: &str, token: &str| {
            let answer = api.server.call(method, path, Some(token)).await;
            let step_up =
                answer.parameter("error").as_deref() == Some("insufficient_user_authentication");
            format!("{}{}", answer.status, if step_up { ", step-up" } else { "" })
        };
        let both = async |token: &str| {
            [call("GET", "/profile", token).await, call("POST", path, token).await]
        };
        let allowed = ["200".to_owned(), "200".to_owned()];
        let old = api.token("s");
        assert_eq!(both(&old).await, allowed, "{event}");
        api.happen(event).await;
        assert_eq!(both(&old).await, [standard.clone(), sensitive.clone()], "{event}");
        api.clock.advance(1);
        let subject = NoticeTarget::subject(api.idp.url(), "alice");
        let session = NoticeTarget::session(api.idp.url(), "s");
        let relieved = match until.as_str() {
            "" => old,
            "for good" => {
                assert_ne!(both(&api.token("s")).await, allowed, "{event}");
                api.token("a new session")
            }
            "a later login" => {
                assert_ne!(both(&old).await, allowed, "{event}");
                api.token("s")
            }
            "the lock has ended" => {
                api.clock.advance(60);
                old
            }
            "it is enabled" => {
                assert_ne!(both(&api.token("s")).await, allowed, "{event}");
                api.step_up.sessions().enable(subject, "").await.expect("durable");
                api.token("s")
            }
            "a lower report" => {
                for target in [session, subject] {
                    api.step_up.risk().report(target, RiskLevel::Low, "").await.expect("durable");
                }
                old
            }
            other => panic!("{event}: unknown end {other:?}"),
        };
        assert_eq!(both(&relieved).await, allowed, "{event}: {until}");
    }
}
