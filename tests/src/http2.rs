//! HTTP/2 as no client at hand writes it: with any bytes in its fields (RFC 9113 §4.1, RFC 7541 §6.2.2).

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request without a body, of these fields, byte for byte, and waits for the head of its answer, or for the
/// connection's end.
///
/// # Panics
/// When it cannot be sent.
pub async fn send(server: SocketAddr, fields: &[(&str, &[u8])]) {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        block.extend(string(name.as_bytes()));
        block.extend(string(value));
    }
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    sent.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    let mut stream = TcpStream::connect(server).await.expect("a connection");
    stream.write_all(&sent).await.expect("sent");
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        // A reset is an answer, too, and so is that there will be none.
        let answer = (head[3] == HEADERS || head[3] == RST_STREAM) && head[8] == 1;
        if answer || head[3] == GOAWAY {
            return;
        }
    }
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, stream]);
    frame.extend(payload);
    frame
}

/// A literal of HPACK, its length in groups of seven bits where it is long (RFC 7541 §5.1).
fn string(text: &[u8]) -> Vec<u8> {
    let mut string = Vec::new();
    match text.len().checked_sub(127) {
        None => string.push(u8::try_from(text.len()).expect("below 127")),
        Some(mut rest) => {
            string.push(127);
            while rest >= 128 {
                string.push(u8::try_from(rest % 128).expect("seven bits") | 128);
                rest /= 128;
            }
            string.push(u8::try_from(rest).expect("seven bits"));
        }
    }
    string.extend(text);
    string
}
