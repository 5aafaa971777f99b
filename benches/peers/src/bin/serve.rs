//! Serves every app on a separate port, all in one thread. Prints one line of JSON with the ports by name
//! and the token. Exits when its standard input is closed.

use stepup_bench_peers::{App, NAMES, app, install_fast_backend};
use stepup_benches::token;
use stepup_runtime::testing::{TestAlgorithm, TestIssuer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    install_fast_backend();
    let algorithm = match std::env::args().nth(1).as_deref() {
        Some("ES256") => TestAlgorithm::Es256,
        _ => TestAlgorithm::Rs256,
    };
    let idp = TestIssuer::start_with(algorithm).await.expect("an issuer");
    let mut ports = serde_json::Map::new();
    for name in NAMES {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        match app(name, &idp, algorithm).await {
            App::Current(app) => drop(tokio::spawn(async { axum::serve(listener, app).await })),
            App::Older(app) => drop(tokio::spawn(async { axum07::serve(listener, app).await })),
        }
        ports.insert(name.into(), port.into());
    }
    println!("{}", serde_json::json!({"ports": ports, "token": token(&idp)}));
    let _ = tokio::io::stdin().read(&mut [0]).await;
}
