//! Which daemon a command asks, and as whom.

use clap::Args;
use orzo_tuning::client::Client;

/// Options of every command that asks the API.
#[derive(Debug, Args)]
pub struct ApiArgs {
    /// The daemon's API, with its prefix if it has one.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8041")]
    http: String,
    /// Who asks: NAME, or NAME:PASSWORD where a front server wants one.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
}

impl ApiArgs {
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.http, &self.user)
    }
}

/// A segment of a path: whatever a name holds.
pub(crate) fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_segment() {
        assert_eq!(segment("app.hits|c"), "app.hits%7Cc");
        assert_eq!(segment("a/b?é"), "a%2Fb%3F%C3%A9");
    }
}
