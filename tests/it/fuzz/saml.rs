//! Responses of identity providers: whatever is done to one that is signed, it says what was signed, or is refused.

use std::collections::BTreeSet;
use std::ops::Range;

use rollcall::sso::saml::{MetadataPolicy, SubjectFrom, idp_metadata};

use super::{Outcome, fuzz};
use crate::support::Random;
use crate::support::saml::{World, form};

/// Pieces that have meant something to one reader of XML or another.
const PIECES: [&str; 20] = [
    "<!---->",
    "<!-- x -->",
    "<![CDATA[x]]>",
    "<?x y?>",
    "<!DOCTYPE x>",
    "&amp;",
    "&#48;",
    "&#x0;",
    "00u0owner",
    " ID=\"_assertion1\"",
    " Id=\"_x\"",
    " xmlns=\"\"",
    " xmlns=\"urn:x\"",
    " xmlns:saml=\"urn:x\"",
    " xml:space=\"preserve\"",
    "<saml:NameID>00u0owner</saml:NameID>",
    "<saml:Audience>x</saml:Audience>",
    "\u{e9}",
    "\r\n",
    " ",
];

/// Changes the tree as text: elements are taken away, doubled, moved and put around others; values and pieces change.
pub fn damaged(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let (mut text, other) = (String::from_utf8_lossy(input).into_owned(), String::from_utf8_lossy(other).into_owned());
    for _ in 0..=random.below(3) {
        let found = elements(&text);
        let strangers = elements(&other);
        let (Some(one), Some(second)) = (random.pick(&found).cloned(), random.pick(&found).cloned()) else { break };
        let piece = text[one.clone()].to_owned();
        match random.below(8) {
            0 => text.replace_range(one, ""),
            1 => text.insert_str(one.end, &piece),
            2 => text.insert_str(second.start, &piece),
            3 => text.insert_str(inside(&text, &second), &piece),
            4 => {
                let stranger = random.pick(&strangers).map_or("", |range| &other[range.clone()]);
                text.replace_range(one, stranger);
            }
            5 => {
                let at = boundary(&text, random.below(text.len() + 1));
                text.insert_str(at, random.one(PIECES));
            }
            6 => text.insert_str(inside(&text, &one), random.one(PIECES)),
            _ => {
                let evil = piece.replace("00u1ana", "00u0owner").replace("_assertion1", "_evil");
                text.insert_str(random.one([one.start, one.end]), &evil);
            }
        }
    }
    text.into_bytes()
}

/// The places of all elements, as far as tags can be told without reading.
fn elements(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('<') {
        let name: String = text[start + 1..].chars().take_while(|c| c.is_alphanumeric() || *c == ':').collect();
        if name.is_empty() {
            continue;
        }
        let Some(tag) = text[start..].find('>').map(|end| start + end + 1) else { continue };
        let close = format!("</{name}>");
        let end = if text[..tag].ends_with("/>") {
            Some(tag)
        } else {
            text[tag..].find(&close).map(|at| tag + at + close.len())
        };
        found.extend(end.map(|end| start..end));
    }
    found
}

/// Behind the opening tag.
fn inside(text: &str, element: &Range<usize>) -> usize {
    text[element.clone()].find('>').map_or(element.end, |at| element.start + at + 1)
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What each sample says, by the way in which its subject is named.
fn worlds() -> Vec<(World, BTreeSet<String>)> {
    let attribute = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
    [SubjectFrom::NameId, SubjectFrom::Attribute(attribute.to_owned())]
        .into_iter()
        .map(|subject| {
            let mut world = World::new();
            world.options.subject = subject;
            let folder = format!("{}/fixtures/saml", env!("CARGO_MANIFEST_DIR"));
            let said = std::fs::read_dir(folder).expect("samples").filter_map(|entry| {
                let text = std::fs::read_to_string(entry.expect("a sample").path()).expect("a sample");
                world.verify(&form(&text)).ok().map(|verified| format!("{verified:?}"))
            });
            let said: BTreeSet<String> = said.collect();
            assert!(said.len() >= 2, "the samples are not taken");
            (world, said)
        })
        .collect()
}

#[test]
fn s02_fuzzed_responses_say_what_was_signed_or_are_refused() {
    let worlds = worlds();
    fuzz("saml", move |input: &[u8]| -> Outcome {
        let text = String::from_utf8_lossy(input);
        let mut outcome = String::new();
        for (world, said) in &worlds {
            match world.verify(&form(&text)) {
                Ok(verified) if said.contains(&format!("{verified:?}")) => outcome.push_str("taken "),
                Ok(verified) => return Err(format!("it is taken, and says what nobody signed: {verified:?}")),
                Err(error) => {
                    outcome.push_str(error.check.name());
                    outcome.extend(error.detail.chars().take(24));
                }
            }
        }
        let policy = MetadataPolicy { now: worlds[0].0.now, signers: &[], loopback_http: false };
        match idp_metadata(&text, &policy) {
            Ok(_) => outcome.push_str("metadata"),
            Err(error) => outcome.push_str(error.check.name()),
        }
        Ok(outcome)
    });
}
