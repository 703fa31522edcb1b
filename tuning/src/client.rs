//! The daemon's API as our own commands use it: one request after the other, JSON, and errors that say what to do.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries asked for at a time; what a daemon allows by default.
const PAGE: usize = 1000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers. Start the daemon, or name another address.
    #[error(
        "no answer from {url}: {why}; is the daemon running there? Another address is named with --http URL"
    )]
    Unreachable {
        /// Whole.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The daemon does not want to. Ask for something else.
    #[error("{method} {path}: {status}: {message}")]
    Refused {
        /// Of the request.
        method: &'static str,
        /// Of the request.
        path: String,
        /// Of the answer.
        status: u16,
        /// What the daemon says.
        message: String,
    },
    /// The answer is not what the daemon would say: somebody else listens there.
    #[error("{url} does not answer as the daemon does: {why}")]
    Foreign {
        /// Whole.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A daemon to ask.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: String,
}

impl Client {
    /// For an address such as `http://127.0.0.1:8041`, prefix included; `user` may be `name` or `name:password`.
    pub fn new(url: &str, user: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let colon = if user.contains(':') { "" } else { ":" };
        let authorization = format!("Basic {}", STANDARD.encode(format!("{user}{colon}")));
        Client { agent: config.build().into(), base: url.trim_end_matches('/').to_owned(), authorization }
    }

    /// Status and body, whatever they are.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub fn send(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), Error> {
        let url = format!("{}{path}", self.base);
        let failed = |why: ureq::Error| Error::Unreachable { url: self.base.clone(), why: why.to_string() };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("Authorization", &self.authorization)
            .header("Accept", "application/json, text/plain;q=0.5")
            .header("Content-Type", "application/json");
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(text).map_err(|why| failed(why.into()))?;
        let response = self.agent.run(request).map_err(failed)?;
        let status = response.status().as_u16();
        // A list of a million metrics is long, and it is our own daemon that we read from.
        let text = response.into_body().with_config().limit(u64::MAX).read_to_string().map_err(failed)?;
        Ok((status, text))
    }

    /// The body of an answer that must be a success.
    ///
    /// # Errors
    /// All.
    pub fn text(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<String, Error> {
        let (status, text) = self.send(method, path, body)?;
        if (200..300).contains(&status) {
            return Ok(text);
        }
        Err(Error::Refused { method, path: path.to_owned(), status, message: message(&text) })
    }

    /// What is at a path.
    ///
    /// # Errors
    /// All.
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        let text = self.text("GET", path, None)?;
        self.json(path, &text)
    }

    /// The answer to something posted.
    ///
    /// # Errors
    /// All.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let text = self.text("POST", path, Some(body))?;
        if text.is_empty() { Ok(Value::Null) } else { self.json(path, &text) }
    }

    /// Every entry of a list that comes in pages, in order of ids; `path` has no arguments but those that pages keep.
    ///
    /// # Errors
    /// All, or those of `visit`.
    pub fn each<E: From<Error>>(
        &self,
        path: &str,
        mut visit: impl FnMut(Value) -> Result<(), E>,
    ) -> Result<(), E> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut marker = String::new();
        loop {
            let page = self.get(&format!("{path}{joint}limit={PAGE}&sort=id:asc{marker}"))?;
            let Value::Array(page) = page else { return Ok(()) };
            // A daemon may allow less than was asked for: the end is an empty page.
            let Some(last) = page.last().and_then(|entry| entry["id"].as_str()) else { return Ok(()) };
            marker = format!("&marker={last}");
            page.into_iter().try_for_each(&mut visit)?;
        }
    }

    fn json(&self, path: &str, text: &str) -> Result<Value, Error> {
        let foreign = |why: serde_json::Error| Error::Foreign {
            url: format!("{}{path}", self.base),
            why: why.to_string(),
        };
        serde_json::from_str(text).map_err(foreign)
    }
}

/// What an error's body says, shortened.
fn message(text: &str) -> String {
    let said = serde_json::from_str::<Value>(text).ok();
    let said = said.as_ref().and_then(|error| match &error["description"] {
        Value::String(description) => Some(description.clone()),
        Value::Null => error["title"].as_str().map(str::to_owned),
        other => Some(other["detail"].as_str().map_or_else(|| other.to_string(), str::to_owned)),
    });
    said.unwrap_or_else(|| text.to_owned()).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_says_what_to_do() {
        let error = Client::new("http://127.0.0.1:1/", "admin").get("/v1/metric").unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1:") && error.contains("--http"), "{error}");
    }

    #[test]
    fn messages_are_taken_out_of_their_json() {
        assert_eq!(message(r#"{"title": "Not Found", "description": "no such"}"#), "no such");
        assert_eq!(message(r#"{"title": "Not Found"}"#), "Not Found");
        assert_eq!(message(r#"{"description": {"cause": "x", "detail": "bad y"}}"#), "bad y");
        assert_eq!(message("plain"), "plain");
    }
}
