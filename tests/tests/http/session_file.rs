//! The session log in a file, when its process is killed and when the disk is full.

use crate::session_logs::{endpoint, status};
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use stepup_runtime::testing::TestIssuer;
use stepup_runtime::{Issuer, NoticeTarget, Sessions, StepUp};

/// The name of the issuer of the child process, which never contacts it.
const ISSUER: &str = "https://idp.example";

async fn open(path: &Path, issuer: Issuer) -> StepUp {
    let sessions = Sessions::open(path).expect("a folder");
    StepUp::builder().issuer(issuer).sessions(sessions).build().await.expect("built")
}

/// The child process of the test below: revokes sessions, and prints the number of each acknowledged one.
#[tokio::test]
#[ignore = "a part of the next test"]
async fn child_that_revokes_sessions() {
    let Ok(path) = env::var("STEPUP_TEST_FILE") else { return };
    let first: u64 = env::var("STEPUP_TEST_FIRST").expect("a number").parse().expect("a number");
    let keys = env::var("STEPUP_TEST_KEYS").expect("keys");
    let step_up = open(Path::new(&path), Issuer::new(ISSUER, "https://api.test").jwks(keys)).await;
    for number in first.. {
        let session = NoticeTarget::session(ISSUER, format!("session-{number}"));
        match step_up.sessions().revoke(session, &"x".repeat(200)).await {
            Ok(()) => println!("acknowledged {number}"),
            Err(error) => {
                println!("refused: {error}");
                return;
            }
        }
    }
}

struct Writer(Child);

impl Writer {
    fn start(path: &Path, first: u64, keys: &str) -> Self {
        Self::spawn(Command::new(env::current_exe().expect("this program")), path, first, keys)
    }

    /// Starts a process that cannot make the file larger than this number of blocks of 512 or 1,024 bytes: its writes
    /// fail, as on a full disk.
    fn start_with_limit(path: &Path, blocks: u32, keys: &str) -> Self {
        let mut command = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(env::current_exe().expect("this program"));
        Self::spawn(command, path, 0, keys)
    }

    fn spawn(mut command: Command, path: &Path, first: u64, keys: &str) -> Self {
        command.args([
            "session_file::child_that_revokes_sessions",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.env("STEPUP_TEST_FILE", path).env("STEPUP_TEST_KEYS", keys);
        command.env("STEPUP_TEST_FIRST", first.to_string()).stdout(Stdio::piped());
        Self(command.spawn().expect("it starts"))
    }

    /// Kills the process some time after its first acknowledgement. Returns the numbers that it acknowledged.
    fn kill_after(mut self, time: Duration) -> Vec<u64> {
        let mut output = BufReader::new(self.0.stdout.take().expect("its output"));
        let mut text = String::new();
        while !text.contains("acknowledged") {
            assert!(output.read_line(&mut text).expect("text") > 0, "it has ended: {text}");
        }
        std::thread::sleep(time);
        self.0.kill().expect("a running process");
        self.0.wait().expect("its end");
        output.read_to_string(&mut text).expect("text");
        acknowledged(&text)
    }

    /// All output of a process that ends by itself.
    fn output(mut self) -> String {
        let mut text = String::new();
        let output = self.0.stdout.take().expect("its output");
        BufReader::new(output).read_to_string(&mut text).expect("text");
        self.0.wait().expect("its end");
        text
    }
}

/// The numbers that a process acknowledged. The last line may be cut.
fn acknowledged(text: &str) -> Vec<u64> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let numbers = whole.lines().filter_map(|line| line.split_once("acknowledged "));
    numbers.map(|(_, number)| number.parse().expect("a number")).collect()
}

/// Asserts that these sessions are refused according to the file, and that another one is not.
async fn assert_revoked(idp: &TestIssuer, path: &Path, numbers: &[u64]) {
    let issuer = Issuer::new(ISSUER, "https://api.test").jwks(idp.jwks());
    let step_up = open(path, issuer).await;
    let endpoint = endpoint();
    let of = |number: u64| {
        let token = idp.token().claim("iss", ISSUER).claim("amr", serde_json::json!(["mfa"]));
        token.claim("sid", format!("session-{number}")).mint()
    };
    for number in numbers {
        let status = status(&step_up, &endpoint, &of(*number)).await;
        assert_eq!(status, 401, "session-{number} was acknowledged");
    }
    assert_eq!(status(&step_up, &endpoint, &of(u64::MAX)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills 200 processes, which takes half a minute; run tests/run"]
async fn every_acknowledged_revocation_is_in_the_file_after_200_kills() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sessions.redb");
    let (mut all, mut next) = (Vec::new(), 0);
    for round in 0..200_u64 {
        // From a moment after the first commit to several commits later.
        let time = Duration::from_micros(round * 7919 % 30_000);
        let numbers = Writer::start(&path, next, &idp.jwks()).kill_after(time);
        next = numbers.last().expect("at least one") + 100;
        all.extend(numbers);
    }
    assert_revoked(&idp, &path, &all).await;
    println!("200 processes killed; {} acknowledged revocations, none lost", all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_and_keeps_what_was_acknowledged() {
    let idp = TestIssuer::start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sessions.redb");
    let text = Writer::start_with_limit(&path, 3000, &idp.jwks()).output();
    assert!(text.contains("refused: the session log could not be written"), "{text}");
    let numbers = acknowledged(&text);
    assert!(numbers.len() > 10, "{text}");
    assert_revoked(&idp, &path, &numbers).await;
}
