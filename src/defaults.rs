//! What an empty database starts with: archive policies, and the rule that everything else is `low`.

use anyhow::Result;
use orzo_model::MethodSet;
use orzo_model::policy_definition::{built_in_policies, statsd_policies};
use orzo_store::Index;
use orzo_store::index::Rule;

/// Makes the default policies and the default rule, if there are no policies and no rules at all.
pub(crate) fn create(index: &dyn Index, methods: MethodSet) -> Result<()> {
    if !index.policies()?.is_empty() || !index.rules()?.is_empty() {
        return Ok(());
    }
    for policy in built_in_policies(methods).into_iter().chain(statsd_policies()) {
        index.create_policy(policy)?;
    }
    index.create_rule(Rule { name: "default".into(), pattern: "*".into(), policy: "low".into() })?;
    tracing::info!("made the default archive policies");
    Ok(())
}
