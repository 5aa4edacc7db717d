//! Applying operations: what each is about, and what may not be changed.

use serde_json::{Map, Value};

use super::read::at_operation;
use super::{MAX_OPERATIONS, OpKind, Operation, Patched, members, multi, single};
use crate::scim::dialect::Dialect;
use crate::scim::document::{MAX_MEMBERS, check_lengths, check_required};
use crate::scim::error::{ScimError, excerpt};
use crate::scim::filter::{Bound, Limits};
use crate::scim::path::PatchPath;
use crate::scim::schema::{
    AttrName, AttrRef, Attribute, Mutability, Resolved, ResourceKind, ResourceSchema, Schema, schema_of,
};

/// The most names that [`Patched::ignored`] has.
const MAX_IGNORED: usize = 100;

/// Applies the operations one after another to a copy of `document`. Either all succeed, or nothing is changed.
///
/// # Errors
/// 400 with `mutability` for read-only attributes and the removal of required ones, `invalidValue` for a value that the
/// attribute cannot have, `noTarget` for a path that selects nothing, `invalidFilter` for a filter on what the elements do
/// not have, `invalidPath` for an unknown attribute in the strict dialect, `tooMany` for more work than one request may
/// cause. The detail names the operation, unless the outcome as a whole is refused.
pub fn apply(
    kind: ResourceKind,
    document: &Map<String, Value>,
    operations: &[Operation],
    dialect: Dialect,
) -> Result<Patched, ScimError> {
    let outcome = Patched { document: document.clone(), members: Vec::new(), ignored: Vec::new() };
    let mut patcher = Patcher { schema: schema_of(kind), dialect, outcome, named_members: 0, work: 0 };
    for (index, operation) in operations.iter().enumerate() {
        patcher.operation(operation).map_err(|error| at_operation(index, error))?;
    }
    check_lengths(&patcher.outcome.document)?;
    Ok(patcher.outcome)
}

/// The most work that one request may cause with the elements of multi-valued attributes, in comparisons of one element
/// with one part of a filter: a second or two.
const MAX_WORK: usize = 5_000_000;
/// What it costs to look for an element's like and to write it anew, whatever the operation.
const ELEMENT_COST: usize = 4;
/// As many bytes of elements are read and folded in the time of one comparison.
const BYTES_AT_ONCE: usize = 64;

/// What an operation asks of the attribute it is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'v> {
    Add(&'v Value),
    Replace(&'v Value),
    /// Entra ID names the elements to remove in the value.
    Remove(Option<&'v Value>),
}

/// The attribute an operation is about, and the elements of it that a filter selects.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub attr: &'static Attribute,
    pub sub: Option<&'static Attribute>,
    pub filter: Option<Bound>,
}

struct Patcher {
    schema: &'static ResourceSchema,
    dialect: Dialect,
    outcome: Patched,
    named_members: usize,
    work: usize,
}

impl Patcher {
    fn operation(&mut self, operation: &Operation) -> Result<(), ScimError> {
        let value = operation.value.as_ref();
        let change = match (operation.kind, value) {
            (OpKind::Remove, value) => Change::Remove(value),
            (OpKind::Add, Some(value)) => Change::Add(value),
            (OpKind::Replace, Some(value)) => Change::Replace(value),
            (OpKind::Add | OpKind::Replace, None) => {
                return Err(ScimError::invalid_value("The operation needs a value."));
            }
        };
        match &operation.path {
            Some(path) => self.at_path(path, change, true),
            None => self.without_path(change),
        }
    }

    /// The value is an object whose keys say what it is about (RFC 7644 §3.5.2.1, §3.5.2.3).
    fn without_path(&mut self, change: Change<'_>) -> Result<(), ScimError> {
        let (Change::Add(value) | Change::Replace(value)) = change else {
            return Err(ScimError::no_target("A remove operation needs a path."));
        };
        let Value::Object(attributes) = value else {
            return Err(ScimError::invalid_value("Without a path, the value must be an object of attributes."));
        };
        for (key, value) in attributes {
            match PatchPath::parse(key, &Limits::default()) {
                Ok(path) if self.dialect.dotted_value_keys() || is_plain_key(&path.attr) && path.filter.is_none() => {
                    self.at_path(&path, change.with(value), false)?;
                }
                _ => self.ignore(key),
            }
        }
        Ok(())
    }

    fn at_path(&mut self, path: &PatchPath, change: Change<'_>, explicit: bool) -> Result<(), ScimError> {
        match self.schema.resolve(&path.attr, self.dialect) {
            Some(Resolved::Extension(extension)) => self.whole_extension(extension, change),
            Some(Resolved::Attribute(found)) => match &path.sub {
                None => self.attribute(path, found, change, explicit),
                Some(name) => match found.attr.sub(name) {
                    Some(sub) => self.attribute(path, AttrRef { sub: Some(sub), ..found }, change, explicit),
                    None => self.unknown(path, explicit),
                },
            },
            None => self.unknown(path, explicit),
        }
    }

    fn unknown(&mut self, path: &PatchPath, explicit: bool) -> Result<(), ScimError> {
        let name = path.to_string();
        if explicit && !self.dialect.ignore_unknown_attributes() {
            let detail = format!("There is no attribute \"{}\".", excerpt(&name));
            return Err(ScimError::invalid_path(detail).about_path(&name));
        }
        self.ignore(&name);
        Ok(())
    }

    /// The path is the URN of an extension: the value merges into it, attribute by attribute.
    fn whole_extension(&mut self, extension: &Schema, change: Change<'_>) -> Result<(), ScimError> {
        let value = match change {
            Change::Remove(_) | Change::Replace(Value::Null) => {
                self.outcome.document.shift_remove(extension.id);
                return Ok(());
            }
            Change::Add(Value::Null) => return Ok(()),
            Change::Add(value) | Change::Replace(value) => value,
        };
        let Value::Object(attributes) = value else {
            return Err(ScimError::invalid_value(format!("The value of \"{}\" must be an object.", extension.id)));
        };
        for (key, value) in attributes {
            match AttrName::parse(key) {
                Ok(name) if name.urn.is_none() && (name.sub.is_none() || self.dialect.dotted_value_keys()) => {
                    let attr = AttrName { urn: Some(extension.id.to_owned()), ..name };
                    self.at_path(&PatchPath { attr, filter: None, sub: None }, change.with(value), false)?;
                }
                _ => self.ignore(key),
            }
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        path: &PatchPath,
        found: AttrRef,
        change: Change<'_>,
        explicit: bool,
    ) -> Result<(), ScimError> {
        match found.attr.mutability {
            // Which schemas a resource has follows from its attributes, and nobody signs in with a provisioned password.
            _ if found.attr.name == "schemas" => return Ok(()),
            Mutability::WriteOnly => return Ok(()),
            Mutability::ReadOnly if explicit => {
                return Err(ScimError::mutability(format!("\"{}\" cannot be changed by a client.", found.attr.name)));
            }
            // Okta sends the id along with a new displayName (`fixtures/okta/group-rename.json`).
            Mutability::ReadOnly => {
                self.ignore(found.attr.name);
                return Ok(());
            }
            Mutability::ReadWrite | Mutability::Immutable => {}
        }
        let filter = match &path.filter {
            Some(filter) => Some(filter.bind_elements(self.schema, AttrRef { sub: None, ..found }, self.dialect)?),
            None => None,
        };
        let target = Target { attr: found.attr, sub: found.sub, filter };
        if self.schema.kind == ResourceKind::Group && found.attr.name == "members" {
            // As in a PUT, members that are null among other attributes are members not spoken of.
            let silent = !explicit && matches!(change, Change::Add(Value::Null) | Change::Replace(Value::Null));
            return if silent { Ok(()) } else { self.members(&target, change) };
        }
        if found.sub.is_some_and(|sub| sub.mutability == Mutability::ReadOnly) {
            self.ignore(&path.to_string());
            return Ok(());
        }
        self.update(found.extension, &target, change)
    }

    fn members(&mut self, target: &Target, change: Change<'_>) -> Result<(), ScimError> {
        let Some(change) = members::change(target, change, self.dialect)? else {
            self.ignore(&target.name());
            return Ok(());
        };
        self.named_members += members::named(&change);
        if self.named_members > MAX_MEMBERS {
            return Err(ScimError::too_many(format!("A PATCH request may name at most {MAX_MEMBERS} members.")));
        }
        members::push(&mut self.outcome.members, change);
        // Each is a query of its own, while nobody else can write.
        if self.outcome.members.len() > MAX_OPERATIONS {
            return Err(ScimError::too_many(format!(
                "A PATCH request may change members at most {MAX_OPERATIONS} times. Name those that are added in one operation, and those that are removed in another."
            )));
        }
        Ok(())
    }

    /// Puts the new value of the attribute in the place of the old one, without changing the order of the document.
    fn update(
        &mut self,
        extension: Option<&'static str>,
        target: &Target,
        change: Change<'_>,
    ) -> Result<(), ScimError> {
        let document = &mut self.outcome.document;
        let container = match extension {
            None => &mut *document,
            Some(urn) => {
                let attributes = document.entry(urn).or_insert_with(|| Value::Object(Map::new()));
                attributes.as_object_mut().ok_or_else(|| {
                    ScimError::invalid_value(format!("The stored value of \"{urn}\" is not an object."))
                })?
            }
        };
        let name = target.attr.name;
        let current = container.get_mut(name).map(Value::take);
        self.work = self.work.saturating_add(work(current.as_ref(), target.filter.as_ref()));
        if self.work > MAX_WORK {
            return Err(ScimError::too_many(
                "The operations need too much work together: attributes with many values are changed too often.",
            ));
        }
        let new = if target.attr.multi_valued {
            multi::change(target, current, change, self.dialect)?
        } else {
            single::change(target, current, change, self.dialect)?
        };
        match new {
            Some(value) => {
                container.insert(name.to_owned(), value);
            }
            None => {
                container.shift_remove(name);
            }
        }
        let emptied = container.is_empty();
        if let (Some(urn), true) = (extension, emptied) {
            document.shift_remove(urn);
        }
        if target.attr.required { check_required(self.schema.kind, document) } else { Ok(()) }
    }

    /// Notes a name that has no effect; an identity provider's mapping shows up there.
    fn ignore(&mut self, name: &str) {
        let name = excerpt(name);
        let ignored = &mut self.outcome.ignored;
        if ignored.len() < MAX_IGNORED && !ignored.contains(&name) {
            ignored.push(name);
        }
    }
}

/// What an operation on this value costs at most, in the unit of [`MAX_WORK`].
fn work(current: Option<&Value>, filter: Option<&Bound>) -> usize {
    let elements = current.map_or(&[][..], |value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let each = filter.map_or(0, Bound::size) + ELEMENT_COST;
    elements.len().saturating_mul(each).saturating_add(elements.iter().map(bytes).sum::<usize>() / BYTES_AT_ONCE)
}

/// The bytes of text in a value, which is as deep as the schema.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        Value::Object(parts) => parts.values().map(bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

impl<'v> Change<'v> {
    /// The same change with another value.
    fn with(self, value: &'v Value) -> Self {
        match self {
            Self::Add(_) => Self::Add(value),
            Self::Replace(_) => Self::Replace(value),
            Self::Remove(_) => Self::Remove(Some(value)),
        }
    }
}

impl Target {
    /// The name for messages: `emails.value`.
    pub fn name(&self) -> String {
        match self.sub {
            Some(sub) => format!("{}.{}", self.attr.name, sub.name),
            None => self.attr.name.to_owned(),
        }
    }
}

/// A key that RFC 7644 knows in the value of an operation without path: an attribute of the core, or a whole extension.
fn is_plain_key(name: &AttrName) -> bool {
    name.sub.is_none() && (name.urn.is_none() || name.is_whole_schema())
}
