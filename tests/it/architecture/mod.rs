//! The direction of dependencies is a test: docs/ARCHITECTURE.md says why it points this way.
//!
//! The sources are read as text, without comments and literals. That is coarser than the compiler's view and needs no
//! build; what it finds are names of modules and crates, which is what the rules are about.

mod code;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use code::{Import, Token, imports, tokens, without_comments_and_literals};

/// A part of `src` and what it may use besides itself. `a::b` allows that path only.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
    /// No async, no input or output, no clock.
    pure: bool,
}

const fn layer(name: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { name, may_use, pure: false }
}

const fn pure(name: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { name, may_use, pure: true }
}

/// The map. `app`, `cli` and the program itself wire everything and may name everything.
const LAYERS: &[Layer] = &[
    layer("base", &[]),
    pure("domain", &["base"]),
    pure("scim", &["base"]),
    pure("access", &["base", "domain", "scim"]),
    layer("config", &["base"]),
    layer("telemetry", &["config"]),
    layer("metrics", &["base"]),
    layer("net", &["base"]),
    layer("mail", &["base"]),
    layer("sso", &["base", "domain", "net"]),
    layer("taskrouter", &["base", "domain", "net"]),
    layer("store", &["base", "config", "domain", "scim"]),
    layer("service", &["base", "domain", "access", "scim", "sso", "store", "mail"]),
    layer("reconcile", &["base", "domain", "access", "store", "taskrouter"]),
    layer("web", &["base", "domain", "scim", "sso", "service"]),
    layer("app", &["*"]),
    layer("cli", &["*"]),
    layer("lib", &["*"]),
    layer("main", &["*"]),
];

/// Parts inside a layer that are pure though the layer is not.
const PURE_PARTS: &[&str] = &["reconcile/plan", "reconcile/inventory/classify"];

/// Crates that only these parts may name.
const OWNED_CRATES: &[(&str, &[&str])] = &[
    ("sea_orm", &["store"]),
    ("sea_orm_migration", &["store"]),
    ("sqlx", &["store"]),
    ("entity", &["store"]),
    ("migration", &["store"]),
    ("axum", &["web", "taskrouter/stand_in"]),
    ("hyper", &["web", "taskrouter/stand_in"]),
    ("hyper_util", &["web", "taskrouter/stand_in"]),
    ("prometheus_client", &["metrics"]),
    ("reqwest", &["net"]),
    ("hickory_resolver", &["net"]),
    ("openidconnect", &["sso/oidc"]),
    ("lettre", &["mail"]),
    // Messages of strangers are read in one place, by one parser.
    ("bergshamra", &["sso/saml"]),
    ("uppsala", &["sso/saml"]),
    ("aws_lc_rs", &["sso"]),
    ("clap", &["cli", "main"]),
];

/// What pure code may not name.
const IMPURE_WORDS: &[&str] = &["async", "await", "tokio", "futures", "SystemTime"];
const IMPURE_STD: &[&str] = &["env", "fs", "io", "net", "process", "thread", "time::Instant", "time::SystemTime"];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Judges one file; `file` is its path below `src`, with slashes.
fn violations(file: &str, text: &str) -> Vec<Violation> {
    let code = without_comments_and_literals(text);
    let first = file.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let mut found = Vec::new();
    let mut refuse = |at: usize, message: String| {
        let line = code[..at].matches('\n').count() + 1;
        found.push(Violation { file: file.to_owned(), line, message });
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == first) else {
        refuse(0, format!("'{first}' is not in the map of layers: say what it may use"));
        return found;
    };
    for import in imports(&code, depth(file)) {
        if !allowed(layer, &import) {
            refuse(import.at, format!("'{}' may not use '{}'", layer.name, import.path));
        }
    }
    for token in tokens(&code) {
        let owner = OWNED_CRATES.iter().find(|(name, _)| *name == token.text);
        if let Some((name, owners)) = owner.filter(|_| token.names_a_crate)
            && !owners.iter().any(|owner| is_part(file, owner))
        {
            refuse(token.at, format!("only {} may name the crate '{name}'", owners.join(" and ")));
        }
        if layer.pure || PURE_PARTS.iter().any(|part| is_part(file, part)) {
            for impure in impurities(&token) {
                refuse(token.at, format!("'{impure}' in a part without async, input, output and clock"));
            }
        }
    }
    found
}

fn allowed(layer: &Layer, import: &Import) -> bool {
    let top = import.path.split("::").next().unwrap_or_default();
    // Items of the crate root (macros) are not a layer.
    let is_layer = LAYERS.iter().any(|other| other.name == top && other.name != "lib");
    let path_matches = |allowed: &&str| {
        *allowed == "*"
            || import.path.strip_prefix(*allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    !is_layer || top == layer.name || layer.may_use.iter().any(path_matches)
}

fn impurities(token: &Token<'_>) -> Vec<String> {
    let word = IMPURE_WORDS.contains(&token.text).then(|| token.text.to_owned());
    let is_impure = |path: &&String| IMPURE_STD.iter().any(|impure| is_below(path, impure));
    let of_std = token.of_std.iter().filter(is_impure).map(|path| format!("std::{path}"));
    word.into_iter().chain(of_std).collect()
}

/// Whether a path is that module or something in it.
fn is_below(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_part(file: &str, part: &str) -> bool {
    file.strip_prefix(part).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// How many modules a file is below the crate root: 1 for `scim/mod.rs` and `scim.rs`, 2 for `scim/filter.rs`.
fn depth(file: &str) -> usize {
    let parts = file.split('/').count();
    if file.ends_with("/mod.rs") { parts - 1 } else { parts }
}

fn sources(root: &Path, below: &str, into: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            sources(root, &path, into)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            into.push((path, fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

#[test]
fn dependencies_point_one_way() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files).unwrap();
    assert!(files.iter().any(|(path, _)| path == "main.rs"), "the sources were not found");
    let mut found: Vec<Violation> = files.iter().flat_map(|(path, text)| violations(path, text)).collect();
    found.sort();
    let report: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "\n{}", report.join("\n"));
}

/// The message of the only violation.
/// SQLite prepares a statement anew each time another value is bound to a bare `LIMIT ?`: `Sql::push_limit` writes a sum.
#[test]
fn no_limit_is_bound_bare() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files).unwrap();
    let bare =
        |text: &str| text.split("LIMIT ?").skip(1).any(|rest| !rest.starts_with(" + 0") && !rest.starts_with('`'));
    assert!(bare("ORDER BY id LIMIT ?") && !bare("LIMIT ? + 0"));
    let found: Vec<_> = files.iter().filter(|(_, text)| bare(text)).map(|(path, _)| path).collect();
    assert!(found.is_empty(), "use Sql::push_limit in {found:?}");
}

fn only(file: &str, text: &str) -> String {
    let found = violations(file, text);
    assert_eq!(found.len(), 1, "{file}: {text}: {found:?}");
    found[0].to_string()
}

#[test]
fn a_forbidden_arrow_is_found() {
    assert_eq!(
        only("scim/filter.rs", "//! Doc.\nuse crate::store::Store;"),
        "src/scim/filter.rs:2: 'scim' may not use 'store::Store'"
    );
    for (file, text) in [
        ("domain/role.rs", "fn f() { crate::service::people::list(); }"),
        ("domain/mod.rs", "use super::store::Store;"),
        ("domain/role.rs", "use super::super::store::Store;"),
        ("web/scim/users.rs", "use crate::{base::{Slug, fold as f}, store::{read}};"),
        ("service/people.rs", "use crate::web::Page;"),
        ("service/people.rs", "pub(crate) use crate::taskrouter as t;"),
        ("taskrouter/mod.rs", "impl From<crate::store::Row> for Worker {}"),
        ("base/mod.rs", "macro_rules! m { () => { $crate::domain::Role::Agent } }"),
    ] {
        only(file, text);
    }
}

#[test]
fn a_crate_in_the_wrong_place_is_found() {
    assert_eq!(
        only("service/people.rs", "use sea_orm::EntityTrait;"),
        "src/service/people.rs:1: only store may name the crate 'sea_orm'"
    );
    for (file, text) in [
        ("reconcile/driver.rs", "let row: ::entity::worker::Model = read();"),
        ("service/mod.rs", "use {sqlx::Row, std::fmt};"),
        ("app.rs", "axum::serve(listener, router);"),
        ("taskrouter/twilio/mod.rs", "type C = reqwest::Client;"),
        ("taskrouter/stand_in_client.rs", "use axum::Router;"),
        ("sso/oidc.rs", "use reqwest as http;"),
        ("service/mail.rs", "use lettre::Message;"),
        ("web/mod.rs", "extern crate sqlx;"),
    ] {
        only(file, text);
    }
}

#[test]
fn impurity_is_found() {
    assert_eq!(
        only("access/rule.rs", "use std::fs;"),
        "src/access/rule.rs:1: 'std::fs' in a part without async, input, output and clock"
    );
    for (file, text) in [
        ("scim/patch.rs", "async fn f() {}"),
        ("scim/patch.rs", "use std::time::Instant;"),
        ("scim/patch.rs", "use std::time::{Duration, Instant as I};"),
        ("domain/worker.rs", "fn now(t: SystemTime) {}"),
        ("reconcile/plan.rs", "use tokio::sync::Notify;"),
        ("reconcile/plan/tests.rs", "use std::{collections::BTreeMap, io};"),
    ] {
        only(file, text);
    }
}

#[test]
fn a_new_folder_needs_a_row() {
    assert!(only("payroll/mod.rs", "").contains("'payroll' is not in the map of layers"));
}

#[test]
fn what_is_allowed_is_left_alone() {
    for (file, text) in [
        ("scim/filter.rs", "// use crate::store;\n/* crate::web /* crate::app */ */ const A: &str = \"crate::store\";"),
        ("scim/filter.rs", "const A: &str = r#\"a \" crate::store\"#; const B: char = '\"'; use crate::base::fold;"),
        ("scim/filter.rs", "fn f<'a>(x: &'a str) -> &'a str { x } // ' crate::store"),
        ("scim/filter/tests.rs", "use super::super::super::base::fold;"),
        ("scim/mod.rs", "mod tests { use super::filter::Filter; }"),
        ("scim/filter/operand.rs", "use std::{time::{Duration}, fmt}; enum Operand { Instant(i64) }"),
        ("store/mod.rs", "use crate::{base::Slug, scim::filter::Bound}; use sea_orm::EntityTrait; use ::entity::user;"),
        ("taskrouter/stand_in/http/mod.rs", "use axum::Router;"),
        ("taskrouter/stand_in.rs", "use axum::Router;"),
        ("service/people.rs", "let entity = row.entity; let migration = 3; fn axum() {}"),
        ("reconcile/driver.rs", "async fn f() { tokio::task::yield_now().await }"),
        ("app.rs", "use crate::web; use crate::store::Store;"),
    ] {
        assert_eq!(violations(file, text), [], "{file}: {text}");
    }
}
