//! Media that a client names by URL, for a provider that takes no URLs: fetched only where the operator allows it, from
//! public addresses only, within bounds.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Uri, header};
use ipnet::IpNet;
use pingora_core::connectors::http::Connector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;

use crate::base::{Fault, FaultKind};
use crate::dialect::answering::Fetched;

/// No provider takes larger images.
const MAX_BYTES: usize = 20 << 20;
const MAX_URLS: usize = 20;
const MAX_REDIRECTS: usize = 3;
const TIME: Duration = Duration::from_secs(15);

static CONNECTOR: LazyLock<Connector> = LazyLock::new(|| Connector::new(None));

fn fault(url: &str, what: &str) -> Fault {
    // A URL may be signed: its query is not repeated.
    let shown = url.split('?').next().unwrap_or_default();
    let shown: String = shown.chars().take(200).collect();
    Fault::new(
        FaultKind::InvalidRequest,
        format!("The URL '{shown}' could not be fetched: {what}."),
    )
}

/// Fetches them all. `allowed`: networks that may be asked although they are not public.
pub async fn fetch(urls: Vec<String>, allowed: &[IpNet]) -> Result<Vec<Fetched>, Fault> {
    if urls.len() > MAX_URLS {
        return Err(Fault::new(
            FaultKind::InvalidRequest,
            format!("At most {MAX_URLS} URLs of media can be fetched for one request."),
        ));
    }
    let mut all = Vec::with_capacity(urls.len());
    for url in urls {
        let one = tokio::time::timeout(TIME, fetch_one(&url, allowed)).await;
        let (mime, bytes) = one.map_err(|_| fault(&url, "it took too long"))??;
        let base64 = STANDARD.encode(bytes);
        all.push(Fetched { url, mime, base64 });
    }
    Ok(all)
}

async fn fetch_one(url: &str, allowed: &[IpNet]) -> Result<(Option<String>, Vec<u8>), Fault> {
    let mut target = url.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        match get(&target, allowed)
            .await
            .map_err(|what| fault(url, what))?
        {
            Got::Moved(to) => target = to,
            Got::Body(mime, bytes) => return Ok((mime, bytes)),
        }
    }
    Err(fault(url, "it redirects too often"))
}

enum Got {
    Moved(String),
    Body(Option<String>, Vec<u8>),
}

async fn get(url: &str, allowed: &[IpNet]) -> Result<Got, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is not a URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("it is not a URL");
    };
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err("only http and https are fetched"),
    };
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let address = resolve(host.trim_matches(['[', ']']), port, allowed).await?;
    let mut peer = HttpPeer::new(address, tls, host.to_owned());
    peer.options.connection_timeout = Some(Duration::from_secs(5));
    peer.options.total_connection_timeout = Some(Duration::from_secs(10));
    let unreachable = |_| "it could not be reached";
    let (mut session, _) = CONNECTOR
        .get_http_session(&peer)
        .await
        .map_err(unreachable)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head =
        RequestHeader::build(Method::GET, path.as_bytes(), Some(4)).map_err(unreachable)?;
    let authority = authority.as_str().rsplit('@').next().unwrap_or_default();
    for (name, value) in [
        ("host", authority),
        ("accept", "*/*"),
        ("accept-encoding", "identity"),
        ("user-agent", "torouter"),
    ] {
        head.insert_header(name, value).map_err(unreachable)?;
    }
    session
        .write_request_header(Box::new(head))
        .await
        .map_err(unreachable)?;
    session.finish_request_body().await.map_err(unreachable)?;
    session.read_response_header().await.map_err(unreachable)?;
    let answer = session.response_header().ok_or("it gave no answer")?;
    let text = |name| answer.headers.get(name).and_then(|v| v.to_str().ok());
    if answer.status.is_redirection() {
        let to = text(header::LOCATION).ok_or("it redirects to nowhere")?;
        let to = if to.starts_with('/') {
            format!("{scheme}://{authority}{to}")
        } else {
            to.to_owned()
        };
        return Ok(Got::Moved(to));
    }
    if answer.status != http::StatusCode::OK {
        return Err("it does not answer with 200");
    }
    let mime = text(header::CONTENT_TYPE)
        .and_then(|mime| mime.split(';').next())
        .map(|mime| mime.trim().to_ascii_lowercase());
    let mut body = Vec::new();
    while let Some(chunk) = session.read_response_body().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err("it is larger than 20 MiB");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Got::Body(mime, body))
}

/// The first address that may be asked. It is looked up once and connected to as it is, so that a name cannot change its
/// mind in between.
async fn resolve(host: &str, port: u16, allowed: &[IpNet]) -> Result<SocketAddr, &'static str> {
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| "its host is not known")?;
    let mut any = false;
    for address in found {
        any = true;
        let ip = address.ip();
        if is_public(ip) || allowed.iter().any(|net| net.contains(&ip)) {
            return Ok(address);
        }
    }
    Err(if any {
        "its address is not public"
    } else {
        "its host has no address"
    })
}

/// Is it an address of the open internet, and not of this machine, its network or a cloud's metadata?
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(ip) => {
            // Addresses of the old kind in a new coat are what they hold.
            if let Some(v4) = ip.to_ipv4() {
                return is_public(IpAddr::V4(v4));
            }
            let first = ip.segments()[0];
            // Only what is handed out: not unique-local, link-local, multicast, NAT64 or 6to4 (which hold others).
            (first & 0xe000) == 0x2000 && first != 0x2002 && ip.segments()[..2] != [0x2001, 0]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn only_addresses_of_the_open_internet_are_public() {
        for (ip, expected) in [
            ("93.184.216.34", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("192.168.0.1", false),
            ("172.16.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(is_public(ip.parse().expect("an address")), expected, "{ip}");
        }
    }
}
