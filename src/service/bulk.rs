//! Bulk requests (RFC 7644 §3.7): each operation is done by the use case that the same request alone would reach, in a
//! transaction of its own. So it may do no more and no less, and a bad one harms no other.

use std::collections::HashMap;

use crate::base::UserId;
use crate::scim::bulk::{Action, BulkRequest, Operation, Task, order};
use crate::scim::patch::read_patch;
use crate::scim::{Projection, ResourceKind, ScimError};

use super::cache::Caller;
use super::core::Core;
use super::error::ServiceError;
use super::render::Rendered;

/// What became of an operation of a bulk request.
#[derive(Debug)]
pub struct BulkOutcome {
    /// The method as it was sent.
    pub method: String,
    /// The name that the client gave.
    pub bulk_id: Option<String>,
    /// The URL of the resource; none for one that was not created.
    pub location: Option<String>,
    /// What was done, or why not.
    pub result: Result<BulkDone, ServiceError>,
}

/// A bulk operation that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkDone {
    /// The HTTP status of the same request alone.
    pub status: u16,
    /// The version after the change; none for what was deleted.
    pub version: Option<i64>,
}

/// A resource that an operation was about.
struct Written {
    id: String,
    location: String,
    done: BulkDone,
}

impl Core {
    /// Does the operations of a bulk request, each after those that it refers to, and otherwise in their order. Answers those
    /// that were tried, in the order of the request.
    pub async fn bulk(&self, caller: &Caller, request: BulkRequest) -> Vec<BulkOutcome> {
        let (order, circular) = order(&request.operations);
        let most = request.fail_on_errors.unwrap_or(u64::MAX);
        let mut operations: Vec<Option<Operation>> = request.operations.into_iter().map(Some).collect();
        let mut outcomes: Vec<(usize, BulkOutcome)> = Vec::with_capacity(operations.len());
        let (mut ids, mut errors) = (HashMap::new(), 0_u64);
        let turns = order.into_iter().map(|n| (n, false)).chain(circular.into_iter().map(|n| (n, true)));
        for (n, is_circular) in turns {
            if errors >= most {
                break;
            }
            let Some(operation) = operations.get_mut(n).and_then(Option::take) else { continue };
            let task = if is_circular { Err(circle()) } else { operation.task };
            let outcome = self.operation(caller, operation.method, operation.bulk_id, task, &mut ids).await;
            errors += u64::from(outcome.result.is_err());
            outcomes.push((n, outcome));
        }
        outcomes.sort_by_key(|(n, _)| *n);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    async fn operation(
        &self,
        caller: &Caller,
        method: String,
        bulk_id: Option<String>,
        task: Result<Task, ScimError>,
        ids: &mut HashMap<String, String>,
    ) -> BulkOutcome {
        let task = task.and_then(|task| task.resolve(ids));
        let location = task.as_ref().ok().filter(|task| !task.id.is_empty()).map(|task| self.location(task));
        let named = task.as_ref().ok().filter(|task| task.id.parse::<UserId>().is_ok()).map(|task| task.id.clone());
        caller.trail.resources(named);
        let written = match task {
            Ok(task) => self.do_task(caller, task).await,
            Err(error) => Err(error.into()),
        };
        match written {
            Ok(written) => {
                caller.trail.resources([written.id.clone()]);
                if let Some(name) = bulk_id.clone().filter(|_| written.done.status == 201) {
                    ids.insert(name, written.id);
                }
                BulkOutcome { method, bulk_id, location: Some(written.location), result: Ok(written.done) }
            }
            Err(error) => BulkOutcome { method, bulk_id, location, result: Err(error) },
        }
    }

    fn location(&self, task: &Task) -> String {
        format!("{}{}/{}", self.scim_url, task.kind.endpoint(), task.id)
    }

    async fn do_task(&self, caller: &Caller, task: Task) -> Result<Written, ServiceError> {
        let location = self.location(&task);
        let Task { action, kind, id, version, data } = task;
        // Nothing of the resource is answered but where it is.
        let nothing = Projection::parse(kind, Some("id"), None, caller.dialect)?;
        let read = |data| caller.read_resource(kind, data);
        let (location, version) = match (action, kind) {
            (Action::Delete, kind) => {
                match kind {
                    ResourceKind::User => self.delete_user(caller, &id, version).await?,
                    ResourceKind::Group => self.delete_group(caller, &id, version).await?,
                }
                return Ok(Written { id, location, done: BulkDone { status: 204, version: None } });
            }
            (Action::Create, ResourceKind::User) => place(self.create_user(caller, read(data)?, &nothing).await?),
            (Action::Create, ResourceKind::Group) => {
                let group = self.create_group(caller, read(data)?, &nothing).await?;
                (group.location, group.version)
            }
            (Action::Replace, ResourceKind::User) => {
                place(self.replace_user(caller, &id, read(data)?, version, &nothing).await?)
            }
            (Action::Replace, ResourceKind::Group) => {
                let group = self.replace_group(caller, &id, read(data)?, version, &nothing).await?;
                (group.location, group.version)
            }
            (Action::Patch, ResourceKind::User) => {
                let operations = read_patch(data, caller.dialect)?;
                place(self.patch_user(caller, &id, operations, version, &nothing).await?)
            }
            (Action::Patch, ResourceKind::Group) => {
                let operations = read_patch(data, caller.dialect)?;
                let group = self.patch_group(caller, &id, operations, version, &nothing).await?;
                (group.location, group.version)
            }
        };
        let status = if action == Action::Create { 201 } else { 200 };
        let id = location.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Written { id, location, done: BulkDone { status, version: Some(version) } })
    }
}

fn place(user: Rendered) -> (String, i64) {
    (user.location, user.version)
}

fn circle() -> ScimError {
    ScimError::conflict(
        "The operation refers to one that refers back to it. Create the resources first and connect them by another operation.",
    )
}
