//! Which values make sense: bounds as a table, and the rules that one number cannot express.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use orzo_model::resource_type::GENERIC;
use orzo_model::{Method, Partitions};

use super::problem::Problem;
use super::statsd::Statsd;
use super::tree::{Config, Http};
use super::values::{Auto, ByteSize, Measured, Span, range_text};
use crate::defaults;

/// Most tags that become attributes: each is looked for among the tags of each line that has any.
const ATTRIBUTE_TAGS_MAX: usize = 16;

/// Longest path of a unix socket that the kernel takes, without the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Everything that is wrong with the values.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut problems: Vec<Problem> = bounds(config).into_iter().filter_map(|bound| bound.problem).collect();
    check_http(&config.http, &mut problems);
    check_statsd(&config.statsd, &mut problems);
    check_methods(&config.archive_policies.default_aggregation_methods, &mut problems);
    check_partitions(config, &mut problems);
    check_addresses(config, &mut problems);
    if config.data_dir.as_os_str().is_empty() {
        problems.push(Problem::new("data_dir", "a directory is needed"));
    }
    if !is_header_name(&config.auth.remote_user_header) {
        problems.push(Problem::new("auth.remote_user_header", "this is not the name of an HTTP header"));
    }
    if let (Auto::Is(cache), Auto::Is(buffers)) = (config.store.block_cache, config.store.write_buffers)
        && buffers > cache
    {
        problems.push(Problem::new("store.write_buffers", format!("more than store.block_cache ({cache})")));
    }
    problems
}

/// A key with bounds.
pub(super) struct Bound {
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that compares the reference page"))]
    pub(super) key: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that compares the reference page"))]
    pub(super) range: String,
    problem: Option<Problem>,
}

fn bound<T: Measured>(key: &'static str, value: T, range: RangeInclusive<T>) -> Bound {
    set_bound(key, Auto::Is(value), range)
}

fn set_bound<T: Measured>(key: &'static str, value: Auto<T>, range: RangeInclusive<T>) -> Bound {
    let text = range_text(&range);
    let wrong = value.set().filter(|value| !range.contains(value));
    let problem = wrong.map(|value| Problem::new(key, format!("{value} is out of bounds ({text})")));
    Bound { key, range: text, problem }
}

/// Every key that has bounds, with them.
pub(super) fn bounds(config: &Config) -> Vec<Bound> {
    let Config { http, statsd, threads, store, janitor, .. } = config;
    let week = Span::hours(168);
    let ages = Span::seconds(0)..=Span::hours(87_600);
    vec![
        bound("shutdown_deadline", config.shutdown_deadline, Span::seconds(1)..=Span::hours(1)),
        bound("http.max_limit", http.max_limit, 1..=1_000_000),
        bound("http.body_limit", http.body_limit, ByteSize::kib(1)..=ByteSize::gib(1)),
        bound("http.max_connections", http.max_connections, 1..=100_000),
        bound("http.query_timeout", http.query_timeout, Span::milliseconds(10)..=Span::hours(1)),
        bound("http.query_series", http.query_series, 1..=100_000_000),
        bound("http.query_points", http.query_points, 1..=10_000_000_000),
        bound("statsd.gauge_ttl", statsd.gauge_ttl, Span::seconds(1)..=week),
        bound("statsd.flush_interval", statsd.flush_interval, Span::milliseconds(100)..=Span::hours(1)),
        bound(
            "statsd.receive_buffer_bytes",
            statsd.receive_buffer_bytes,
            ByteSize::kib(64)..=ByteSize::gib(1),
        ),
        bound("statsd.max_connections", statsd.max_connections, 1..=100_000),
        bound("statsd.idle_timeout", statsd.idle_timeout, Span::seconds(1)..=week),
        bound("statsd.max_future", statsd.max_future, Span::seconds(1)..=week),
        set_bound("statsd.max_series", statsd.max_series, 1..=1_000_000_000),
        bound("statsd.prefix_segments", statsd.prefix_segments, 1..=8),
        bound("statsd.max_series_per_prefix", statsd.max_series_per_prefix, 0..=1_000_000_000),
        bound("statsd.max_new_series_per_second", statsd.max_new_series_per_second, 0..=1_000_000),
        bound(
            "statsd.max_new_series_per_second_per_prefix",
            statsd.max_new_series_per_second_per_prefix,
            0..=1_000_000,
        ),
        set_bound("threads.listeners", threads.listeners, 1..=64),
        set_bound("threads.shards", threads.shards, 1..=64),
        set_bound("threads.flushers", threads.flushers, 1..=64),
        set_bound("threads.http", threads.http, 1..=64),
        set_bound("threads.store_jobs", threads.store_jobs, 1..=64),
        bound("store.partitions", store.partitions, 1..=4096),
        set_bound("store.block_cache", store.block_cache, ByteSize::mib(8)..=ByteSize::gib(1024)),
        set_bound("store.write_buffers", store.write_buffers, ByteSize::mib(4)..=ByteSize::gib(1024)),
        bound("store.checkpoint_age", store.checkpoint_age, Span::seconds(1)..=Span::hours(24)),
        bound("store.sync_interval", store.sync_interval, Span::milliseconds(10)..=Span::minutes(10)),
        bound(
            "janitor.metric_cleanup_delay",
            janitor.metric_cleanup_delay,
            Span::seconds(1)..=Span::hours(24),
        ),
        bound("janitor.cleanup_batch_size", janitor.cleanup_batch_size, 1..=1_000_000),
        bound("janitor.metric_inactive_after", janitor.metric_inactive_after, ages.clone()),
        bound("janitor.resource_cleanup_after", janitor.resource_cleanup_after, ages),
    ]
}

fn check_http(http: &Http, problems: &mut Vec<Problem>) {
    let rooted = http.prefix.is_empty() || http.prefix.starts_with('/');
    if !rooted || http.prefix.ends_with('/') {
        problems
            .push(Problem::new("http.prefix", "it must be empty, or begin with \"/\" and not end with one"));
    }
    for origin in &http.cors_allowed_origins {
        if origin != "*" && !origin.contains("://") {
            let what = format!("\"{origin}\" is neither \"*\" nor an origin such as \"https://example.org\"");
            problems.push(Problem::new("http.cors_allowed_origins", what));
        }
    }
}

fn check_statsd(statsd: &Statsd, problems: &mut Vec<Problem>) {
    if statsd.resource_type.is_empty() {
        problems.push(Problem::new("statsd.resource_type", "a resource type is needed"));
    }
    check_attribute_tags(statsd, problems);
    let lists =
        [("statsd.unix_datagram", &statsd.unix_datagram), ("statsd.unix_stream", &statsd.unix_stream)];
    let mut seen = BTreeSet::new();
    for (key, paths) in lists {
        for path in paths {
            problems.extend(socket_path_problem(path).map(|what| Problem::new(key, what)));
            if !seen.insert(path) {
                problems.push(Problem::new(key, format!("{} is listed twice", path.display())));
            }
        }
    }
}

fn check_attribute_tags(statsd: &Statsd, problems: &mut Vec<Problem>) {
    let (tags, mut wrong) = (&statsd.attribute_tags, |key, what| problems.push(Problem::new(key, what)));
    if tags.len() > ATTRIBUTE_TAGS_MAX {
        wrong("statsd.attribute_tags", format!("more than {ATTRIBUTE_TAGS_MAX} tags"));
    }
    let plain = |tag: &str| tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    for tag in tags {
        // The tag `unit` is the metric's.
        if !plain(tag) || tag == "unit" || defaults::ATTRIBUTE.check(tag).is_err() {
            wrong("statsd.attribute_tags", format!("\"{tag}\" cannot be the name of an attribute"));
        }
    }
    let distinct: BTreeSet<&String> = tags.iter().collect();
    if distinct.len() < tags.len() {
        wrong("statsd.attribute_tags", "a tag is listed twice".into());
    }
    let name = &statsd.attribute_type;
    if !tags.is_empty() && (name.is_empty() || name == GENERIC || name.contains('/')) {
        wrong("statsd.attribute_type", format!("\"{name}\" cannot be a resource type with attributes"));
    }
}

fn socket_path_problem(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().len();
    let fits = (1..=SOCKET_PATH_BYTES_MAX).contains(&bytes);
    (!fits).then(|| format!("a socket's path has 1 to {SOCKET_PATH_BYTES_MAX} bytes, this one has {bytes}"))
}

fn check_methods(methods: &[String], problems: &mut Vec<Problem>) {
    const KEY: &str = "archive_policies.default_aggregation_methods";
    if methods.is_empty() {
        problems.push(Problem::new(KEY, "at least one method is needed"));
    }
    let unknown = methods.iter().filter(|name| Method::parse(name).is_none());
    problems.extend(unknown.map(|name| Problem::new(KEY, format!("there is no method \"{name}\""))));
}

fn check_partitions(config: &Config, problems: &mut Vec<Problem>) {
    let count = config.store.partitions;
    let valid = u16::try_from(count).ok().and_then(Partitions::new);
    if (1..=4096).contains(&count) && valid.is_none() {
        problems.push(Problem::new("store.partitions", format!("{count} is not a power of two")));
    }
    let Auto::Is(shards) = config.threads.shards else { return };
    if shards > 0 && !shards.is_power_of_two() {
        problems.push(Problem::new("threads.shards", format!("{shards} is not a power of two")));
    }
    if shards > count {
        problems.push(Problem::new("threads.shards", format!("more shards than partitions ({count})")));
    }
}

/// Nothing may be bound twice. Port 0 (any free one) is never the same address.
fn check_addresses(config: &Config, problems: &mut Vec<Problem>) {
    let http = [config.http.listen];
    let tcp = [("http.listen", &http[..]), ("statsd.tcp", &config.statsd.tcp)];
    for family in [&tcp[..], &[("statsd.udp", config.statsd.udp.as_slice())]] {
        let mut seen = BTreeSet::new();
        for (key, address) in
            family.iter().flat_map(|(key, list)| list.iter().map(move |address| (key, address)))
        {
            if address.port() != 0 && !seen.insert(address) {
                problems.push(Problem::new(*key, format!("{address} is used twice")));
            }
        }
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes the defaults and expects exactly these keys to be wrong.
    #[track_caller]
    fn check_keys(change: impl FnOnce(&mut Config), expected: &[&str]) {
        let mut config = Config::default();
        change(&mut config);
        let problems = check(&config);
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, expected, "{problems:?}");
    }

    #[test]
    fn the_defaults_are_fine() {
        check_keys(|_| (), &[]);
    }

    #[test]
    fn one_past_a_bound_is_refused_and_the_bound_itself_is_not() {
        check_keys(|c| c.http.max_limit = 1_000_000, &[]);
        check_keys(|c| c.http.max_limit = 1_000_001, &["http.max_limit"]);
        check_keys(|c| c.statsd.flush_interval = Span::milliseconds(100), &[]);
        check_keys(|c| c.statsd.flush_interval = Span::milliseconds(99), &["statsd.flush_interval"]);
        check_keys(|c| c.threads.listeners = Auto::Is(65), &["threads.listeners"]);
        let tags = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        check_keys(|c| c.statsd.attribute_tags = tags(&["host", "env-2", "a_b"]), &[]);
        for bad in [&["a", "a"][..], &["unit"], &["id"], &["a=b"], &["a,b"], &[""]] {
            check_keys(|c| c.statsd.attribute_tags = tags(bad), &["statsd.attribute_tags"]);
        }
        let many = (0..17).map(|n| n.to_string()).collect::<Vec<_>>();
        check_keys(|c| c.statsd.attribute_tags = many.clone(), &["statsd.attribute_tags"]);
        check_keys(|c| c.statsd.attribute_type = "generic".into(), &[]);
        let generic = |c: &mut Config| {
            (c.statsd.attribute_tags, c.statsd.attribute_type) = (tags(&["a"]), "generic".into());
        };
        check_keys(generic, &["statsd.attribute_type"]);
        check_keys(|c| c.statsd.prefix_segments = 8, &[]);
        check_keys(|c| c.statsd.prefix_segments = 9, &["statsd.prefix_segments"]);
        check_keys(|c| c.statsd.max_new_series_per_second = 1_000_001, &["statsd.max_new_series_per_second"]);
        check_keys(|c| c.janitor.resource_cleanup_after = Span::hours(87_600), &[]);
        check_keys(
            |c| c.janitor.resource_cleanup_after = Span::hours(87_601),
            &["janitor.resource_cleanup_after"],
        );
    }

    #[test]
    fn shards_share_partitions_evenly() {
        check_keys(|c| c.threads.shards = Auto::Is(3), &["threads.shards"]);
        check_keys(|c| c.store.partitions = 48, &["store.partitions"]);
        let change = |c: &mut Config| (c.store.partitions, c.threads.shards) = (4, Auto::Is(8));
        check_keys(change, &["threads.shards"]);
    }

    #[test]
    fn nothing_is_bound_twice() {
        check_keys(|c| c.statsd.tcp = vec![c.http.listen], &["statsd.tcp"]);
        check_keys(|c| c.statsd.udp = vec![c.http.listen], &[]);
        let any = "127.0.0.1:0".parse().unwrap();
        check_keys(|c| c.statsd.tcp = vec![any, any], &[]);
        let path = || vec!["/tmp/s".into()];
        check_keys(
            |c| (c.statsd.unix_datagram, c.statsd.unix_stream) = (path(), path()),
            &["statsd.unix_stream"],
        );
    }

    #[test]
    fn texts_must_mean_something() {
        check_keys(|c| c.http.prefix = "gnocchi".into(), &["http.prefix"]);
        check_keys(|c| c.http.prefix = "/".into(), &["http.prefix"]);
        check_keys(|c| c.http.cors_allowed_origins = vec!["foobar".into()], &["http.cors_allowed_origins"]);
        check_keys(|c| c.auth.remote_user_header = "X Remote".into(), &["auth.remote_user_header"]);
        check_keys(|c| c.statsd.unix_stream = vec!["x".repeat(108).into()], &["statsd.unix_stream"]);
        const METHODS: &str = "archive_policies.default_aggregation_methods";
        check_keys(|c| c.archive_policies.default_aggregation_methods = vec!["avg".into()], &[METHODS]);
        check_keys(|c| c.archive_policies.default_aggregation_methods.clear(), &[METHODS]);
    }

    #[test]
    fn write_buffers_are_a_part_of_the_cache() {
        let sizes = |cache, buffers| {
            move |c: &mut Config| (c.store.block_cache, c.store.write_buffers) = (cache, buffers)
        };
        let mib = |count| Auto::Is(ByteSize::mib(count));
        check_keys(sizes(mib(64), mib(65)), &["store.write_buffers"]);
        check_keys(sizes(mib(64), mib(64)), &[]);
        check_keys(sizes(Auto::Auto, mib(65)), &[]);
    }
}
