//! The load generator against the daemon: what it sends is what is stored.

use crate::harness::Daemon;

#[test]
fn udp_at_a_moderate_rate_adds_up() {
    let daemon = Daemon::start();
    let target = daemon.statsd.to_string();
    let mix = "c=40,ms=20,h=10,d=10,g=15,s=5";
    let load = [
        "--lines", "100000", "--rate", "50000", "--series", "300", "--mix", mix, "--tags", "2", "--one-in",
        "2",
    ];
    let pid = daemon.pid().to_string();
    let output =
        daemon.blast(&[&["--udp", &target, "--senders", "2", "--verify", "--pid", &pid], &load[..]].concat());
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("ns a line"));
}

#[test]
fn a_flood_loses_only_what_is_counted() {
    let daemon = Daemon::start_with("receive_buffer_bytes = \"64 KiB\"");
    let target = daemon.statsd.to_string();
    let args = ["--udp", &target, "--lines", "2000000", "--series", "1000", "--mix", "c=2,ms=1", "--verify"];
    assert!(daemon.blast(&args).status.success());
}

/// Half of what the daemon can take, all of it, and three times as much; from one sender and from many.
#[test]
fn the_account_is_exact_below_at_and_beyond_capacity() {
    let daemon = Daemon::start_with("receive_buffer_bytes = \"1 MiB\"");
    let run = |args: &[&str]| {
        let target = daemon.statsd.to_string();
        let shape = ["--udp", &target, "--series", "2000", "--mix", "c=2,ms=1", "--verify", "--json"];
        let output = daemon.blast(&[&shape[..], args].concat());
        assert!(output.status.success());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let flood = run(&["--seconds", "1", "--prefix", "flood"]);
    let capacity = flood["daemon"]["lines"].as_f64().unwrap() / flood["sent"]["seconds"].as_f64().unwrap();
    for senders in ["1", "64"] {
        for share in [0.5, 1.0, 3.0] {
            let rate = ((capacity * share) as u64).max(1).to_string();
            let prefix = format!("s{senders}.r{share}");
            run(&["--seconds", "1", "--rate", &rate, "--senders", senders, "--prefix", &prefix]);
        }
    }
}

#[test]
fn one_sender_keeps_every_listener_at_work() {
    let daemon = Daemon::start_with("udp_spread = \"datagram\"\n[threads]\nlisteners = 2");
    let target = daemon.statsd.to_string();
    let args = ["--udp", &target, "--lines", "100000", "--rate", "100000", "--mix", "c=2,ms=1", "--verify"];
    assert!(daemon.blast(&args).status.success());
    for listener in ["listener=\"0\"", "listener=\"1\""] {
        let datagrams = daemon.counter("orzo_statsd_datagrams_total", listener);
        assert!((2000..=3000).contains(&datagrams), "{listener}: {datagrams} of 5000");
    }
}

#[test]
fn datagrams_that_come_together_add_up() {
    for coalesce in ["true", "false"] {
        let daemon = Daemon::start_with(&format!("udp_coalesce = {coalesce}"));
        let target = daemon.statsd.to_string();
        let args = ["--udp", &target, "--lines", "400000", "--rate", "400000", "--segment", "--verify"];
        assert!(daemon.blast(&args).status.success());
        assert_eq!(daemon.counter("orzo_statsd_datagrams_total", ""), 20_000);
    }
}

#[test]
fn two_runs_over_the_same_series_add_up() {
    let daemon = Daemon::start();
    let target = daemon.statsd.to_string();
    for seed in ["1", "1"] {
        let args = [
            "--tcp", &target, "--lines", "20000", "--series", "50", "--seed", seed, "--mix", "c", "--verify",
        ];
        assert!(daemon.blast(&args).status.success());
    }
}

#[test]
fn the_generator_notices_when_things_do_not_add_up() {
    let daemon = Daemon::start();
    let target = daemon.statsd.to_string();
    // Another sender on the same series: more is stored than the generator knows of.
    let known =
        ["--tcp", &target, "--lines", "20000", "--series", "1", "--mix", "c", "--verify", "--rate", "10000"];
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| daemon.blast(&known));
        while !run.is_finished() {
            daemon.send_tcp("blast.app0.host0.svc.request.count.metric0:1|c\n");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        run.join().unwrap()
    });
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn no_daemon_is_no_run() {
    let mut daemon = Daemon::start();
    assert!(daemon.stop().success());
    assert_eq!(daemon.blast(&["--lines", "10"]).status.code(), Some(2));
}
