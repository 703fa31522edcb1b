//! The command line: help, versions, configurations good and bad.

use std::fs;
use std::process::{Command, Output};

use crate::harness::{Daemon, ORZO, free_address};

fn orzo(args: &[&str]) -> Output {
    Command::new(ORZO).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_and_version_say_who_this_is() {
    assert_eq!(text(&orzo(&["--version"]).stdout).trim(), concat!("orzo ", env!("CARGO_PKG_VERSION")));
    let help = orzo(&["--help"]);
    for word in ["serve", "config", "blast", "Examples:"] {
        assert!(text(&help.stdout).contains(word), "{word}");
    }
}

const BAD: &str =
    "[http]\nmax_limit = 0\nlisten = \"here\"\n[statsd]\nprofle = \"native\"\nflush_interval = \"1 moon\"\n";

#[test]
fn a_bad_configuration_is_refused_with_all_its_problems() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    fs::write(&path, BAD).unwrap();
    let path = path.to_str().unwrap();
    for command in [&["config", "check"][..], &["config", "print"], &["serve"]] {
        let output = orzo(&[command, &["--config", path]].concat());
        assert!(!output.status.success(), "{command:?}");
        let said = text(&output.stderr);
        for problem in [
            "line 2: http.max_limit",
            "line 3: http.listen",
            "line 5: statsd.profle",
            "line 6: statsd.flush_interval",
        ] {
            assert!(said.contains(problem), "{command:?} does not say \"{problem}\":\n{said}");
        }
    }
    assert!(!dir.path().join("orzo-data").exists());
}

#[test]
fn no_configuration_is_a_good_one() {
    assert!(orzo(&["config", "check"]).status.success());
    let printed = orzo(&["config", "print"]);
    let printed = text(&printed.stdout);
    assert!(printed.contains("listen = \"127.0.0.1:8041\"  # default"), "{printed}");
    assert!(printed.contains("# threads.shards = "), "{printed}");
}

#[test]
fn what_is_printed_is_a_configuration_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("printed.toml");
    fs::write(&path, orzo(&["config", "print"]).stdout).unwrap();
    let again = orzo(&["config", "check", "--config", path.to_str().unwrap()]);
    assert!(again.status.success(), "{}", text(&again.stderr));
}

#[test]
fn an_address_in_use_ends_the_start_with_its_name() {
    let taken = free_address();
    let _holder = std::net::TcpListener::bind(taken).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orzo.toml");
    let data = dir.path().join("data");
    let config = format!("data_dir = {data:?}\n[http]\nlisten = \"{taken}\"\n[statsd]\nudp = []\ntcp = []\n");
    fs::write(&path, config).unwrap();
    let output = orzo(&["serve", "--config", path.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains(&taken.to_string()), "{}", text(&output.stderr));
}

#[test]
fn two_daemons_do_not_share_a_directory() {
    let daemon = Daemon::start();
    let path = daemon.path("second.toml");
    let config = format!(
        "data_dir = {:?}\n[http]\nlisten = \"{}\"\n[statsd]\nudp = []\ntcp = []\n",
        daemon.path("data"),
        free_address()
    );
    fs::write(&path, config).unwrap();
    let output = orzo(&["serve", "--config", path.to_str().unwrap()]);
    assert!(!output.status.success());
}
