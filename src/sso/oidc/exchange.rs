//! Requests to the provider, made by `openidconnect` and sent by our client.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyAdditionalClaims,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdToken, IssuerUrl, JsonWebKeySet, LoginHint, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::flow::{Ask, Flow};
use super::party::Client;
use super::provider::{Fetcher, Metadata, no_answer};
use super::settings::{ClientAuth, Credential, Preset};
use super::words::{refuse, shown};
use crate::base::{Ambient, Timestamp};
use crate::net::{Body, HttpError, Request};
use crate::sso::{Check, SsoError};

type CrateClient<HasAuthUrl = EndpointSet, HasTokenUrl = EndpointSet> = openidconnect::Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    HasAuthUrl,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    HasTokenUrl,
    EndpointNotSet,
>;

/// The answer of the token endpoint. The ID token stays as it is: it is read only together with its signature.
#[derive(Clone, Serialize, Deserialize)]
struct TokenAnswer {
    access_token: AccessToken,
    #[serde(deserialize_with = "kind_in_any_case")]
    token_type: CoreTokenType,
    id_token: Option<String>,
}

/// The name of a kind of token has no case (RFC 6749 §5.1).
fn kind_in_any_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CoreTokenType, D::Error> {
    let name = String::deserialize(deserializer)?.to_ascii_lowercase();
    Ok(if name == "bearer" { CoreTokenType::Bearer } else { CoreTokenType::Extension(name) })
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer").finish_non_exhaustive()
    }
}

impl OAuth2TokenResponse for TokenAnswer {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }
    fn token_type(&self) -> &CoreTokenType {
        &self.token_type
    }
    fn expires_in(&self) -> Option<Duration> {
        None
    }
    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

type CrateIdToken =
    IdToken<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

impl TokenResponse<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>
    for TokenAnswer
{
    /// None: the crate's type reads the claims before the signature is checked, and refuses valid ones.
    fn id_token(&self) -> Option<&CrateIdToken> {
        None
    }
}

/// What the token endpoint gave.
pub(super) struct Tokens {
    pub(super) id_token: SecretString,
    pub(super) access_token: SecretString,
}

fn crate_client(client: &Client<'_>, metadata: &Metadata, redirect_uri: &str) -> Result<CrateClient, SsoError> {
    let wrong =
        |error: url::ParseError| refuse(Check::Configuration, format!("a URL of the connection is wrong: {error}"));
    let issuer = IssuerUrl::new(client.settings.issuer.clone()).map_err(wrong)?;
    let id = ClientId::new(client.settings.client_id.clone());
    let made = CrateClient::<EndpointNotSet, EndpointNotSet>::new(id, issuer, JsonWebKeySet::default())
        .set_auth_uri(AuthUrl::from_url(metadata.authorization_endpoint.clone()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
        .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(wrong)?);
    Ok(made)
}

/// The address for the browser (OpenID Connect Core 1.0 §3.1.2.1).
pub(super) fn authorization_url(
    client: &Client<'_>,
    metadata: &Metadata,
    flow: &Flow,
    ask: &Ask,
) -> Result<String, SsoError> {
    let made = crate_client(client, metadata, &flow.redirect_uri)?;
    let verifier = PkceCodeVerifier::new(flow.pkce_verifier.clone());
    let (state, nonce) = (CsrfToken::new(flow.state.clone()), Nonce::new(flow.nonce.clone()));
    let mut request = made
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .add_scopes(client.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new));
    if let Some(hint) = &ask.login_hint {
        request = request.set_login_hint(LoginHint::new(hint.clone()));
    }
    if let Some(max_age) = ask.max_age {
        request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(max_age);
    }
    if client.settings.preset() == Preset::Google {
        let domain = match &client.settings.hosted_domains[..] {
            [one] => one.as_str(),
            _ => "*",
        };
        request = request.add_extra_param("hd", domain);
    }
    Ok(request.url().0.to_string())
}

/// Exchanges the code (RFC 6749 §4.1.3, RFC 7636 §4.5).
pub(super) async fn exchange(
    fetcher: &Fetcher,
    client: &Client<'_>,
    metadata: &Metadata,
    flow: &Flow,
    code: &str,
    (ambient, now): (&Ambient, Timestamp),
) -> Result<Tokens, SsoError> {
    let mut made = crate_client(client, metadata, &flow.redirect_uri)?.set_auth_type(AuthType::RequestBody);
    let mut assertion = None;
    match (client.settings.client_auth, client.credential) {
        (ClientAuth::PrivateKeyJwt, Credential::Key(key)) => {
            let audience = metadata.token_endpoint.as_str();
            assertion = Some(key.assertion(&client.settings.client_id, audience, ambient, now)?);
        }
        (ClientAuth::PrivateKeyJwt, _) => {
            return Err(refuse(Check::Configuration, "private_key_jwt is set, and there is no key"));
        }
        (_, Credential::Key(_)) => {
            return Err(refuse(Check::Configuration, "there is a key, and private_key_jwt is not set"));
        }
        (_, Credential::Nothing) => {}
        (method, Credential::Secret(secret)) => {
            let basic = uses_basic(method, &metadata.token_endpoint_auth_methods_supported);
            made = made
                .set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
                .set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody });
        }
    }
    let mut request = made
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(flow.pkce_verifier.clone()));
    if let Some(assertion) = &assertion {
        request = request
            .add_extra_param("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .add_extra_param("client_assertion", assertion.expose_secret());
    }
    let status = Arc::new(AtomicU16::new(0));
    // A future that borrows would be tied to one lifetime, and no handler could wait for it (rust-lang/rust#102211).
    let ask = |request| {
        let (fetcher, status) = (fetcher.clone(), Arc::clone(&status));
        async move { send(&fetcher, request, &status).await }
    };
    let answer = request.request_async(&ask).await;
    let answer = answer.map_err(|error| refused(&error, metadata, status.load(Ordering::Relaxed)))?;
    if answer.token_type != CoreTokenType::Bearer {
        return Err(refuse(Check::Malformed, "the token endpoint gave an access token that is no bearer token"));
    }
    let Some(id_token) = answer.id_token else {
        return Err(refuse(Check::Malformed, "the token endpoint gave no ID token; is the scope openid allowed?"));
    };
    let access_token = SecretString::from(answer.access_token.secret().clone());
    Ok(Tokens { id_token: SecretString::from(id_token), access_token })
}

fn uses_basic(method: ClientAuth, announced: &[String]) -> bool {
    let takes = |name: &str| announced.iter().any(|method| method == name);
    match method {
        ClientAuth::ClientSecretPost => false,
        ClientAuth::ClientSecret => takes("client_secret_basic") || !takes("client_secret_post"),
        ClientAuth::ClientSecretBasic | ClientAuth::PrivateKeyJwt => true,
    }
}

async fn send(fetcher: &Fetcher, request: HttpRequest, status: &AtomicU16) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| HttpError::Refused("not a URL"))?;
    let mut ours = Request::to_identity_provider(parts.method, url, fetcher.destination);
    let mut content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    for (name, mut value) in parts.headers {
        match name {
            Some(name) if name == http::header::CONTENT_TYPE => content_type = value,
            Some(name) => {
                value.set_sensitive(true);
                ours = ours.header(name, value);
            }
            None => {}
        }
    }
    let answer = fetcher.http.send(ours.body(Body::Other(content_type, body.into()))).await?;
    status.store(answer.status, Ordering::Relaxed);
    // An error of OAuth has status 400 or 401 (RFC 6749 §5.2); everything else is no answer.
    if !matches!(answer.status, 200 | 400..=499) {
        return Err(HttpError::Broken(format!("status {}", answer.status)));
    }
    let mut response = http::Response::new(answer.body.to_vec());
    *response.status_mut() =
        StatusCode::from_u16(answer.status).map_err(|_| HttpError::Broken("an impossible status".to_owned()))?;
    *response.headers_mut() =
        answer.headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect::<HeaderMap>();
    Ok(response)
}

fn refused(
    error: &RequestTokenError<HttpError, StandardErrorResponse<CoreErrorResponseType>>,
    metadata: &Metadata,
    status: u16,
) -> SsoError {
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let description = answer.error_description().map(|text| format!(": {}", shown(text))).unwrap_or_default();
            let error = shown(answer.error().as_ref());
            refuse(Check::Status, format!("the token endpoint answered {error}{description}"))
        }
        RequestTokenError::Request(error) => {
            no_answer("token endpoint", &shown(metadata.token_endpoint.as_str()), error)
        }
        // The texts of the crate can hold parts of the answer, and with them tokens.
        RequestTokenError::Parse(error, _) => {
            let place = error.path();
            let detail = format!("the token endpoint's answer, of status {status}, cannot be read at \"{place}\"");
            refuse(Check::Malformed, detail)
        }
        RequestTokenError::Other(text) => refuse(Check::Malformed, format!("the token endpoint: {}", shown(text))),
    }
}
