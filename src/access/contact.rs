//! The address at which Flex reaches an agent's browser.

/// `contact_uri` of a worker: `client:` and the identity, in which each byte (UTF-8) but ASCII letters and digits is
/// `_` and two upper-case hexadecimal digits: `a@b.co` becomes `client:a_40b_2Eco`.
///
/// Flex registers the voice client under this name when the person signs in; a worker without it gets no calls.
#[must_use]
pub fn contact_uri(identity: &str) -> String {
    let mut uri = String::with_capacity("client:".len() + identity.len() * 2);
    uri.push_str("client:");
    for byte in identity.bytes() {
        if byte.is_ascii_alphanumeric() {
            uri.push(char::from(byte));
        } else {
            uri.push('_');
            uri.push_str(&hex::encode_upper([byte]));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(uri: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = uri.strip_prefix("client:")?.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'_' {
                bytes.push(byte);
                continue;
            }
            let pair = [rest.next()?, rest.next()?];
            bytes.extend(hex::decode(pair).ok()?);
        }
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn identities_are_encoded_as_flex_does() {
        assert_eq!(contact_uri("a@b.co"), "client:a_40b_2Eco");
        assert_eq!(contact_uri("ana_r-1"), "client:ana_5Fr_2D1");
        assert_eq!(contact_uri("jos\u{e9}"), "client:jos_C3_A9");
    }

    proptest! {
        #[test]
        fn the_encoding_can_be_undone(identity in "\\PC*") {
            let uri = contact_uri(&identity);
            prop_assert!(uri["client:".len()..].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            prop_assert_eq!(decode(&uri), Some(identity));
        }
    }
}
