//! The README's first minute, word for word.

use std::process::Command;

use crate::harness::Daemon;

const README: &str = include_str!("../../README.md");

/// The first shell block behind the heading.
fn commands() -> &'static str {
    let (_, section) = README.split_once("## One minute").expect("the README has that section");
    let (_, block) = section.split_once("```sh\n").expect("and a block of commands in it");
    block.split_once("```").expect("which ends").0
}

#[test]
fn the_first_minute_of_the_readme_is_true() {
    let mut daemon = Daemon::start();
    let run = |daemon: &Daemon, line: &str| {
        let line = line.replace("127.0.0.1:8041", &daemon.http.to_string());
        let line = line.replace("127.0.0.1 8125", &format!("127.0.0.1 {}", daemon.statsd.port()));
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let lines: Vec<&str> =
        commands().lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let [make, send, list, read] = lines[..] else { panic!("four commands are expected: {lines:?}") };
    assert!(make.starts_with("make run"), "{make}");
    run(&daemon, send);
    let listed = daemon.eventually("the metric is listed", |daemon| {
        let text = run(daemon, list);
        text.contains("demo.hits").then_some(text)
    });
    assert!(listed.contains("\"archive_policy\""), "{listed}");
    daemon.eventually("the sum is 3", |daemon| run(daemon, read).contains("3.0").then_some(()));
}
