//! Style, icon and the one script: part of the program, at addresses that change with their content, so that browsers may keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use crate::base::token_hash;

/// A file that pages refer to.
struct Asset {
    path: String,
    kind: &'static str,
    body: &'static str,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")));
static ICON: LazyLock<Asset> = LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

static SUBMIT: LazyLock<Asset> =
    LazyLock::new(|| asset("submit", "js", "text/javascript; charset=utf-8", include_str!("assets/submit.js")));

fn asset(name: &str, extension: &str, kind: &'static str, body: &'static str) -> Asset {
    let hash: String = token_hash(body).chars().take(16).collect();
    Asset { path: format!("/assets/{name}.{hash}.{extension}"), kind, body }
}

/// Where the style sheet is.
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &ICON.path
}

/// Where the script is that sends a form on.
pub(super) fn submit() -> &'static str {
    &SUBMIT.path
}

/// Answers an asset by its full name.
pub(super) async fn get(Path(name): Path<String>) -> Response {
    let wanted = format!("/assets/{name}");
    let Some(asset) = [&*STYLE, &*ICON, &*SUBMIT].into_iter().find(|asset| asset.path == wanted) else {
        return (StatusCode::NOT_FOUND, "").into_response();
    };
    let mut response = asset.body.into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
