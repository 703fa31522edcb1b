//! Who asks, and what they may do.
//!
//! [`identity`] turns headers into an [`Identity`], [`rules`] holds the rules of the policy (the
//! reference's defaults, overridable by name), and [`visibility`] turns a rule into a condition on
//! what a list shows.

pub mod identity;
pub mod rules;
pub mod visibility;

pub use identity::{AuthMode, Identity, TokenCheck, TokenRefused};
pub use rules::{RuleError, Rules, Target};
