//! Reading of columns.

use std::str::FromStr;

use sea_orm::QueryResult;
use serde_json::{Map, Value};

use super::error::StoreError;

pub(super) trait RowExt {
    fn text(&self, column: &str) -> Result<String, StoreError>;
    fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError>;
    fn int(&self, column: &str) -> Result<i64, StoreError>;
    fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError>;

    /// A column that holds one of our own spellings (an id, a state).
    fn parsed<T: FromStr>(&self, table: &'static str, column: &str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| damaged(table, column, &text))
    }

    fn parsed_opt<T: FromStr>(&self, table: &'static str, column: &str) -> Result<Option<T>, StoreError> {
        self.text_opt(column)?.map(|text| text.parse().map_err(|_| damaged(table, column, &text))).transpose()
    }

    fn json<T: serde::de::DeserializeOwned>(&self, table: &'static str, column: &str) -> Result<T, StoreError> {
        from_json(table, column, &self.text(column)?)
    }

    fn json_opt<T: serde::de::DeserializeOwned>(
        &self,
        table: &'static str,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        self.text_opt(column)?.map(|text| from_json(table, column, &text)).transpose()
    }
}

impl RowExt for QueryResult {
    fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.try_get("", column)?)
    }

    fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.try_get("", column)?)
    }

    fn int(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.try_get("", column)?)
    }

    fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get("", column)?)
    }
}

fn damaged(table: &'static str, column: &str, text: &str) -> StoreError {
    let text: String = text.chars().take(40).collect();
    StoreError::Damaged { table, what: format!("{column} is '{text}'") }
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    table: &'static str,
    column: &str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Damaged { table, what: format!("{column} does not read as JSON: {error}") })
}

/// A document as it is stored.
pub(super) fn document_text(document: &Map<String, Value>) -> Result<String, StoreError> {
    to_json("user", document)
}

pub(super) fn to_json<T: serde::Serialize + ?Sized>(table: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged { table, what: error.to_string() })
}
