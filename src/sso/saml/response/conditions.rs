//! Under which conditions an assertion holds (SAML Core §2.5).

use super::Expected;
use crate::base::Timestamp;
use crate::sso::saml::names::ASSERTION;
use crate::sso::saml::tree::Node;
use crate::sso::saml::words::{instant, refuse, shown};
use crate::sso::{Check, SsoError};

/// Checks all conditions; gives the end, if there is one.
pub(super) fn check(
    conditions: Node<'_, '_>,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, SsoError> {
    conditions.holds_elements_only()?;
    let skew = expected.options.skew();
    if let Some(from) = conditions.attribute("NotBefore").map(instant).transpose()?
        && from > now.after(skew)
    {
        return refuse(Check::Time, format!("the assertion holds from {from}, and it is {now}"));
    }
    let until = conditions.attribute("NotOnOrAfter").map(instant).transpose()?;
    if let Some(until) = until.filter(|until| until.after(skew) <= now) {
        return refuse(Check::Time, format!("the assertion held until {until}, and it is {now}"));
    }
    let mut restricted = false;
    for condition in conditions.children() {
        match condition.name() {
            "AudienceRestriction" if condition.is(ASSERTION, "AudienceRestriction") => {
                audience(condition, &expected.service.entity_id)?;
                restricted = true;
            }
            // Assertions are used once here anyway, and never passed on.
            "OneTimeUse" | "ProxyRestriction" if condition.is(ASSERTION, condition.name()) => {}
            // A condition that is not understood is not met (SAML Core §2.5.1.1).
            other => return refuse(Check::Malformed, format!("the condition {} is not known", shown(other))),
        }
    }
    if !restricted {
        return refuse(
            Check::Audience,
            format!("there is no audience, expected {}", shown(&expected.service.entity_id)),
        );
    }
    Ok(until)
}

/// One restriction names us among others; of several each must.
fn audience(restriction: Node<'_, '_>, entity_id: &str) -> Result<(), SsoError> {
    restriction.holds_elements_only()?;
    let audiences = restriction.all(ASSERTION, "Audience").map(|audience| audience.token());
    let audiences = audiences.collect::<Result<Vec<_>, _>>()?;
    if audiences.iter().any(|audience| audience == entity_id) {
        return Ok(());
    }
    let found: Vec<String> = audiences.iter().take(5).map(|audience| shown(audience)).collect();
    refuse(Check::Audience, format!("the audience is {}, expected {}", found.join(", "), shown(entity_id)))
}
