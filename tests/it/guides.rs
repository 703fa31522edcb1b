//! The guides' examples, word for word.

use std::process::Command;

use crate::harness::{Daemon, clients};

const STATSD: &str = include_str!("../../docs/statsd.md");
const REST: &str = include_str!("../../docs/rest.md");

/// The blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split_once("```").expect("a block ends").0).collect()
}

/// What a program prints that must succeed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|why| panic!("{command:?}: {why}; run scripts/system-packages test"));
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// What runs a text in a language.
fn program(language: &str, text: &str) -> Command {
    let (interpreter, flag) = match language {
        "sh" => ("bash".into(), "-c"),
        "python" => (clients().join("venv/bin/python"), "-c"),
        "js" => ("node".into(), "-e"),
        other => panic!("nothing runs {other}"),
    };
    let mut command = Command::new(interpreter);
    command.env("NODE_PATH", clients().join("node_modules")).args([flag, text]);
    command
}

#[test]
fn the_examples_of_clients_send_what_they_say() {
    for language in ["sh", "python", "js"] {
        let mut daemon = Daemon::start();
        let [example] = blocks(STATSD, language)[..] else { panic!("one example in {language} is expected") };
        run(&mut program(language, &example.replace("8125", &daemon.statsd.port().to_string())));
        daemon.await_total("shop.orders@env=prod", "sum", 3.0);
        daemon.await_newest("shop.queue@env=prod", "last", 7.0);
        daemon.await_total("shop.checkout@env=prod", "sum", 320.0);
        assert_eq!(daemon.counter("orzo_statsd_dropped_total", ""), 0, "{language}");
    }
}

#[test]
fn the_commands_of_the_rest_guide_do_what_it_says() {
    let daemon = Daemon::start();
    let blocks = blocks(REST, "sh");
    let (alias, commands) = blocks.split_first().unwrap();
    let answer = |command: &str| {
        let text = format!("shopt -s expand_aliases\n{alias}\n{command}");
        run(Command::new("bash").args(["-c", &text.replace("127.0.0.1:8041", &daemon.http.to_string())]))
    };
    let commands: Vec<&str> = commands.iter().flat_map(|block| block.lines()).collect();
    let answers: Vec<String> = commands.iter().map(|command| answer(command)).collect();
    let of = |part: &str| {
        let at = commands.iter().position(|command| command.contains(part)).unwrap();
        &answers[at]
    };
    assert!(of("/history").contains("r7") && of("/history").contains("r8"));
    assert!(of("aggregation=mean").contains("60.0, 2.0") || of("aggregation=mean").contains("60.0,2.0"));
    assert!(of("aggregation=max").contains("5.0"));
    assert!(of("/v1/search").contains("web1"));
    assert!(of("groupby=rack").contains("r8"));
    assert!(answers.len() > 12);
}

#[test]
fn there_is_an_example_for_five_languages() {
    for language in ["sh", "python", "js", "go", "java", "ruby"] {
        let [example] = blocks(STATSD, language)[..] else { panic!("one example in {language} is expected") };
        assert!(["shop.orders", "shop.queue", "shop.checkout"].iter().all(|name| example.contains(name)));
    }
}
