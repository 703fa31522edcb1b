//! From headers to the principal who asks.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};

use crate::error::{ApiError, Outcome};

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The principal: what objects carry as their `creator`.
    pub creator: String,
    /// Only from tokens.
    pub user_id: Option<String>,
    /// Only from tokens, and then never absent: no project is the empty one.
    pub project_id: Option<String>,
    /// Only from tokens.
    pub domain_id: Option<String>,
    /// In lower case.
    pub roles: Vec<String>,
}

impl Identity {
    /// A principal named by a user name alone; `admin` has the role of that name, others have none.
    fn named(user: String) -> Self {
        let roles = if user == "admin" { vec!["admin".to_owned()] } else { Vec::new() };
        Identity { creator: user, roles, ..Identity::default() }
    }

    /// A principal known by a user and a project, each of which may be missing.
    pub fn from_token(user_id: Option<String>, project_id: Option<String>, roles: &[&str]) -> Self {
        let project = project_id.unwrap_or_default();
        let creator = format!("{}:{project}", user_id.as_deref().unwrap_or(""));
        let roles = roles.iter().map(|role| role.trim().to_lowercase()).collect();
        Identity { creator, user_id, project_id: Some(project), domain_id: None, roles }
    }
}

/// A token was not accepted.
#[derive(Clone, Debug)]
pub struct TokenRefused {
    /// Where to get a better one.
    pub identity_url: String,
}

/// Asks an identity service what a token stands for. May block.
pub trait TokenCheck: Send + Sync {
    /// Who the bearer of the token is; no token at all is refused too.
    fn check(&self, token: Option<&str>) -> Result<Identity, TokenRefused>;
}

/// How principals are told.
#[derive(Clone, Default)]
pub enum AuthMode {
    /// The user of `Authorization: Basic`; the password is not looked at.
    #[default]
    Basic,
    /// The header of this name, set by a front server that is trusted.
    RemoteUser(HeaderName),
    /// `X-Auth-Token`, checked by an identity service (Keystone).
    Token(Arc<dyn TokenCheck>),
}

impl AuthMode {
    /// Whether principals come with users and projects, and everything below `/v1` needs one.
    pub fn has_projects(&self) -> bool {
        matches!(self, AuthMode::Token(_))
    }

    /// Who sent these headers. Errors: 401.
    pub fn identify(&self, headers: &HeaderMap) -> Outcome<Identity> {
        match self {
            AuthMode::Basic => basic_user(headers).map(Identity::named).ok_or_else(challenge),
            AuthMode::RemoteUser(header) => {
                let user = headers.get(header).ok_or_else(|| ApiError::plain(StatusCode::UNAUTHORIZED))?;
                Ok(Identity::named(user.as_bytes().iter().map(|byte| char::from(*byte)).collect()))
            }
            AuthMode::Token(check) => {
                let token = headers.get("x-auth-token").and_then(|token| token.to_str().ok());
                check.check(token).map_err(|refused| refused.into())
            }
        }
    }
}

fn basic_user(headers: &HeaderMap) -> Option<String> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    credentials.split_once(':').map(|(user, _)| user.to_owned())
}

fn challenge() -> ApiError {
    ApiError::plain(StatusCode::UNAUTHORIZED).with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))
}

impl From<TokenRefused> for ApiError {
    fn from(refused: TokenRefused) -> Self {
        let challenge = HeaderValue::from_str(&format!("Keystone uri=\"{}\"", refused.identity_url));
        let challenge = challenge.unwrap_or(HeaderValue::from_static("Keystone"));
        ApiError::token_refused().with_header(WWW_AUTHENTICATE, challenge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(value: &'static str) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        let identity = AuthMode::Basic.identify(&headers);
        identity.map(|identity| identity.creator).map_err(|error| error.status().as_u16())
    }

    #[test]
    fn basic_names_the_user() {
        assert_eq!(basic("Basic Zm9vYmFyOg=="), Ok("foobar".to_owned()));
        assert_eq!(basic("bAsIc YWRtaW46c2VjcmV0"), Ok("admin".to_owned()));
        for bad in ["Bearer Zm9vYmFyOg==", "Basic", "Basic !!!", "Basic Zm9vYmFy", "Basic /zo=", ""] {
            assert_eq!(basic(bad), Err(401), "{bad}");
        }
        assert_eq!(AuthMode::Basic.identify(&HeaderMap::new()).unwrap_err().status().as_u16(), 401);
    }

    #[test]
    fn only_admin_is_admin() {
        assert_eq!(Identity::named("admin".to_owned()).roles, ["admin"]);
        assert!(Identity::named("Admin".to_owned()).roles.is_empty());
    }

    #[test]
    fn front_servers_name_the_user_in_latin_1() {
        let mode = AuthMode::RemoteUser(HeaderName::from_static("x-remote-user"));
        let mut headers = HeaderMap::new();
        assert_eq!(mode.identify(&headers).unwrap_err().status().as_u16(), 401);
        headers.insert("x-remote-user", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        assert_eq!(mode.identify(&headers).unwrap().creator, "café");
    }

    #[test]
    fn tokens_make_pairs() {
        let identity = Identity::from_token(Some("u".to_owned()), None, &[" Admin", "member"]);
        assert_eq!(identity.creator, "u:");
        assert_eq!(identity.project_id.as_deref(), Some(""));
        assert_eq!(identity.roles, ["admin", "member"]);
    }
}
