//! `/Me` (RFC 7644 §3.11): the user that a token stands for, to be read.

use axum::Extension;
use axum::extract::Path;

use super::asked::Asked;
use super::{Answer, For as _, users};
use crate::scim::ScimError;
use crate::service::Caller;

/// The same answer as that of `/Users/{id}`, which its `meta.location` and `Location` name.
pub(super) async fn read(asked: Asked) -> Answer {
    let user = asked.result(asked.caller.user.ok_or_else(nobody))?;
    users::read(asked, Path(user.to_string())).await
}

/// Every other method. A token that stands for a user does not come this far with one.
pub(super) async fn refuse(Extension(caller): Extension<Caller>) -> Answer {
    Err(nobody()).caused_by(&caller)
}

fn nobody() -> ScimError {
    ScimError::not_found(
        "This token stands for a connection and not for a user, so there is no /Me. `rollcall token create --user` makes one that does.",
    )
}
