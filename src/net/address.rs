//! Which addresses requests may go to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::message::{Destination, HttpError};

/// Resolution gave no address that the request may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressRefused;

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to no allowed address")
    }
}

impl std::error::Error for AddressRefused {}

/// Resolves names and drops every address that the destination may not have.
///
/// The connection uses exactly the addresses that were checked, so a name that changes its mind between check and use
/// (DNS rebinding) gains nothing.
pub(super) struct GuardedResolver(pub(super) Destination);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let destination = self.0;
        Box::pin(async move {
            let host = name.as_str();
            let local = is_localhost(host);
            let allowed: Vec<SocketAddr> = tokio::net::lookup_host((host, 0))
                .await?
                .filter(|address| match destination {
                    // Plain HTTP is allowed to this name, which must therefore never leave the machine.
                    Destination::Operator => !local || address.ip().to_canonical().is_loopback(),
                    Destination::Public | Destination::PublicOrLoopback => is_public(address.ip()),
                })
                .collect();
            if allowed.is_empty() {
                return Err(AddressRefused.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// Checks what can be checked before resolution: scheme, literal addresses, credentials in the URL.
pub(super) fn check(url: &Url, destination: Destination) -> Result<(), HttpError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpError::Refused("credentials in the URL"));
    }
    let Some(host) = url.host() else {
        return Err(HttpError::Refused("no host"));
    };
    let loopback = names_loopback(url);
    match (url.scheme(), destination) {
        ("https", _) => {}
        ("http", Destination::Operator | Destination::PublicOrLoopback) if loopback => {}
        ("http", Destination::Operator) => return Err(HttpError::Refused("plain HTTP to another machine")),
        _ => return Err(HttpError::Refused("not HTTPS")),
    }
    let literal = match host {
        Host::Domain(_) => None,
        Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
        Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
    };
    // A literal address never meets the resolver.
    match (destination, literal) {
        (Destination::PublicOrLoopback, Some(_)) if loopback => Ok(()),
        (Destination::Public | Destination::PublicOrLoopback, Some(ip)) if !is_public(ip) => {
            Err(HttpError::Refused("a private address"))
        }
        _ => Ok(()),
    }
}

/// Whether the URL names this machine: `localhost`, a name below it, or a literal loopback address.
pub(super) fn names_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether the address is reachable on the public Internet (IANA special-purpose registries, RFC 6890).
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // IPv4-mapped, NAT64 (RFC 6052) and 6to4 (RFC 3056): the IPv4 address inside decides.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        // Protocol assignments and Teredo (2001::/23), documentation (2001:db8::/32, 3fff::/20).
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only 2000::/3 is global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(url: &str, destination: Destination) -> bool {
        check(&Url::parse(url).unwrap(), destination).is_err()
    }

    #[test]
    fn s62_only_operators_reach_the_loopback_and_only_there_in_plain_http() {
        for url in ["http://127.0.0.1:9000/", "http://localhost:9000/", "http://[::1]/", "http://tr.localhost/"] {
            assert!(!refused(url, Destination::Operator), "{url}");
            assert!(refused(url, Destination::Public), "{url}");
        }
        for url in
            ["http://taskrouter.twilio.com/", "http://10.0.0.1/", "ftp://127.0.0.1/", "http://localhost.example/"]
        {
            assert!(refused(url, Destination::Operator), "{url}");
            assert!(refused(url, Destination::Public), "{url}");
        }
        assert!(!refused("https://10.0.0.1/", Destination::Operator));
        assert!(!refused("https://idp.example/", Destination::Public));
        assert!(refused("https://user:secret@idp.example/", Destination::Public));
        assert!(refused("https://user@taskrouter.twilio.com/", Destination::Operator));
    }

    #[test]
    fn s62_the_development_switch_opens_the_loopback_and_nothing_else() {
        assert_eq!(Destination::of_administrators(false), Destination::Public);
        let open = Destination::of_administrators(true);
        for url in [
            "http://127.0.0.1:9000/",
            "https://127.0.0.1/",
            "http://localhost/",
            "http://[::1]:1/",
            "https://idp.example/",
        ] {
            assert!(!refused(url, open), "{url}");
        }
        for url in [
            "http://idp.example/",
            "http://10.0.0.1/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/",
            "https://[fc00::1]/",
            "https://0.0.0.0/",
            "http://localhost.example/",
            "ftp://127.0.0.1/",
            "http://user@127.0.0.1/",
        ] {
            assert!(refused(url, open), "{url}");
        }
    }

    #[test]
    fn s62_private_addresses_are_refused_in_every_spelling() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://10.1.2.3/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://198.18.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[fc00::1]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://[64:ff9b:1::10.0.0.1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:1::1]/",
            "https://[2001:db8::1]/",
            "https://[::127.0.0.1]/",
        ] {
            assert!(refused(url, Destination::Public), "{url}");
        }
        for url in ["https://8.8.8.8/", "https://[2606:4700::1111]/", "https://[64:ff9b::8.8.8.8]/"] {
            assert!(!refused(url, Destination::Public), "{url}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_like_the_address_itself(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public(ip.into()), is_public(ip.to_ipv6_mapped().into()));
        }
    }
}
