//! Operations on the elements of a multi-valued attribute: all of them, or those that a filter selects.

use serde_json::{Map, Value};

use super::apply::{Change, Target};
use super::identity::{Places, remove_named};
use super::single::{is_unassigned, no_target};
use crate::scim::dialect::Dialect;
use crate::scim::error::ScimError;
use crate::scim::schema::Attribute;
use crate::scim::value::{MAX_ELEMENTS, coerce, coerce_element};

type Parts = Map<String, Value>;

/// The value after the change; `None` if no element is left.
pub(super) fn change(
    target: &Target,
    current: Option<Value>,
    change: Change<'_>,
    dialect: Dialect,
) -> Result<Option<Value>, ScimError> {
    let elements = match current {
        Some(Value::Array(elements)) => elements,
        Some(Value::Null) | None => Vec::new(),
        Some(single) => vec![single],
    };
    let mut list = List { target, elements, touched: Vec::new(), dialect };
    match (&target.filter, target.sub) {
        (None, None) => list.change_whole(change)?,
        (_, Some(sub)) => list.change_sub(sub, change)?,
        (Some(_), None) => list.change_selected(change)?,
    }
    list.finish()
}

struct List<'t> {
    target: &'t Target,
    elements: Vec<Value>,
    /// The elements that the operation wrote, by their place.
    touched: Vec<usize>,
    dialect: Dialect,
}

impl List<'_> {
    /// The path names the attribute alone.
    fn change_whole(&mut self, change: Change<'_>) -> Result<(), ScimError> {
        match change {
            Change::Remove(None | Some(Value::Null)) => self.elements.clear(),
            Change::Remove(Some(value)) => {
                let named = self.read_named(value)?;
                remove_named(self.target.attr, &mut self.elements, &named);
            }
            Change::Replace(value) => self.elements = self.read_all(value)?,
            Change::Add(value) => {
                let mut places = self.places();
                for new in self.read_all(value)? {
                    self.add(new, &mut places);
                }
            }
        }
        Ok(())
    }

    /// The path ends in a sub-attribute: `emails[type eq "work"].value`, or `emails.value` for every element.
    fn change_sub(&mut self, sub: &Attribute, change: Change<'_>) -> Result<(), ScimError> {
        let new = match change {
            Change::Remove(_) => None,
            Change::Add(value) | Change::Replace(value) => {
                coerce(sub, value.clone(), self.dialect)?.filter(|new| !is_unassigned(sub, new))
            }
        };
        let selected = self.selected();
        let Some(new) = new else {
            if !matches!(change, Change::Add(_)) {
                self.clear_sub(sub, &selected);
            }
            return Ok(());
        };
        let new = Value::Object(Parts::from_iter([(sub.name.to_owned(), new)]));
        // As an element, so that a role packed into its own value is unpacked here too
        // (`fixtures/entra/role-single-packed.json`).
        let Some(new) = coerce_element(self.target.attr, new, self.dialect)? else { return Ok(()) };
        self.overlay_selected(&selected, &new)
    }

    /// The path ends in a filter: whole elements change.
    fn change_selected(&mut self, change: Change<'_>) -> Result<(), ScimError> {
        let selected = self.selected();
        let value = match change {
            Change::Remove(_) | Change::Replace(Value::Null) => {
                // Removing what is not there is done already: identity providers repeat requests.
                keep(&mut self.elements, |index, _| selected.binary_search(&index).is_err());
                return Ok(());
            }
            Change::Add(Value::Null) => return Ok(()),
            Change::Add(value) | Change::Replace(value) => value,
        };
        let Some(new) = self.read_one(value)? else { return Ok(()) };
        if matches!(change, Change::Replace(_)) {
            for index in &selected {
                // What the filter demands stays true of the element that takes the place of the selected one.
                self.elements[*index] = Value::Object(self.described().unwrap_or_default());
            }
        }
        self.overlay_selected(&selected, &new)
    }

    /// Writes sub-attributes into the selected elements, or into one that is made if there is none.
    fn overlay_selected(&mut self, selected: &[usize], new: &Value) -> Result<(), ScimError> {
        for index in selected {
            overlay(&mut self.elements[*index], new);
            self.touched.push(*index);
        }
        if selected.is_empty() {
            let mut element = Value::Object(self.describe()?);
            overlay(&mut element, new);
            // A value that contradicts its own path describes no element, unless it is there already: then the request is a
            // repeated one.
            let mut places = self.places();
            if !self.is_selected(&element) && places.get(&element).is_none() {
                return Err(no_target(self.target.attr));
            }
            self.add(element, &mut places);
        }
        Ok(())
    }

    /// Appends an element, or adds what it says to the one that is there already.
    fn add(&mut self, new: Value, places: &mut Places<'_>) {
        let index = if let Some(index) = places.get(&new) {
            overlay(&mut self.elements[index], &new);
            index
        } else {
            places.insert(self.elements.len(), &new);
            self.elements.push(new);
            self.elements.len() - 1
        };
        self.touched.push(index);
    }

    fn clear_sub(&mut self, sub: &Attribute, selected: &[usize]) {
        for index in selected {
            if let Value::Object(parts) = &mut self.elements[*index] {
                parts.shift_remove(sub.name);
            }
        }
        // An e-mail without address, or an address of which only the type is left, is none.
        keep(&mut self.elements, |index, element| {
            selected.binary_search(&index).is_err()
                || sub.name != "value"
                    && element.as_object().is_some_and(|parts| parts.keys().any(|key| says_more(key)))
        });
    }

    fn places(&self) -> Places<'static> {
        Places::of(self.target.attr, &self.elements)
    }

    fn is_selected(&self, element: &Value) -> bool {
        self.target.filter.as_ref().is_none_or(|filter| filter.matches_element(element))
    }

    /// The places of the elements that the path selects.
    fn selected(&self) -> Vec<usize> {
        (0..self.elements.len()).filter(|index| self.is_selected(&self.elements[*index])).collect()
    }

    /// The beginning of the element that is made where the path selects none.
    fn describe(&self) -> Result<Parts, ScimError> {
        let described = match &self.target.filter {
            // RFC 7644 §3.5.2.1, §3.5.2.3: what does not exist is added.
            None => Some(Parts::new()),
            Some(_) if self.dialect.create_on_unmatched_eq_filter() => self.described(),
            Some(_) => None,
        };
        described.ok_or_else(|| no_target(self.target.attr))
    }

    /// The sub-attributes that a plain `eq` filter demands; `None` for any other filter.
    fn described(&self) -> Option<Parts> {
        let equalities = self.target.filter.as_ref()?.as_equalities()?;
        equalities
            .into_iter()
            .map(|(target, operand)| target.sub.map(|sub| (sub.name.to_owned(), operand.to_value())))
            .collect()
    }

    fn read_all(&self, value: &Value) -> Result<Vec<Value>, ScimError> {
        Ok(match coerce(self.target.attr, value.clone(), self.dialect)? {
            Some(Value::Array(elements)) => elements,
            Some(single) => vec![single],
            None => Vec::new(),
        })
    }

    /// The one element that the value of a path with a filter describes.
    fn read_one(&self, value: &Value) -> Result<Option<Value>, ScimError> {
        let Value::Array(values) = value else { return coerce_element(self.target.attr, value.clone(), self.dialect) };
        match &values[..] {
            [] => Ok(None),
            [only] => coerce_element(self.target.attr, only.clone(), self.dialect),
            _ => Err(ScimError::invalid_value("A path with a filter takes one value, not several.")),
        }
    }

    /// The elements that a remove names in its value. Without any, nothing could be meant but a mistake.
    fn read_named(&self, value: &Value) -> Result<Vec<Value>, ScimError> {
        let name = self.target.attr.name;
        if !self.dialect.remove_members_by_value() {
            return Err(ScimError::invalid_value(format!(
                "A remove takes no value: use the path {name}[value eq \"...\"] to remove some."
            )));
        }
        let named = self.read_all(value)?;
        if named.is_empty() {
            return Err(ScimError::invalid_value(format!("The value names no element of \"{name}\" to remove.")));
        }
        Ok(named)
    }

    fn finish(mut self) -> Result<Option<Value>, ScimError> {
        if self.elements.len() > MAX_ELEMENTS {
            return Err(ScimError::invalid_value(format!(
                "\"{}\" can have at most {MAX_ELEMENTS} values.",
                self.target.attr.name
            )));
        }
        self.settle_primary();
        Ok(if self.elements.is_empty() { None } else { Some(Value::Array(self.elements)) })
    }

    /// One element at most is primary (RFC 7643 §2.4): the one that was made so last.
    fn settle_primary(&mut self) {
        let is_primary = |element: &Value| element.get("primary") == Some(&Value::Bool(true));
        let Some(winner) =
            self.touched.iter().copied().rfind(|index| self.elements.get(*index).is_some_and(is_primary))
        else {
            return;
        };
        for (index, element) in self.elements.iter_mut().enumerate() {
            if index != winner && is_primary(element) {
                element["primary"] = Value::Bool(false);
            }
        }
    }
}

fn keep(elements: &mut Vec<Value>, mut wanted: impl FnMut(usize, &Value) -> bool) {
    let mut index = 0;
    elements.retain(|element| {
        index += 1;
        wanted(index - 1, element)
    });
}

fn overlay(element: &mut Value, new: &Value) {
    match (element, new) {
        (Value::Object(parts), Value::Object(new)) => {
            parts.extend(new.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        (element, new) => *element = new.clone(),
    }
}

/// Whether a sub-attribute says more than what kind of element it is in.
fn says_more(name: &str) -> bool {
    !matches!(name, "type" | "primary")
}
