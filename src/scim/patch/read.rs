//! Reading the body of a PATCH request.

use serde_json::{Map, Value};

use super::{MAX_OPERATIONS, OpKind, Operation};
use crate::scim::dialect::Dialect;
use crate::scim::document::MAX_MEMBERS;
use crate::scim::error::{ScimError, excerpt};
use crate::scim::filter::Limits;
use crate::scim::messages::PATCH_URN;
use crate::scim::path::PatchPath;

/// Reads the body of a PATCH request (RFC 7644 §3.5.2).
///
/// # Errors
/// 400 `invalidSyntax` for a body that is no list of operations, `invalidValue` for a missing `schemas` in the strict
/// dialect, `invalidPath` or `invalidFilter` for a path that cannot be read, `tooMany` for more operations than are granted.
pub fn read_patch(body: Value, dialect: Dialect) -> Result<Vec<Operation>, ScimError> {
    let Value::Object(mut body) = body else {
        return Err(ScimError::invalid_syntax("The body of a PATCH request is an object with \"Operations\"."));
    };
    let schemas = take(&mut body, "schemas", dialect);
    if !dialect.missing_patch_schemas() && !names_patch(schemas.as_ref()) {
        return Err(ScimError::invalid_value(format!("\"schemas\" must have \"{PATCH_URN}\".")));
    }
    let Some(Value::Array(operations)) = take(&mut body, "Operations", dialect) else {
        return Err(ScimError::invalid_syntax("\"Operations\" must be an array."));
    };
    if operations.is_empty() {
        return Err(ScimError::invalid_syntax("\"Operations\" has no operation."));
    }
    if operations.len() > MAX_MEMBERS {
        return Err(ScimError::too_many(format!("A PATCH request may have at most {MAX_MEMBERS} operations.")));
    }
    let mut read = Vec::with_capacity(operations.len());
    for (index, operation) in operations.into_iter().enumerate() {
        read.push(read_operation(operation, dialect).map_err(|error| at_operation(index, error))?);
    }
    if read.iter().filter(|operation| !names_members(operation)).count() > MAX_OPERATIONS {
        return Err(ScimError::too_many(format!(
            "A PATCH request may have at most {MAX_OPERATIONS} operations that do not add or remove members."
        )));
    }
    Ok(read)
}

/// Says which operation an error is about, counted from 1.
pub(super) fn at_operation(index: usize, mut error: ScimError) -> ScimError {
    error.detail = format!("Operation {}: {}", index + 1, error.detail);
    error
}

fn read_operation(operation: Value, dialect: Dialect) -> Result<Operation, ScimError> {
    let Value::Object(mut operation) = operation else {
        return Err(ScimError::invalid_syntax("An operation is an object with \"op\"."));
    };
    let kind = read_kind(take(&mut operation, "op", dialect), dialect)?;
    let path = match take(&mut operation, "path", dialect) {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) => Some(PatchPath::parse(&path, &Limits::default())?),
        Some(_) => return Err(ScimError::invalid_path("\"path\" must be a string.")),
    };
    Ok(Operation { kind, path, value: take(&mut operation, "value", dialect) })
}

fn read_kind(op: Option<Value>, dialect: Dialect) -> Result<OpKind, ScimError> {
    let Some(Value::String(op)) = op else {
        return Err(ScimError::invalid_syntax("An operation needs \"op\": \"add\", \"replace\" or \"remove\"."));
    };
    let known = [("add", OpKind::Add), ("replace", OpKind::Replace), ("remove", OpKind::Remove)];
    let found = known.into_iter().find(|(word, _)| same_name(word, &op, dialect));
    found.map(|(_, kind)| kind).ok_or_else(|| {
        ScimError::invalid_syntax(format!("\"op\" must be add, replace or remove, not \"{}\".", excerpt(&op)))
    })
}

/// Whether the operation adds or removes members that it names. Runs of these become one change; whatever replaces members
/// or removes all of them is a change of its own, and they are counted.
fn names_members(operation: &Operation) -> bool {
    let Some(path) = &operation.path else { return false };
    let names = match operation.kind {
        OpKind::Add => true,
        OpKind::Remove => path.filter.is_some() || operation.value.as_ref().is_some_and(|value| !value.is_null()),
        OpKind::Replace => false,
    };
    names && path.attr.name.eq_ignore_ascii_case("members")
}

fn names_patch(schemas: Option<&Value>) -> bool {
    schemas
        .and_then(Value::as_array)
        .is_some_and(|urns| urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_URN))))
}

fn take(object: &mut Map<String, Value>, name: &str, dialect: Dialect) -> Option<Value> {
    object.iter_mut().find(|(key, _)| same_name(name, key, dialect)).map(|(_, value)| value.take())
}

fn same_name(name: &str, written: &str, dialect: Dialect) -> bool {
    name == written || dialect.op_any_case() && name.eq_ignore_ascii_case(written)
}
