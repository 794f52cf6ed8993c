//! The transport against servers that misbehave.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use story_checker_http::{
    Collected, Request, ReqwestTransport, ReqwestTransportConfig, Transport, TransportError,
    TransportErrorKind as Kind, Url,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

async fn fetch(url: &str, through: Option<&str>) -> Result<Collected, TransportError> {
    let transport = ReqwestTransport::new(ReqwestTransportConfig::default()).unwrap();
    let request = Request::get(Url::parse(url).unwrap(), Duration::from_millis(400))
        .with_proxy(through.and_then(proxy));
    transport.send(request).await?.collect(10_000).await
}

async fn kind(address: SocketAddr) -> Kind {
    let error = fetch(&format!("http://{address}/?token=PLANTED"), None).await.unwrap_err();
    assert!(!error.proxied());
    let mut text = format!("{error} {error:?} {}", error.to_fault());
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!text.contains("PLANTED"), "{text}");
    error.kind()
}

/// Reads the head of a request.
pub(crate) async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A server that answers every connection with these bytes and closes it.
async fn answering(bytes: &'static [u8]) -> SocketAddr {
    serve(move |mut socket| async move {
        head(&mut socket).await;
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
    })
    .await
}

#[tokio::test]
async fn an_answer_comes_whole() {
    let server = answering(b"HTTP/1.1 201 Made\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nhi").await;
    let answer = fetch(&format!("http://{server}/"), None).await.unwrap();
    assert_eq!((answer.head.status.as_u16(), &answer.body[..]), (201, &b"hi"[..]));
    assert_eq!(answer.head.headers["x-a"], "1");
    assert!(answer.took >= answer.head_after);
}

#[tokio::test]
async fn bodies_are_decoded_and_counted_decoded() {
    let mut deflated = Vec::new();
    // A stored gzip block: header, one uncompressed block, checksum, length.
    let body = vec![b'x'; 9_000];
    deflated.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1]);
    deflated.extend_from_slice(&9_000_u16.to_le_bytes());
    deflated.extend_from_slice(&(!9_000_u16).to_le_bytes());
    deflated.extend_from_slice(&body);
    deflated.extend_from_slice(&crc32(&body).to_le_bytes());
    deflated.extend_from_slice(&9_000_u32.to_le_bytes());
    for (cut, expected) in [(0, None), (12, Some(Kind::Truncated)), (4_000, Some(Kind::Truncated))]
    {
        let mut answer = Vec::new();
        let length = deflated.len() - cut;
        write!(
            answer,
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        answer.extend_from_slice(&deflated[..length]);
        let server = answering(answer.leak()).await;
        let outcome = fetch(&format!("http://{server}/"), None).await;
        assert_eq!(outcome.as_ref().err().map(TransportError::kind), expected);
        if let Ok(answer) = outcome {
            assert_eq!(answer.body, body);
        }
    }
    let garbage =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!";
    assert_eq!(kind(answering(garbage).await).await, Kind::Decode);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[tokio::test]
async fn a_server_that_refuses_or_does_not_exist() {
    assert_eq!(kind(nobody().await).await, Kind::Connect);
    let error = fetch("http://nowhere.invalid/", None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
}

#[tokio::test]
async fn a_server_that_hangs_up_or_resets() {
    let hangs_up = serve(|mut socket| async move {
        head(&mut socket).await;
    })
    .await;
    assert_eq!(kind(hangs_up).await, Kind::Reset);

    let resets = serve(|mut socket| async move {
        head(&mut socket).await;
        socket.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(kind(resets).await, Kind::Reset);

    let resets_later = serve(|mut socket| async move {
        head(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        socket.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(kind(resets_later).await, Kind::Reset);
}

#[tokio::test]
async fn a_body_that_ends_too_early() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nabc";
    assert_eq!(kind(answering(short).await).await, Kind::Truncated);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc";
    assert_eq!(kind(answering(chunked).await).await, Kind::Truncated);
    let no_end = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    assert_eq!(kind(answering(no_end).await).await, Kind::Truncated);
    let half_a_head = b"HTTP/1.1 200 OK\r\ncontent-le";
    assert_eq!(kind(answering(half_a_head).await).await, Kind::Reset);
}

#[tokio::test]
async fn garbage_is_not_http() {
    assert_eq!(kind(answering(b"\x00\xffgarbage\r\n\r\n").await).await, Kind::Decode);
    assert_eq!(kind(answering(b"SSH-2.0-OpenSSH_9.2\r\n").await).await, Kind::Decode);
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc";
    assert_eq!(kind(answering(chunks).await).await, Kind::Decode);
    let length = b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nabc";
    assert_eq!(kind(answering(length).await).await, Kind::Decode);
}

#[tokio::test]
async fn slowness_is_a_timeout_before_or_after_the_head() {
    let silent = serve(|mut socket| async move {
        head(&mut socket).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    assert_eq!(kind(silent).await, Kind::Timeout { before_head: true });

    let drips = serve(|mut socket| async move {
        head(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n").await.unwrap();
        while socket.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(kind(drips).await, Kind::Timeout { before_head: false });
}

#[tokio::test]
async fn a_body_without_end_is_given_up_at_the_limit() {
    let endless = serve(|mut socket| async move {
        head(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while socket.write_all(&[b'x'; 4_096]).await.is_ok() {}
    })
    .await;
    assert_eq!(kind(endless).await, Kind::BodyTooLarge);
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 10001\r\n\r\n";
    assert_eq!(kind(answering(announced).await).await, Kind::BodyTooLarge);
}

#[tokio::test]
async fn of_a_long_body_no_more_is_taken_than_the_limit() {
    const SENT: usize = 20 << 20;
    let (ended, mut end) = tokio::sync::mpsc::unbounded_channel();
    let long = serve(move |mut socket| {
        let ended = ended.clone();
        async move {
            head(&mut socket).await;
            let mut sent = 0;
            let begun = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok();
            while begun && sent < SENT && socket.write_all(&[b'x'; 64 << 10]).await.is_ok() {
                sent += 64 << 10;
            }
            ended.send(sent).unwrap();
        }
    })
    .await;
    assert_eq!(kind(long).await, Kind::BodyTooLarge);
    // The rest of what it sent lies in the buffers of the system.
    assert!(end.recv().await.unwrap() < SENT);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let plain = serve(|mut socket| async move {
        let _ = socket.read(&mut [0; 4_096]).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Speak plainly\r\n\r\n").await;
    })
    .await;
    let error = fetch(&format!("https://{plain}/"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls);
    let hangs_up = serve(|mut socket| async move {
        let _ = socket.read(&mut [0; 4_096]).await;
    })
    .await;
    let error = fetch(&format!("https://{hangs_up}/"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let server =
        answering(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").await;
    let answer = fetch(&format!("http://{server}/"), None).await.unwrap();
    assert_eq!(answer.head.status.as_u16(), 302);
}

#[tokio::test]
async fn other_schemes_are_our_mistake() {
    let error = fetch("ftp://sim.test/", None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidRequest);
}

/// Runs itself again under proxy variables: they must not reroute anything.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    const NAME: &str = "sockets::proxies_of_the_environment_are_ignored";
    let dead = "http://127.0.0.1:1";
    if std::env::var("HTTP_PROXY").as_deref() == Ok(dead) {
        let server = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        let answer = fetch(&format!("http://{server}/"), None).await.unwrap();
        assert_eq!(answer.body, "hi");
        return;
    }
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .envs(names.map(|name| (name, dead)))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
}
