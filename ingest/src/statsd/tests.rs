//! The parser against the golden vectors and against its slow twin.

use orzo_base::Counter;
use orzo_model::{DropReason, Kind, Names, Profile, Sample, SeriesIds};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::event::{AlertType, Event, Priority, ServiceCheck};
use super::oracle::{self, Group, Line, Metric, TagMap};
use super::{Naming, Parser, Sink};
use crate::counters::ListenerCounters;

const SALT: u64 = 42;

#[derive(Default)]
struct Collected(Vec<(Sample, String)>);

impl Sink for Collected {
    fn push(&mut self, sample: &Sample, name: &[u8]) {
        self.0.push((*sample, String::from_utf8(name.to_vec()).unwrap()));
    }
}

/// What became of one line.
#[derive(Debug, PartialEq)]
enum Outcome {
    Nothing,
    Samples(Vec<(Sample, String)>),
    Event,
    Check,
    Dropped(DropReason),
}

fn parse(profile: Profile, text: &[u8]) -> (ListenerCounters, Vec<(Sample, String)>) {
    parse_with(Naming::new(SALT), profile, text)
}

fn parse_with(naming: Naming, profile: Profile, text: &[u8]) -> (ListenerCounters, Vec<(Sample, String)>) {
    parse_by(&mut Parser::new(naming), profile, text)
}

fn parse_by(parser: &mut Parser, profile: Profile, text: &[u8]) -> (ListenerCounters, Vec<(Sample, String)>) {
    let (counters, mut collected) = (ListenerCounters::default(), Collected::default());
    parser.text(profile, text, &counters, &mut collected);
    let skipped = counters.events.get() + counters.checks.get();
    assert_eq!(counters.lines.get(), counters.lines_accepted() + skipped + counters.lines_dropped());
    assert_eq!(counters.samples.get(), collected.0.len() as u64);
    (counters, collected.0)
}

/// What becomes of a line, the first time and once it is known.
fn outcome(profile: Profile, line: &str) -> Outcome {
    let mut parser = Parser::new(Naming::new(SALT));
    let first = outcome_of(&mut parser, profile, line);
    assert_eq!(outcome_of(&mut parser, profile, line), first, "{line}");
    first
}

fn outcome_of(parser: &mut Parser, profile: Profile, line: &str) -> Outcome {
    let (counters, samples) = parse_by(parser, profile, line.as_bytes());
    assert!(counters.lines.get() <= 1);
    if let Some(reason) = DropReason::ALL.into_iter().find(|reason| counters.drops[reason.index()].get() > 0)
    {
        assert!(samples.is_empty());
        return Outcome::Dropped(reason);
    }
    match (counters.lines.get(), counters.events.get(), counters.checks.get()) {
        (0, ..) => Outcome::Nothing,
        (_, 1, _) => Outcome::Event,
        (_, _, 1) => Outcome::Check,
        _ => Outcome::Samples(samples),
    }
}

fn expected(profile: Profile, line: &str) -> Outcome {
    match oracle::parse(line, profile) {
        Ok(Line::Empty) => Outcome::Nothing,
        Ok(Line::Event) => Outcome::Event,
        Ok(Line::Check) => Outcome::Check,
        Ok(Line::Metric(metric)) => Outcome::Samples(oracle::samples(&metric, profile, SeriesIds::new(SALT))),
        Err(reason) => Outcome::Dropped(reason),
    }
}

/// The line as the vectors write it.
fn structure(line: &str) -> Value {
    match oracle::parse(line, Profile::Native) {
        Ok(Line::Empty) => json!({"skip": true}),
        Ok(Line::Event) => json!({"event": event(Event::read(line.as_bytes()).unwrap())}),
        Ok(Line::Check) => json!({"service_check": check(ServiceCheck::read(line.as_bytes()).unwrap())}),
        Ok(Line::Metric(Metric { name, groups })) => {
            json!({"name": name, "samples": groups.iter().map(group).collect::<Vec<_>>()})
        }
        Err(reason) => json!({"error": reason.name()}),
    }
}

fn group(group: &Group) -> Value {
    let kind = match group.kind(Profile::Native) {
        Kind::Counter | Kind::CounterAt => "counter",
        Kind::Gauge => "gauge",
        Kind::Timer => "timer",
        Kind::Histogram => "histogram",
        Kind::Distribution => "distribution",
        Kind::Set => "set",
    };
    let number = |text: &String| json!(text.parse::<f64>().unwrap());
    let values: Vec<Value> = match kind {
        "set" => group.values.iter().map(|text| json!(text)).collect(),
        _ => group.values.iter().map(number).collect(),
    };
    let delta = |text: &String| group.wire_type == "g" && text.starts_with(['+', '-']);
    without_nulls(json!({
        "type": kind,
        "wire_type": group.wire_type,
        "rate": group.rate,
        "tags": some(&group.tags),
        "timestamp": group.timestamp.filter(|_| group.has_time(Profile::Native)),
        "container": group.container,
        "external": group.external,
        "cardinality": group.cardinality,
        "delta": (group.wire_type == "g").then(|| group.values.iter().map(delta).collect::<Vec<_>>()),
        "values": values,
    }))
}

fn event(event: Event<'_>) -> Value {
    without_nulls(json!({
        "title": text(event.title),
        "text": text(event.text).replace("\\n", "\n"),
        "priority": match event.priority { Priority::Low => "low", Priority::Normal => "normal" },
        "alert_type": match event.alert_type {
            AlertType::Error => "error",
            AlertType::Warning => "warning",
            AlertType::Info => "info",
            AlertType::Success => "success",
        },
        "timestamp": event.timestamp,
        "host": event.host.map(text),
        "aggregation_key": event.aggregation_key.map(text),
        "source_type": event.source_type.map(text),
        "tags": some(&tag_map(event.tags)),
    }))
}

fn check(check: ServiceCheck<'_>) -> Value {
    without_nulls(json!({
        "name": text(check.name),
        "status": check.status,
        "timestamp": check.timestamp,
        "host": check.host.map(text),
        "message": check.message.map(text),
        "tags": some(&tag_map(check.tags)),
    }))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn tag_map(tags: &[u8]) -> TagMap {
    let pair = |item| str::split_once(item, ':').unwrap_or((item, ""));
    let items = text(tags).split(',').filter(|item| !item.is_empty()).map(pair);
    items.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn some(tags: &TagMap) -> Option<&TagMap> {
    (!tags.is_empty()).then_some(tags)
}

fn without_nulls(mut value: Value) -> Value {
    value.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    value
}

#[test]
fn every_vector_holds() {
    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/statsd-wire.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(VECTORS).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 92);
    for case in cases {
        let mut wanted = case.as_object().unwrap().clone();
        let line = wanted.remove("line").unwrap();
        let line = line.as_str().unwrap();
        assert_eq!(structure(line), Value::Object(wanted), "{line}");
        for profile in [Profile::Native, Profile::Gnocchi] {
            assert_eq!(outcome(profile, line), expected(profile, line), "{line}");
        }
    }
}

#[test]
fn a_bad_line_harms_no_other() {
    let text =
        b"a:1|c\nbad\n\n \t\r\nb:1|c:x|c\r\n\xff:1|c\nc:2:3|g|#t:\xc3\xa9\n_sc|x|1\n_e{1,1}:a|b\nd:1|c|@0";
    let (counters, samples) = parse(Profile::Native, text);
    let names: Vec<_> = samples.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["a", "c@t=é", "c@t=é"]);
    let dropped = |reason: DropReason| counters.drops[reason.index()].get();
    assert_eq!(dropped(DropReason::NoColon), 1);
    assert_eq!(dropped(DropReason::BadValue), 1);
    assert_eq!(dropped(DropReason::BadUtf8), 1);
    assert_eq!(dropped(DropReason::BadRate), 1);
    assert_eq!((counters.events.get(), counters.checks.get(), counters.lines.get()), (1, 1, 8));
    assert_eq!(counters.accepted.each_ref().map(Counter::get)[..2], [1, 1]);
}

#[test]
fn names_follow_the_profile() {
    let name = |profile, line| match outcome(profile, line) {
        Outcome::Samples(samples) => samples[0].1.clone(),
        other => format!("{other:?}"),
    };
    assert_eq!(name(Profile::Native, "a/b,host=h,z=1:1|m|#y:2"), "h\0a_b@y=2,z=1");
    assert_eq!(name(Profile::Gnocchi, "a/b,host=h,z=1:1|m|#y:2"), "h\0a_b@y=2,z=1|c");
    assert_eq!(name(Profile::Gnocchi, "load:1|kv|T5"), "load|g");
}

#[test]
fn numbers_that_would_become_infinite_are_refused() {
    for (line, reason) in [
        ("a:1e300|c|@1e-30", DropReason::BadRate),
        ("a:1|h|@1e-300", DropReason::BadRate),
        ("a:1e999|g", DropReason::BadValue),
    ] {
        assert_eq!(outcome(Profile::Native, line), Outcome::Dropped(reason), "{line}");
    }
}

/// Bits of lines, glued together at random: most are broken, each in another way.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b.c",
        "é",
        ":",
        ":",
        ":",
        "|",
        "|",
        "|",
        "c",
        "g",
        "ms",
        "h",
        "d",
        "s",
        "m",
        "kv",
        "1",
        "2.5",
        "-3",
        "+4",
        "",
        " ",
        "\t",
        "\r",
        "@",
        "@0.5",
        "@2",
        "@1e-40",
        "#",
        "#a:1",
        "#host:x/y",
        "#unit:s",
        ",",
        ";",
        "[",
        "]",
        "=",
        "T",
        "T1656581400",
        "T99999999999",
        "c:id",
        "e:x",
        "card:low",
        "/",
        "\0",
        "host=h",
        "unit=ms",
        "nan",
        "_e{1,1}:",
        "_sc|",
        "1|c",
        "|c",
        ":1|c",
        "|ms|@0.1",
        ":5|g",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Lines that mostly hold.
fn likely() -> impl Strategy<Value = String> {
    let name = "[a-c/é]{1,3}(,host=[ab]{0,2})?(,[a-c]=[a-c;/]{0,3}){0,3}|[ab]\\[[ab]=1,unit=s\\][ab]";
    let group = "[-+]?[0-9]{1,3}(\\.[0-9])?(:[0-9]{0,2}){0,2}\\|(c|g|ms|h|d|s|m|kv)(\\|@0\\.[1-9]|\\|#[a-c:,é]{0,9}|\\|T[0-9]{1,3}|\\|c:[a-z:]{2}){0,3}";
    (name, prop::collection::vec(group, 1..4))
        .prop_map(|(name, groups)| format!("{name}:{}", groups.join(":")))
}

/// Lines of few names and fields, with many values: most are known by all but their values.
fn alike() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["a", "b.c,host=h", "b.c,x=1", "a[x=1]", "[a]", "é/name.of.sixteen,z"]);
    let values = "[-+]?[0-9]{0,17}(\\.[0-9]{0,9})?|([0-9]{1,3}:){0,2}[a-z0-9]{0,2}|-?[0-9]{1,3}e[0-9]{1,3}| 7 |1\\|c:2";
    let tail = prop::sample::select(vec![
        "|c|#x:1,host:h",
        "|ms|#x:1,host:h",
        "|g|#y:2,x:1",
        "|kv|#y:2,x:1",
        "|s|#y:2,x:1",
        "|h|@1e-9|#y:2,x:1",
        "|c|@0.1|#x:1,x:2",
        "|c|#x:1,host:h|T5",
        "|g|T1656581400",
        "|d|c:container",
        "|c",
        "|ms",
        "|s",
        "|c|#x:1|c:2",
        "|c|@0:1|c",
        "|x|#y:2,x:1",
        "|g|#unit:s,t/u:v/w",
    ]);
    (name, values, tail).prop_map(|(name, values, tail)| format!("{name}:{values}{tail}"))
}

/// Lines that are nothing but name, number, type and rate, or nearly so.
fn nearly_plain() -> impl Strategy<Value = String> {
    let name = "[a-c._]{1,20}|[a-c:;\\[#,/.\\x00_é]{1,40}|[a-z]{250,260}";
    let rate = "(\\|@[0-9.]{0,18}|\\|@[01]\\.[0-9]{1,9}|@0.5|\\|0.5)?";
    (name, "-?[0-9]{0,17}|[0-9]{0,9}\\.[0-9]{0,9}|[0-9.:/;x]{0,9}", "\\|(c|ms|g|h|d|s|m|kv|x)", rate)
        .prop_map(|(name, value, kind, rate)| format!("{name}:{value}{kind}{rate}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn parser_equals_its_twin(line in prop_oneof![pieces(), likely(), nearly_plain()], gnocchi: bool) {
        let profile = if gnocchi { Profile::Gnocchi } else { Profile::Native };
        prop_assert_eq!(outcome(profile, &line), expected(profile, &line));
    }

    #[test]
    fn a_parser_that_knows_lines_equals_its_twin(lines in prop::collection::vec((alike(), prop::bool::weighted(0.2)), 1..60)) {
        let mut parser = Parser::new(Naming::new(SALT));
        for (line, gnocchi) in lines {
            let profile = if gnocchi { Profile::Gnocchi } else { Profile::Native };
            prop_assert_eq!(outcome_of(&mut parser, profile, &line), expected(profile, &line), "{}", line);
        }
    }

    #[test]
    fn chosen_tags_equal_the_twin(items in prop::collection::vec(
        (prop::sample::select(vec!["service", "env", "host", "az", "unit"]), "[ab/=]{0,3}|x{140,150}|y{280,290}"), 0..6,
    )) {
        let keys = ["service", "env"];
        let attribute_tags = keys.map(|key| Box::from(key.as_bytes())).into();
        let naming = Naming { attribute_tags, ..Naming::new(SALT) };
        let field: Vec<String> = items.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let line = format!("n:1|c|#{}", field.join(","));
        let tags: TagMap = items.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let (counters, samples) = parse_with(naming, Profile::Native, line.as_bytes());
        match oracle::ride_along_with(&keys, "n", tags, Kind::Counter, Profile::Native) {
            Ok((name, identity)) => {
                let (sample, seen) = &samples[0];
                prop_assert_eq!(seen, &name);
                let ids = SeriesIds::new(SALT);
                prop_assert_eq!(sample.id, ids.id(Kind::Counter, sample.flags, identity.as_bytes()));
                let text = sample.names(name.as_bytes()).resource.map(|text| String::from_utf8_lossy(text));
                let attributes = Names::attributes(sample.flags, text.as_deref());
                prop_assert!(attributes.iter().all(|(key, value)| keys.contains(&key.as_str()) && !value.is_empty()));
            }
            Err(reason) => prop_assert_eq!(counters.drops[reason.index()].get(), 1),
        }
    }

    #[test]
    fn any_bytes_are_counted_and_never_panic(text: Vec<u8>, gnocchi: bool) {
        parse(if gnocchi { Profile::Gnocchi } else { Profile::Native }, &text);
    }

    #[test]
    fn long_names_and_many_tags_equal_the_twin(chars in 240usize..270, tags in 55usize..75, spare in 1usize..3) {
        let items: Vec<String> = (0..tags).map(|n| format!("{}:", n % (tags - spare))).collect();
        for line in [
            format!("{}:1|c|#b:é", "é".repeat(chars)),
            format!("a:1|c|#{}", items.join(",")),
            format!("a,{}:1|c", items.join(",").replace(':', "=")),
        ] {
            prop_assert_eq!(outcome(Profile::Native, &line), expected(Profile::Native, &line));
        }
    }
}
