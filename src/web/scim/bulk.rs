//! `/Bulk` (RFC 7644 §3.7).

use axum::body::Body;
use http::StatusCode;

use super::super::error;
use super::asked::Asked;
use super::{Answer, answer};
use crate::scim::bulk::{Outcome, bulk_response, read_bulk};

pub(super) async fn bulk(asked: Asked, body: Body) -> Answer {
    let body = asked.json(body).await?;
    let request = asked.result(read_bulk(body))?;
    let more = request.operations.len().saturating_sub(1);
    asked.state.pace.spend(asked.caller.bearer, more, asked.core().ambient().now());
    let outcomes = asked.core().bulk(&asked.caller, request).await;
    let outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .map(|outcome| Outcome {
            method: outcome.method,
            bulk_id: outcome.bulk_id,
            location: outcome.location,
            version: outcome.result.as_ref().ok().and_then(|done| done.version),
            status: outcome
                .result
                .map(|done| done.status)
                .map_err(|failure| error::explained(failure, &asked.caller.request)),
        })
        .collect();
    for outcome in &outcomes {
        asked.caller.trail.operation(outcome.status.as_ref().err());
    }
    Ok(answer(StatusCode::OK, Body::from(bulk_response(&outcomes).to_string())))
}
