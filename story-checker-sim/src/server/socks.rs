//! The SOCKS5 kind of proxy: RFC 1928 and RFC 1929, CONNECT only.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Host;
use super::http;
use super::proxy::{Proxy, ProxyCredentials};
use crate::scenario::ProxyFault;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const PASSWORD_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
const COMMAND_NOT_SUPPORTED: u8 = 7;
const ADDRESS_NOT_SUPPORTED: u8 = 8;

/// How a handshake ends.
enum Outcome {
    Denied,
    Malformed,
    Open { target: String },
}

/// Serves one connection to a SOCKS5 proxy.
pub(super) async fn serve(
    host: &Arc<Host>,
    proxy: &Proxy,
    mut stream: TcpStream,
    addr: SocketAddr,
    fault: Option<ProxyFault>,
) {
    let locked = fault == Some(ProxyFault::Login);
    match shake_hands(proxy, &mut stream, locked).await {
        Ok(Outcome::Open { target }) => {
            proxy.count_tunnel(target);
            let stranger = fault == Some(ProxyFault::Tls);
            if stranger {
                proxy.count_fault();
            }
            http::serve_tunnel(host, stream, proxy.peer(addr), stranger).await;
        }
        Ok(Outcome::Denied) if locked => proxy.count_fault(),
        Ok(Outcome::Denied) => proxy.count_denied(),
        // A client that hangs up halfway broke the protocol too.
        Ok(Outcome::Malformed) | Err(_) => proxy.count_malformed(),
    }
}

async fn shake_hands(proxy: &Proxy, stream: &mut TcpStream, locked: bool) -> io::Result<Outcome> {
    if stream.read_u8().await? != VERSION {
        return Ok(Outcome::Malformed);
    }
    let methods = read_counted(stream).await?;
    let method = match proxy.credentials() {
        None if !locked && methods.contains(&NO_LOGIN) => NO_LOGIN,
        // Without a password of its own the proxy takes any.
        _ if methods.contains(&PASSWORD) => PASSWORD,
        _ => NO_METHOD,
    };
    stream.write_all(&[VERSION, method]).await?;
    if method == NO_METHOD {
        return Ok(Outcome::Denied);
    }
    if method == PASSWORD {
        if stream.read_u8().await? != PASSWORD_VERSION {
            return Ok(Outcome::Malformed);
        }
        let user = read_counted(stream).await?;
        let password = read_counted(stream).await?;
        let knows = |wanted: &ProxyCredentials| wanted.matches(&user, &password);
        let welcome = !locked && proxy.credentials().is_none_or(knows);
        stream.write_all(&[PASSWORD_VERSION, u8::from(!welcome)]).await?;
        if !welcome {
            return Ok(Outcome::Denied);
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != VERSION {
        return Ok(Outcome::Malformed);
    }
    let target = match kind {
        1 => IpAddr::from(Ipv4Addr::from(stream.read_u32().await?)).to_string(),
        3 => String::from_utf8_lossy(&read_counted(stream).await?).into_owned(),
        4 => format!("[{}]", Ipv6Addr::from(stream.read_u128().await?)),
        _ => {
            reply(stream, ADDRESS_NOT_SUPPORTED).await?;
            return Ok(Outcome::Malformed);
        }
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        reply(stream, COMMAND_NOT_SUPPORTED).await?;
        return Ok(Outcome::Malformed);
    }
    reply(stream, SUCCEEDED).await?;
    Ok(Outcome::Open { target: format!("{target}:{port}") })
}

/// Reads a length in one byte, then as many bytes.
async fn read_counted(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Replies with the bound address 0.0.0.0:0: nothing was dialled.
async fn reply(stream: &mut TcpStream, code: u8) -> io::Result<()> {
    stream.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]).await
}
