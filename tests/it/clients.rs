//! Clients as their authors publish them, and `nc`.

use std::process::Command;

use crate::harness::{Daemon, clients};

/// Runs a program that must succeed.
#[track_caller]
fn run(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|why| panic!("{command:?}: {why}; run scripts/system-packages test"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn python(script: &str, args: &[&str]) {
    run(Command::new(clients().join("venv/bin/python")).arg("-c").arg(script).args(args));
}

fn port(daemon: &Daemon) -> String {
    daemon.statsd.port().to_string()
}

#[test]
fn netcat_over_udp_and_tcp() {
    let mut daemon = Daemon::start();
    let port = port(&daemon);
    let nc = |flags: &str| {
        let line = format!("printf 'nc.hits:3|c\\nnc.load:0.5|g\\n' | nc {flags} -w1 127.0.0.1 {port}");
        run(Command::new("bash").args(["-c", &format!("set -o pipefail; {line}")]));
    };
    nc("-u");
    daemon.await_total("nc.hits", "sum", 3.0);
    nc("-N");
    daemon.await_total("nc.hits", "sum", 6.0);
    daemon.await_newest("nc.load", "last", 0.5);
}

#[test]
fn python_statsd() {
    let mut daemon = Daemon::start();
    let script = "
import sys, statsd
c = statsd.StatsClient('127.0.0.1', int(sys.argv[1]), prefix='py')
for _ in range(10): c.incr('hits')
c.incr('hits', 5)
c.decr('hits', 2)
c.timing('request', 320)
c.timing('request', 80)
c.gauge('level', 40)
c.gauge('level', -7, delta=True)
c.set('users', 'ann'); c.set('users', 'bob')
with c.pipeline() as p:
    p.incr('piped'); p.incr('piped'); p.timing('piped.time', 7)
t = statsd.TCPStatsClient('127.0.0.1', int(sys.argv[1]), prefix='pytcp')
for _ in range(1000): t.incr('hits')
t.close()
";
    python(script, &[&port(&daemon)]);
    daemon.await_total("pytcp.hits", "count", 1000.0);
    daemon.await_total("py.hits", "sum", 13.0);
    daemon.await_total("py.hits", "count", 12.0);
    daemon.await_total("py.request", "sum", 400.0);
    daemon.await_total("py.piped", "sum", 2.0);
    daemon.await_total("py.piped.time", "count", 1.0);
    daemon.await_newest("py.level", "last", 33.0);
    // Two members, in one flush or two.
    daemon.eventually("both users are seen", |daemon| {
        daemon.total("py.users", "sum").filter(|sum| *sum >= 2.0)
    });
}

#[test]
fn python_datadog() {
    let mut daemon = Daemon::start();
    let script = "
import sys
from datadog.dogstatsd import DogStatsd
c = DogStatsd(host='127.0.0.1', port=int(sys.argv[1]), namespace='dd', constant_tags=['env:prod'], telemetry_min_flush_interval=86400,
              disable_buffering=True, disable_telemetry=True)
for _ in range(10): c.increment('hits', tags=['az:b'])
c.decrement('hits', 3, tags=['az:b'])
c.histogram('size', 12.5); c.histogram('size', 7.5)
c.distribution('spread', 4)
c.timing('request', 250)
c.gauge('level', -4)
c.set('users', 'ann')
c.event('deploy', 'done'); c.service_check('db', 0)
c.flush()
";
    python(script, &[&port(&daemon)]);
    daemon.await_total("dd.hits@az=b,env=prod", "sum", 7.0);
    daemon.await_total("dd.size@env=prod", "sum", 20.0);
    daemon.await_total("dd.spread@env=prod", "count", 1.0);
    daemon.await_total("dd.request@env=prod", "sum", 250.0);
    daemon.await_newest("dd.level@env=prod", "last", -4.0);
    daemon.await_newest("dd.users@env=prod", "max", 1.0);
    daemon.await_counter("orzo_statsd_skipped_total", "", 2);
    daemon.await_counter("orzo_statsd_dropped_total", "", 0);
}

#[test]
fn node_hot_shots() {
    let mut daemon = Daemon::start();
    let script = "
const StatsD = require('hot-shots');
const c = new StatsD({host: '127.0.0.1', port: +process.argv[1], prefix: 'hs.', globalTags: {env: 'prod'}, maxBufferSize: 1000,
                      errorHandler: e => { console.error(e); process.exit(1); }});
for (let i = 0; i < 500; i++) c.increment('hits');
c.increment('hits', 10, 1, ['az:b']);
c.timing('request', 42); c.histogram('size', 3); c.distribution('spread', 9);
c.gauge('level', 11); c.unique('users', 'ann');
c.close(e => process.exit(e ? 1 : 0));
";
    let modules = clients().join("node_modules");
    run(Command::new("node").env("NODE_PATH", modules).args(["-e", script, &port(&daemon)]));
    daemon.await_total("hs.hits@env=prod", "count", 500.0);
    daemon.await_total("hs.hits@az=b,env=prod", "sum", 10.0);
    daemon.await_total("hs.request@env=prod", "sum", 42.0);
    daemon.await_total("hs.size@env=prod", "sum", 3.0);
    daemon.await_total("hs.spread@env=prod", "sum", 9.0);
    daemon.await_newest("hs.level@env=prod", "last", 11.0);
    daemon.await_newest("hs.users@env=prod", "max", 1.0);
    daemon.await_counter("orzo_statsd_dropped_total", "", 0);
}
