//! What every SCIM handler needs of a request, read once in one way.

use axum::body::Body;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use serde_json::Value;

use super::super::WebState;
use super::query::Query;
use super::{Failure, For as _, body};
use crate::scim::patch::{Operation, read_patch};
use crate::scim::{Incoming, Projection, ResourceKind, ScimError};
use crate::service::{Caller, Core, ServiceError, Versions};

/// A request whose sender is known and whose query has been read.
pub(super) struct Asked {
    pub(super) state: WebState,
    pub(super) caller: Caller,
    pub(super) query: Query,
    headers: HeaderMap,
}

impl FromRequestParts<WebState> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Failure> {
        let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
            // The guard lets nobody through without one.
            return Err(Failure(ScimError::unauthorized("The request has no token.").into(), "".into()));
        };
        let query = Query::parse(parts.uri.query()).caused_by(&caller)?;
        Ok(Self { state: state.clone(), caller, query, headers: parts.headers.clone() })
    }
}

impl Asked {
    pub(super) fn core(&self) -> &Core {
        &self.state.core
    }

    /// The result of a use case, or a failure that knows its request.
    pub(super) fn result<T, E: Into<ServiceError>>(&self, result: Result<T, E>) -> Result<T, Failure> {
        result.caused_by(&self.caller)
    }

    /// Which attributes the answer has.
    pub(super) fn projection(&self, kind: ResourceKind) -> Result<Projection, Failure> {
        self.result(self.query.projection(kind, self.caller.dialect))
    }

    /// The versions that the client wants to change (`If-Match`).
    pub(super) fn if_match(&self) -> Result<Versions, Failure> {
        self.versions(&header::IF_MATCH)
    }

    /// The versions that the client has already (`If-None-Match`); none: it did not say.
    pub(super) fn known(&self) -> Result<Option<Versions>, Failure> {
        let said = self.headers.contains_key(header::IF_NONE_MATCH);
        Ok(if said { Some(self.versions(&header::IF_NONE_MATCH)?) } else { None })
    }

    fn versions(&self, name: &HeaderName) -> Result<Versions, Failure> {
        let mut tags = Vec::new();
        for value in self.headers.get_all(name) {
            let not_text = |_| ScimError::invalid_value(format!("The header {name} is not text."));
            tags.push(self.result(value.to_str().map_err(not_text))?);
        }
        Ok(if tags.is_empty() { Versions::Any } else { Versions::parse(&tags.join(",")) })
    }

    /// The JSON body.
    pub(super) async fn json(&self, body: Body) -> Result<Value, Failure> {
        self.result(body::read(&self.headers, body, self.state.body_limit).await)
    }

    /// The body as a resource.
    pub(super) async fn resource(&self, kind: ResourceKind, body: Body) -> Result<Incoming, Failure> {
        let body = self.json(body).await?;
        self.result(self.caller.read_resource(kind, body))
    }

    /// The body as a list of PATCH operations.
    pub(super) async fn operations(&self, body: Body) -> Result<Vec<Operation>, Failure> {
        let body = self.json(body).await?;
        self.result(read_patch(body, self.caller.dialect))
    }
}
