//! The address that a request comes from, behind proxies that are trusted.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// The peer's address; when that is a trusted proxy, the last address in `X-Forwarded-For` that is
/// none, since everything before it may have been made up.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut address = peer;
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Ok(hop) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        address = hop.to_canonical();
        if !is_trusted(&address) {
            break;
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().expect("a value"));
        }
        let trusted: Vec<IpNet> = trusted.split(' ').filter_map(|n| n.parse().ok()).collect();
        client_address(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(from("1.2.3.4", &["9.9.9.9"], ""), "1.2.3.4");
        assert_eq!(from("10.0.0.1", &["9.9.9.9"], "10.0.0.0/8"), "9.9.9.9");
        assert_eq!(
            from("10.0.0.1", &["6.6.6.6, 9.9.9.9, 10.0.0.2"], "10.0.0.0/8"),
            "9.9.9.9"
        );
        assert_eq!(
            from("10.0.0.1", &["6.6.6.6", "9.9.9.9"], "10.0.0.0/8"),
            "9.9.9.9"
        );
        assert_eq!(from("10.0.0.1", &["nonsense"], "10.0.0.0/8"), "10.0.0.1");
        assert_eq!(from("::ffff:1.2.3.4", &[], ""), "1.2.3.4");
    }
}
