//! Sends HTTP/2 requests with any bytes in the header fields, which HTTP client libraries refuse (RFC 9113 §4.1,
//! RFC 7541 §6.2.2).

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request with these fields, byte for byte, and without a body. Waits for the head of the response, or for the
/// end of the connection.
///
/// # Panics
/// If the request cannot be sent.
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
        // The server can also refuse the request with RST_STREAM or GOAWAY.
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

/// An HPACK string literal. A length of 127 or more continues in groups of seven bits (RFC 7541 §5.1).
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
