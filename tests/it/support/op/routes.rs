//! The endpoints of the test provider.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::{CLIENT_ID, CLIENT_SECRET, Op, Seen, State, UserInfo, encoded};

pub(super) fn router(op: Op) -> Router {
    Router::new().fallback(any(serve)).with_state(op)
}

/// Where a GET is sent on to.
pub(super) async fn get(url: &str) -> Option<String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(url.parse().unwrap()).await.unwrap();
    Some(answer.headers().get(header::LOCATION)?.to_str().unwrap().to_owned())
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

async fn serve(Shared(op): Shared<Op>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let form = pairs(std::str::from_utf8(&body).unwrap());
    let mut state = op.state();
    state.seen.push(Seen { path: path.clone(), authorization: authorization.clone(), form: form.clone() });
    if state.down.iter().any(|down| *down == path) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match path.strip_prefix(&state.path_prefix).unwrap_or(&path) {
        "/.well-known/openid-configuration" => json_answer(200, &Value::Object(state.metadata.clone())),
        "/keys" => {
            let keys: Vec<Value> = state.keys.iter().map(|key| key.jwk()).collect();
            let document = state.key_document.clone().unwrap_or_else(|| json!({ "keys": keys }));
            json_answer(200, &document)
        }
        "/authorize" => authorize(&mut state, &pairs(uri.query().unwrap_or_default())),
        "/token" => token(&mut state, authorization.as_deref(), &form),
        "/userinfo" => userinfo(&state, authorization.as_deref()),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn json_answer(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn authorize(state: &mut State, request: &BTreeMap<String, String>) -> Response {
    for (name, expected) in [("response_type", "code"), ("client_id", CLIENT_ID), ("code_challenge_method", "S256")] {
        if request.get(name).map(String::as_str) != Some(expected) {
            state.complaints.push(format!("{name} is {:?}", request.get(name)));
            return StatusCode::BAD_REQUEST.into_response();
        }
    }
    let code = encoded(state.ambient.bytes::<16>());
    state.codes.insert(code.clone(), request.clone());
    let mut answer = Map::new();
    answer.insert("code".to_owned(), json!(code));
    answer.insert("state".to_owned(), json!(request.get("state")));
    if state.metadata.get("authorization_response_iss_parameter_supported") == Some(&json!(true)) {
        answer.insert("iss".to_owned(), json!(state.issuer));
    }
    answer.extend(state.answer.clone());
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in answer.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
        query.append_pair(name, value);
    }
    let location = format!("{}?{}", request["redirect_uri"], query.finish());
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn token(state: &mut State, authorization: Option<&str>, form: &BTreeMap<String, String>) -> Response {
    if let Some((status, body)) = &state.token_answer {
        let status = StatusCode::from_u16(*status).unwrap();
        return (status, [(header::CONTENT_TYPE, "application/json")], body.clone()).into_response();
    }
    let no = |state: &mut State, error: &str, why: String| {
        state.complaints.push(why);
        json_answer(400, &json!({"error": error, "error_description": "the provider says no"}))
    };
    if let Err(why) = client_is_known(state, authorization, form) {
        return no(state, "invalid_client", why);
    }
    let Some(request) = form.get("code").and_then(|code| state.codes.remove(code)) else {
        return no(state, "invalid_grant", "the code is unknown or used".to_owned());
    };
    let verifier = form.get("code_verifier").map(String::as_str).unwrap_or_default();
    let challenge = encoded(Sha256::digest(verifier));
    if verifier.len() < 43 || request.get("code_challenge") != Some(&challenge) {
        return no(state, "invalid_grant", "the verifier does not fit".to_owned());
    }
    if form.get("redirect_uri") != request.get("redirect_uri") {
        return no(state, "invalid_grant", "another redirect URI".to_owned());
    }
    let access_token = encoded(state.ambient.bytes::<16>());
    let mut draft = state.draft(Value::Object(state.person.clone()));
    if let Some(nonce) = request.get("nonce") {
        draft.set("nonce", nonce.as_str());
    }
    if request.contains_key("max_age") && !draft.claims.contains_key("auth_time") {
        draft.set("auth_time", state.now());
    }
    draft.set("at_hash", encoded(&Sha256::digest(&access_token)[..16]));
    if let Some(forge) = state.forge.clone() {
        forge(&mut draft);
    }
    let id_token = draft.sign(&state.current);
    json_answer(
        200,
        &json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}),
    )
}

fn client_is_known(state: &State, authorization: Option<&str>, form: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(assertion) = form.get("client_assertion") {
        let keys = state.client_keys.as_ref().ok_or("no client keys")?;
        return check_assertion(assertion, keys, &state.issuer, state.now());
    }
    let (id, secret) = match authorization.and_then(|value| value.strip_prefix("Basic ")) {
        Some(basic) => {
            let text = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
            let (id, secret) = text.split_once(':').ok_or("no colon")?;
            let plain = |text: &str| pairs(&format!("x={text}"))["x"].clone();
            (plain(id), plain(secret))
        }
        None => {
            (form.get("client_id").cloned().unwrap_or_default(), form.get("client_secret").cloned().unwrap_or_default())
        }
    };
    if id == CLIENT_ID && secret == CLIENT_SECRET { Ok(()) } else { Err(format!("the client {id:?} is not known")) }
}

/// RFC 7523 §3, with the library that the module does not use for this.
fn check_assertion(assertion: &str, keys: &Value, issuer: &str, now: i64) -> Result<(), String> {
    let parts: Vec<&str> = assertion.split('.').collect();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    let claims: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).ok_or("no such key")?;
    let number = |name: &str| decode(key[name].as_str().unwrap());
    let public = aws_lc_rs::signature::RsaPublicKeyComponents { n: number("n"), e: number("e") };
    let signed = &assertion[..parts[0].len() + 1 + parts[1].len()];
    public
        .verify(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(parts[2]))
        .map_err(|_| "the signature is wrong")?;
    let right = header["alg"] == "RS256"
        && claims["iss"] == CLIENT_ID
        && claims["sub"] == CLIENT_ID
        && claims["aud"] == format!("{issuer}/token")
        && claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16)
        && claims["exp"].as_i64().is_some_and(|exp| exp > now && exp <= now + 600);
    if right { Ok(()) } else { Err(format!("the assertion says {claims}")) }
}

fn userinfo(state: &State, authorization: Option<&str>) -> Response {
    if !authorization.is_some_and(|value| value.starts_with("Bearer ")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match &state.userinfo {
        UserInfo::Json(claims) => json_answer(200, claims),
        UserInfo::Signed(draft) => {
            let token = draft().sign(&state.current);
            ([(header::CONTENT_TYPE, "application/jwt")], token).into_response()
        }
        UserInfo::Status(status) => (StatusCode::from_u16(*status).unwrap(), Body::empty()).into_response(),
    }
}
