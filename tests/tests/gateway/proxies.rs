//! The real nginx, Caddy, Traefik and Envoy, configured by `stepup render`: the identity headers that the upstream
//! receives, which a client cannot set. `client_responses.rs` tests the responses to clients, `gateway_bypass.rs` tests
//! attempts to bypass the check.

use serde_json::json;
use stepup_runtime::testing::{AUDIENCE, TestAlgorithm, TestHolder, TestIssuer};
use stepup_tests::bank::{RESOURCE, bank, open_bank, resource_bank};
use stepup_tests::command::{run, stepup, workspace};
use stepup_tests::gateways::Gateway;
use stepup_tests::proxy::{Kind, Proxy};
use stepup_tests::upstream::Upstream;

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn a_client_cannot_set_identity_headers() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let bearer = format!("Bearer {}", idp.token().without("client_id").mint());
    let spoofed = [
        ("X-Step-Up-Subject", "mallory"),
        ("x-step-up-subject", "mallory"),
        ("X-Step-Up-Client", "mallory"),
        ("X-Step-Up-Amr", "mallory"),
        ("X-Step-Up-Auth-Time", "mallory"),
        ("X_Step_Up_Subject", "mallory"),
        ("X-Step_Up-Amr", "mallory"),
        ("X-Step-Up_Acr", "mallory"),
        ("X-Step-Up-Auth_Time", "mallory"),
    ];
    // A client cannot set the identity headers that the gateway does not send either.
    for (more, expected) in [
        ("", &["alice"][..]),
        ("tell = [\"subject\"]", &["alice"]),
        ("tell = [\"client\", \"acr\"]", &[]),
        ("tell = [\"nothing\"]", &[]),
    ] {
        let gateway = resource_bank(&idp, more).await;
        for kind in Kind::ALL {
            let upstream = Upstream::start().await;
            let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
            for connection in ["keep-alive", "keep-alive, x-step-up-subject"] {
                let mut headers = vec![("Authorization", &*bearer), ("Connection", connection)];
                headers.extend(spoofed);
                let (status, _) = proxy.call("GET /me", &headers).await;
                let reached = upstream.take();
                // A `Connection` header that names an identity header does not remove it.
                assert_eq!((status, reached.len()), (200, 1), "{kind:?}, {more}");
                let received = &reached[0].headers;
                let subject: Vec<_> = received.get_all("x-step-up-subject").iter().collect();
                assert_eq!(subject, expected, "{kind:?}, {more}");
                for (name, value) in received {
                    assert_ne!(value, "mallory", "{kind:?}, {more}: {name} reached the upstream");
                }
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn the_upstream_and_the_gateway_can_be_host_names() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let bearer = format!("Bearer {}", idp.mfa_token());
    for kind in Kind::RENDERED {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start_by_name(kind, &gateway, upstream.address()).await;
        let (status, answer) = proxy.call("GET /me", &[("Authorization", &bearer)]).await;
        assert_eq!((status, upstream.take().len()), (200, 1), "{kind:?}: {answer}");
        assert_eq!(proxy.call("GET /me", &[]).await.0, 401, "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn a_request_without_a_token_has_no_identity_headers() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = open_bank(&idp).await;
    let spoofed = [("X-Step-Up-Subject", "mallory"), ("X-Step-Up-Scopes", "mallory")];
    let preflight = [("Origin", "https://x"), ("Access-Control-Request-Method", "POST")];
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        for (line, headers) in [("GET /open", &[][..]), ("OPTIONS /pay", &preflight)] {
            let (status, _) = proxy.call(line, &[headers, &spoofed].concat()).await;
            let reached = upstream.take();
            assert_eq!((status, reached.len()), (200, 1), "{kind:?}: {line}");
            let named = reached[0].headers.iter().filter(|(_, value)| *value == "mallory");
            assert_eq!(named.count(), 0, "{kind:?}: {line}: {:?}", reached[0].headers);
        }
    }
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn a_client_cannot_set_custom_identity_headers() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let contract = json!({"path": "/me", "security": {"step-up": false}}).to_string();
    let settings = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n\
         [gateway]\nidentity = [\"subject=X-Bank-User\"]\n",
        idp.url()
    );
    let gateway = Gateway::start(&contract, &settings, None).await;
    let bearer = format!("Bearer {}", idp.token().mint());
    let spoofed = [
        ("Authorization", &*bearer),
        ("X-Bank-User", "mallory"),
        ("X_Bank_User", "mallory"),
        ("X-Bank_User", "mallory"),
    ];
    for kind in Kind::RENDERED {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let (status, _) = proxy.call("GET /me", &spoofed).await;
        let reached = upstream.take();
        assert_eq!((status, reached.len()), (200, 1), "{kind:?}");
        assert_eq!(reached[0].headers["x-bank-user"], "alice", "{kind:?}");
        assert!(!reached[0].headers.values().any(|value| value == "mallory"), "{kind:?}");
    }
}

/// The headers that another kind of proxy adds to its checks come from the client here, so they have no effect.
#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn check_headers_from_a_client_are_ignored() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let weak = format!("Bearer {}", idp.token().claim("scope", "pay").mint());
    let headers_for = |method, target| {
        [
            ("Authorization", &*weak),
            ("X-Original-Method", method),
            ("X-Original-URI", target),
            ("X-Forwarded-Method", method),
            ("X-Forwarded-Uri", target),
            ("X-Envoy-Original-Path", target),
            ("X-Envoy-Original-Method", method),
        ]
    };
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let (status, answer) = proxy.call("POST /pay", &headers_for("GET", "/me")).await;
        assert_eq!((status, upstream.take().len()), (401, 0), "{kind:?}: {answer}");
        let (status, answer) = proxy.call("GET /me", &headers_for("POST", "/pay")).await;
        let reached = upstream.take();
        assert_eq!((status, reached.len()), (200, 1), "{kind:?}: {answer}");
        assert_eq!((&*reached[0].method, &*reached[0].target), ("GET", "/me"), "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn a_bound_token_with_its_proof_is_allowed() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = resource_bank(&idp, "").await;
    let holder = TestHolder::new(TestAlgorithm::Es256).expect("a key");
    let token = idp
        .token()
        .claim("amr", json!(["mfa"]))
        .claim("scope", "pay")
        .claim("cnf", json!({"jkt": holder.thumbprint()}))
        .mint();
    let dpop = format!("DPoP {token}");
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        let proof = holder.proof("POST", &format!("{RESOURCE}/pay"), &token).sign();
        let headers = [("Authorization", &*dpop), ("DPoP", &*proof)];
        assert_eq!(proxy.call("POST /pay?x=1", &headers).await.0, 200, "{kind:?}");
        let (status, again) = proxy.call("POST /pay?x=1", &headers).await;
        assert!(status == 401 && again.contains("invalid_dpop_proof"), "{kind:?}: {again}");
        let bearer = format!("Bearer {token}");
        let (status, _) = proxy.call("POST /pay", &[("Authorization", &bearer)]).await;
        assert_eq!((status, upstream.take().len()), (401, 1), "{kind:?}");
    }
}

#[test]
fn the_documented_configurations_equal_the_rendered_ones() {
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let contract = "docs/gateways/contract.json";
    for arguments in [
        &["render", "nginx", contract][..],
        &["render", "caddy", contract],
        &["render", "traefik", contract],
        &["render", "envoy", contract],
        &["render", "envoy", contract, "--over", "http"],
    ] {
        let rendered = run(stepup(), arguments);
        let rendered = String::from_utf8(rendered.stdout).expect("text");
        assert!(page.contains(&rendered), "docs/gateways.md does not show:\n{rendered}");
    }
}

/// The configurations in `docs/gateways.md`, unchanged except for the ports.
#[tokio::test]
#[ignore = "needs every proxy; tests/run installs them"]
async fn the_documented_configurations_guard_a_service() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let page = std::fs::read_to_string(workspace().join("docs/gateways.md")).expect("the page");
    let contract = workspace().join("docs/gateways/contract.json");
    let contract = std::fs::read_to_string(contract).expect("the contract");
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let gateway = Gateway::start(&contract, &settings, None).await;
    let (weak, strong) =
        (format!("Bearer {}", idp.password_token()), format!("Bearer {}", idp.mfa_token()));
    let blocks = |language: &str| {
        let opening = format!("```{language}\n");
        let blocks = page.split(&*opening).skip(1);
        Vec::from_iter(blocks.map(|block| block.split("```").next().unwrap_or_default()))
    };
    let [nginx, caddy, yaml] = ["nginx", "caddyfile", "yaml"].map(blocks);
    for (kind, text, port) in [
        (Kind::Nginx, nginx[0], "9001"),
        (Kind::Caddy, caddy[0], "9002"),
        (Kind::Traefik, yaml[0], "9002"),
        (Kind::EnvoyGrpc, yaml[1], "9004"),
        (Kind::EnvoyHttp, yaml[2], "9003"),
    ] {
        let upstream = Upstream::start().await;
        let ports = ["8080", "3000", port];
        let proxy = Proxy::start_with_config(kind, text, ports, &gateway, upstream.address()).await;
        let line = "POST /approve-transaction";
        assert_eq!(proxy.call(line, &[]).await.0, 401, "{kind:?}");
        let (status, answer) = proxy.call(line, &[("Authorization", &weak)]).await;
        assert_eq!(status, 401, "{kind:?}: {answer}");
        assert!(answer.contains("insufficient_user_authentication"), "{kind:?}: {answer}");
        assert_eq!(proxy.call("GET /other", &[("Authorization", &strong)]).await.0, 403);
        assert!(upstream.take().is_empty(), "{kind:?}");
        assert_eq!(proxy.call(line, &[("Authorization", &strong)]).await.0, 200, "{kind:?}");
        let reached = upstream.take();
        assert_eq!(reached[0].headers["x-step-up-subject"], "alice", "{kind:?}");
    }
}

/// Each configuration contains the service's name and the sensitive routes in a comment, and each program has its own
/// idea of what a comment may contain.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs every proxy; tests/run installs them"]
async fn no_text_of_a_contract_changes_a_configuration() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let mfa = json!({"step-up": true, "methods": ["mfa"]});
    let hostile = "{{ if false }} {{\"{{\"}} {{{ {$HOME} {env.HOME} ${HOME} $host } ; # */ %} {% -->\n}\r\nreverse_proxy";
    let contract = json!({
        "contract": 1, "service": hostile, "version": "1", "endpoints": [
            {"method": "POST", "path": "/{{x}}/pay", "security": mfa},
            {"method": "POST", "path": "/pay", "security": mfa},
            {"method": "POST", "path": "/{{{{/{{$HOME}}", "security": mfa},
            {"method": "POST", "path": "/{{mode}}/{{protected}}", "security": mfa},
            {"method": "GET", "path": "/me", "security": {"step-up": false}},
        ],
    });
    let settings = format!("[[issuers]]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\n", idp.url());
    let gateway = Gateway::start(&contract.to_string(), &settings, None).await;
    let bearer = |token: String| format!("Bearer {token}");
    let (weak, strong) = (bearer(idp.password_token()), bearer(idp.mfa_token()));
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let proxy = Proxy::start(kind, &gateway, upstream.address()).await;
        for (line, authorization, status) in [
            ("GET /me", None, 401),
            ("GET /me", Some(&weak), 200),
            ("GET /other", Some(&strong), 403),
            ("POST /pay", Some(&weak), 401),
            ("POST /pay", Some(&strong), 200),
        ] {
            let headers = authorization.map(|value| ("Authorization", value.as_str()));
            let (found, answer) = proxy.call(line, headers.as_slice()).await;
            assert_eq!(found, status, "{kind:?} {line} {authorization:?}: {answer}");
        }
        assert_eq!(upstream.take().len(), 2, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs every proxy; tests/run installs them"]
async fn long_tokens_and_bodies_pass_and_longer_ones_get_their_own_status() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let gateway = bank(&idp).await;
    for kind in Kind::ALL {
        let upstream = Upstream::start().await;
        let inherited = "client_max_body_size 20m;";
        let proxy = match kind {
            Kind::Nginx => Proxy::start_nginx_with(inherited, &gateway, upstream.address()).await,
            kind => Proxy::start(kind, &gateway, upstream.address()).await,
        };
        let me = async |bytes: usize| {
            let token = idp.token().claim("groups", "g".repeat(bytes)).mint();
            proxy.call("GET /me", &[("Authorization", &format!("Bearer {token}"))]).await
        };
        assert_eq!(me(8000).await.0, 200, "{kind:?}: more than 10 KiB of base64");
        let (status, answer) = me(13_000).await;
        assert_eq!(status, 431, "{kind:?}: {answer}");
        assert!(answer.contains("the token is too long"), "{kind:?}: {answer}");
        let target = format!("GET /me?{}", "x".repeat(9000));
        let weak = format!("Bearer {}", idp.password_token());
        let (status, answer) = proxy.call(&target, &[("Authorization", &weak)]).await;
        assert_eq!(status, 414, "{kind:?}: {answer}");
        // nginx has a limit for bodies, and applies it to the check too.
        let body = vec![b'x'; 10 * 1024 * 1024];
        let request = reqwest::Client::new().post(format!("http://{}/pay", proxy.address));
        let request = request.bearer_auth(idp.mfa_token()).body(body);
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 200, "{kind:?}");
    }
}
