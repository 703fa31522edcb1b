//! The `Accept` header: whether JSON will do, and in which form to say that something went wrong.

use hyper::header::{ACCEPT, HeaderMap};

/// How an error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    /// `application/json`
    Json,
    /// `text/html`
    Html,
    /// `text/plain`
    Plain,
}

/// What a client accepts. An absent or unreadable header accepts everything.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    ranges: Vec<Range>,
}

#[derive(Clone, Debug)]
struct Range {
    main: String,
    sub: String,
    /// Thousandths.
    quality: u32,
}

impl Accept {
    /// Reads the header, all its lines.
    pub fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
        Accept { ranges: lines.flat_map(|line| line.split(',')).filter_map(Range::parse).collect() }
    }

    /// Whether an answer in JSON is welcome.
    pub fn admits_json(&self) -> bool {
        self.ranges.is_empty() || self.quality("application", "json") > 0
    }

    /// How to tell an error: HTML wins a tie, and who names neither gets plain text.
    pub fn error_form(&self) -> ErrorForm {
        let (html, json) = (self.quality("text", "html"), self.quality("application", "json"));
        if json > html {
            ErrorForm::Json
        } else if html > 0 {
            ErrorForm::Html
        } else {
            ErrorForm::Plain
        }
    }

    /// Quality of the most specific range that matches; 0 if none does.
    pub fn quality(&self, main: &str, sub: &str) -> u32 {
        let matching =
            self.ranges.iter().filter_map(|range| Some((range.specificity(main, sub)?, range.quality)));
        matching.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let mut parts = text.split(';');
        let (main, sub) = parts.next()?.trim().split_once('/')?;
        let quality = parts.find_map(|part| part.trim().strip_prefix("q=").map(str::trim));
        let quality = quality.map_or(Some(1.0), |q| q.parse::<f64>().ok())?;
        let (main, sub) = (main.to_ascii_lowercase(), sub.to_ascii_lowercase());
        Some(Range { main, sub, quality: (quality.clamp(0.0, 1.0) * 1000.0) as u32 })
    }

    fn specificity(&self, main: &str, sub: &str) -> Option<u8> {
        match (self.main.as_str(), self.sub.as_str()) {
            ("*", "*") => Some(0),
            (own, "*") if own == main => Some(1),
            (own, own_sub) if own == main && own_sub == sub => Some(2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, value.parse().unwrap());
        Accept::of(&headers)
    }

    #[test]
    fn who_admits_json() {
        assert!(Accept::default().admits_json());
        for yes in [
            "application/json",
            "application/*",
            "*/*",
            "text/plain, application/json; q=0.8",
            "APPLICATION/JSON",
        ] {
            assert!(accept(yes).admits_json(), "{yes}");
        }
        for no in ["text/plain", "text/*", "application/json;q=0", "*/*, application/json; q=0"] {
            assert!(!accept(no).admits_json(), "{no}");
        }
    }

    #[test]
    fn the_form_of_errors() {
        assert_eq!(Accept::default().error_form(), ErrorForm::Plain);
        for (value, form) in [
            ("application/json", ErrorForm::Json),
            ("*/*", ErrorForm::Html),
            ("text/html, application/json", ErrorForm::Html),
            ("text/html; q=0.5, application/json", ErrorForm::Json),
            ("application/json, */*", ErrorForm::Html),
            ("text/plain", ErrorForm::Plain),
            ("image/png", ErrorForm::Plain),
        ] {
            assert_eq!(accept(value).error_form(), form, "{value}");
        }
    }
}
