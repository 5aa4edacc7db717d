//! Which attributes an answer has: `attributes` and `excludedAttributes` (RFC 7644 §3.9, RFC 7643 §2.2).

use serde_json::{Map, Value};

use super::schema::{AttrRef, Attribute, Resolved, ResourceSchema, Returned, Schema};
use super::{AttrName, Dialect, ResourceKind, ScimError, schema_of};

/// The attributes that an answer has.
#[derive(Clone, Debug)]
pub struct Projection {
    schema: &'static ResourceSchema,
    mode: Mode,
}

#[derive(Clone, Debug)]
enum Mode {
    Full,
    Only(Vec<Resolved>),
    Without(Vec<Resolved>),
}

impl Projection {
    /// Everything that is returned by default.
    #[must_use]
    pub fn full(kind: ResourceKind) -> Self {
        Self { schema: schema_of(kind), mode: Mode::Full }
    }

    /// From the two query parameters, lists of names separated by commas. A blank parameter counts as absent, an
    /// unknown name selects nothing.
    ///
    /// # Errors
    /// 400 `invalidValue` if both are given and the dialect is strict; otherwise `attributes` decides.
    pub fn parse(
        kind: ResourceKind,
        attributes: Option<&str>,
        excluded: Option<&str>,
        dialect: Dialect,
    ) -> Result<Self, ScimError> {
        let schema = schema_of(kind);
        let given = |list: Option<&str>| {
            let list = list.filter(|list| !list.trim().is_empty())?;
            let mut names = Vec::new();
            for name in list.split(',').filter_map(|name| AttrName::parse(name.trim()).ok()) {
                // A repeated name would be looked at for each member of a group.
                names.extend(schema.resolve(&name, dialect).filter(|name| !names.contains(name)));
            }
            Some(names)
        };
        let mode = match (given(attributes), given(excluded)) {
            (Some(_), Some(_)) if !dialect.both_projections() => {
                return Err(ScimError::invalid_value("Give either 'attributes' or 'excludedAttributes', not both."));
            }
            (Some(only), _) => Mode::Only(only),
            (None, Some(without)) => Mode::Without(without),
            (None, None) => Mode::Full,
        };
        Ok(Self { schema, mode })
    }

    /// The type of resource that it is for.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        self.schema.kind
    }

    /// Whether the answer is everything that is returned by default, so that stored text can be answered as it is.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self.mode, Mode::Full)
    }

    /// Whether the answer has any part of a core attribute, given by its canonical name: whether it must be loaded at
    /// all.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        let attribute = self.schema.core.attribute(name);
        let attribute = attribute.or_else(|| self.schema.common.iter().find(|attribute| attribute.name == name));
        attribute.is_some_and(|attribute| self.keeps(None, attribute, None))
    }

    /// Removes from a resource what the answer does not have. `id` and `schemas` stay always, a password never (RFC
    /// 7643 §2.2).
    pub fn apply(&self, resource: &mut Map<String, Value>) {
        resource.retain(|key, value| {
            if let Some(extension) = self.schema.extension(key) {
                return self.apply_to_extension(extension, value);
            }
            let attribute = self.schema.core.attribute(key);
            let attribute = attribute.or_else(|| self.schema.common.iter().find(|attribute| attribute.name == key));
            attribute.is_some_and(|attribute| self.apply_to(None, attribute, value))
        });
    }

    /// Returns whether anything is left.
    fn apply_to_extension(&self, extension: &'static Schema, value: &mut Value) -> bool {
        let Value::Object(part) = value else { return false };
        part.retain(|key, value| {
            extension.attribute(key).is_some_and(|attribute| self.apply_to(Some(extension.id), attribute, value))
        });
        !part.is_empty()
    }

    /// Returns whether the attribute stays.
    fn apply_to(&self, extension: Option<&str>, attribute: &'static Attribute, value: &mut Value) -> bool {
        if !self.keeps(extension, attribute, None) {
            return false;
        }
        if attribute.sub_attributes.is_empty() {
            return true;
        }
        let cut = |element: &mut Value| {
            let Value::Object(element) = element else { return true };
            element.retain(|key, _| attribute.sub(key).is_some_and(|sub| self.keeps(extension, attribute, Some(sub))));
            !element.is_empty()
        };
        match value {
            Value::Array(elements) => {
                let had = !elements.is_empty();
                elements.retain_mut(cut);
                // An array that was empty before is a statement (a group without members), not a leftover.
                !had || !elements.is_empty()
            }
            single => cut(single),
        }
    }

    /// Whether the answer has the attribute, or with `sub` that part of it.
    fn keeps(&self, extension: Option<&str>, attr: &Attribute, sub: Option<&Attribute>) -> bool {
        let returned = sub.map_or(attr.returned, |sub| sub.returned);
        match returned {
            Returned::Never => return false,
            Returned::Always => return true,
            Returned::Default | Returned::Request => {}
        }
        match &self.mode {
            Mode::Full => returned == Returned::Default,
            Mode::Only(names) => names.iter().any(|name| selects(name, extension, attr, sub)),
            Mode::Without(names) => {
                returned == Returned::Default && !names.iter().any(|name| covers(name, extension, attr, sub))
            }
        }
    }
}

/// Whether asking for `name` asks for (a part of) the attribute, or for that sub-attribute.
fn selects(name: &Resolved, extension: Option<&str>, attr: &Attribute, sub: Option<&Attribute>) -> bool {
    match name {
        Resolved::Extension(schema) => extension == Some(schema.id),
        Resolved::Attribute(name) => {
            same(name, extension, attr) && (name.sub.is_none() || sub.is_none() || name.sub == sub)
        }
    }
}

/// Whether excluding `name` excludes the whole attribute, or that sub-attribute.
fn covers(name: &Resolved, extension: Option<&str>, attr: &Attribute, sub: Option<&Attribute>) -> bool {
    match name {
        Resolved::Extension(schema) => extension == Some(schema.id),
        Resolved::Attribute(name) => same(name, extension, attr) && (name.sub.is_none() || name.sub == sub),
    }
}

fn same(name: &AttrRef, extension: Option<&str>, attr: &Attribute) -> bool {
    name.extension == extension && name.attr.name == attr.name
}

#[cfg(test)]
mod tests;
