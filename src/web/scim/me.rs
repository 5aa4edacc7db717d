//! `/Me` (RFC 7644 §3.11): the user that a token stands for, to be read.

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use http::HeaderMap;

use super::super::WebState;
use super::{Answer, For as _, users};
use crate::scim::ScimError;
use crate::service::Caller;

/// The same answer as that of `/Users/{id}`, which its `meta.location` and `Location` name.
pub(super) async fn read(
    state: State<WebState>,
    Extension(caller): Extension<Caller>,
    query: RawQuery,
    headers: HeaderMap,
) -> Answer {
    let user = caller.user.ok_or_else(nobody).caused_by(&caller)?;
    users::read(state, Extension(caller), Path(user.to_string()), query, headers).await
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
