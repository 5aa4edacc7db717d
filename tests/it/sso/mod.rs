//! Sign-on: what an identity provider may say, and what nobody may.

mod broker;
mod encryption;
mod keys;
mod logout;
mod metadata;
mod request;
mod rules;
mod valid;
mod values;
mod wrapping;

use rollcall::sso::Check;

use crate::support::saml::{World, form};

/// The response is refused by that check.
#[track_caller]
fn refused(world: &World, xml: &str, check: Check) {
    refused_form(world, &form(xml), check);
}

/// As [`refused`], for the value of the form field.
#[track_caller]
fn refused_form(world: &World, value: &str, check: Check) {
    match world.verify(value) {
        Ok(verified) => panic!("it is taken: {verified:?}"),
        Err(error) => assert_eq!(error.check, check, "{error}"),
    }
}

/// Replaces text that must be there once or more.
#[track_caller]
fn with(xml: &str, from: &str, to: &str) -> String {
    assert!(xml.contains(from), "{from} is not in {xml}");
    xml.replace(from, to)
}

/// Takes out what stands from one text to the end of another.
#[track_caller]
fn cut(xml: &str, from: &str, to: &str) -> (String, String) {
    let at = xml.find(from).unwrap_or_else(|| panic!("{from} is not in {xml}"));
    let end = at + xml[at..].find(to).unwrap_or_else(|| panic!("{to} is not in {xml}")) + to.len();
    (format!("{}{}", &xml[..at], &xml[end..]), xml[at..end].to_owned())
}
