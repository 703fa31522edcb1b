//! How long an answer is worth computing: while somebody waits for it, and not beyond a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use orzo_model::ops::HOW_TO_NARROW;

use crate::error::{ApiError, Outcome};

/// Asked now and then by handlers that may take long.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    gone: Arc<AtomicBool>,
    /// When it ends, and how long it was; `None`: never.
    limit: Option<(Instant, Duration)>,
}

/// Its end says that nobody waits any more.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Patience {
    /// Patience of this length, and what ends it early.
    pub fn new(limit: Duration) -> (Self, Waiting) {
        let gone = Arc::<AtomicBool>::default();
        let end = Instant::now().checked_add(limit);
        (Patience { gone: gone.clone(), limit: end.map(|end| (end, limit)) }, Waiting(gone))
    }

    /// 503 if it has run out.
    pub fn check(&self) -> Outcome<()> {
        // Relaxed: the flag publishes nothing but itself.
        if self.gone.load(Ordering::Relaxed) {
            return Err(ApiError::text(StatusCode::SERVICE_UNAVAILABLE, "the client has gone"));
        }
        match self.limit {
            Some((end, limit)) if Instant::now() > end => {
                let limit = limit.as_secs_f64();
                let text = format!("The query took longer than {limit} s (query_timeout). {HOW_TO_NARROW}");
                Err(ApiError::text(StatusCode::SERVICE_UNAVAILABLE, text))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_the_client_or_the_limit() {
        let (patience, waiting) = Patience::new(Duration::from_secs(3600));
        assert!(patience.check().is_ok());
        drop(waiting);
        assert_eq!(patience.check().unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);
        let (patience, _waiting) = Patience::new(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(1));
        assert!(patience.check().is_err());
        assert!(Patience::default().check().is_ok());
    }
}
