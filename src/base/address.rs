//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// The text names no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a network: use for example 203.0.113.0/24, 2001:db8::/32 or a single address")]
pub struct NetworkError(String);

/// Reads a network in CIDR form, or a single address; bits behind the prefix are dropped.
///
/// # Errors
/// When it is neither.
pub fn network(text: &str) -> Result<IpNet, NetworkError> {
    let text = text.trim();
    let alone = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    let network = IpNet::from_str(text).ok().or_else(alone);
    network.map(|network| canonical(network).trunc()).ok_or_else(|| NetworkError(text.chars().take(60).collect()))
}

/// An IPv4-mapped network is the IPv4 network itself: addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

/// The address of the client: that of the peer, unless the peer is a trusted proxy; then what it says in
/// `X-Forwarded-For`, of which `forwarded` are the values in their order.
///
/// The list is read from its end, as long as those who wrote it are trusted: whatever stands further in front, a stranger
/// may have made up. None if a trusted proxy passed on what is no address.
#[must_use]
pub fn client_address(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> Option<IpAddr> {
    let mut client = peer.to_canonical();
    let hops: Vec<&str> = forwarded.iter().flat_map(|value| value.split(',')).collect();
    for hop in hops.into_iter().rev() {
        if !contains(trusted, client) {
            return Some(client);
        }
        client = address(hop)?;
    }
    Some(client)
}

/// Whether one of the networks has the address.
#[must_use]
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: alone, with a port, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        for (text, shown) in [
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.9/24", "203.0.113.0/24"),
            (" 203.0.113.9 ", "203.0.113.9/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:203.0.113.9", "203.0.113.9/32"),
            ("::ffff:203.0.113.9/120", "203.0.113.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in ["", "203.0.113.0/33", "203.0.113", "acme.example", "203.0.113.0/24/8"] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn s58_only_trusted_proxies_are_believed() {
        let trusted = [network("10.0.0.0/8").unwrap(), network("::1").unwrap()];
        for (peer, forwarded, client) in [
            ("198.51.100.7", &[][..], Some("198.51.100.7")),
            ("198.51.100.7", &["203.0.113.9"], Some("198.51.100.7")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["203.0.113.9"], Some("203.0.113.9")),
            ("::ffff:10.0.0.1", &["203.0.113.9:4711"], Some("203.0.113.9")),
            ("::1", &["[2001:db8::9]:4711"], Some("2001:db8::9")),
            ("::1", &["[2001:db8::9]"], Some("2001:db8::9")),
            // The first address is whatever the client said.
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9, 10.0.0.2"], Some("203.0.113.9")),
            ("10.0.0.1", &["192.0.2.1", "203.0.113.9", "10.0.0.2"], Some("203.0.113.9")),
            ("10.0.0.1", &["10.0.0.3,10.0.0.2"], Some("10.0.0.3")),
            ("10.0.0.1", &["unknown"], None),
            ("10.0.0.1", &["203.0.113.9,"], None),
            ("10.0.0.1", &["garbage, 203.0.113.9"], Some("203.0.113.9")),
        ] {
            let found = client_address(peer.parse().unwrap(), forwarded, &trusted);
            assert_eq!(found, client.map(|client| client.parse().unwrap()), "{peer} {forwarded:?}");
        }
    }
}
