//! Starting, feeding, reading and killing a daemon.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// The program under test.
pub(crate) const ORZO: &str = env!("CARGO_BIN_EXE_orzo");

/// `admin` without a password.
pub(crate) const ADMIN: &str = "Basic YWRtaW46";

/// A daemon, its data and its addresses. Killed when dropped.
pub(crate) struct Daemon {
    child: Option<Child>,
    dir: TempDir,
    /// Address of the API.
    pub(crate) http: SocketAddr,
    /// Address of statsd, UDP and TCP.
    pub(crate) statsd: SocketAddr,
    extra: String,
    extra_http: String,
    /// Shell words before the command; none: no shell.
    wrapper: String,
    environment: Vec<(String, String)>,
}

/// What the daemon answers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: ureq::http::HeaderMap,
    text: String,
}

impl Answer {
    /// The body as JSON if it is, else as a string.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| Value::String(self.text.clone()))
    }

    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Daemon {
    /// With the defaults, but a quick flush.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With keys of `[statsd]`, and further sections after them; `{dir}` stands for the daemon's own directory.
    pub(crate) fn start_with(extra: &str) -> Self {
        Self::start_configured(extra, "")
    }

    /// With keys of `[http]`.
    pub(crate) fn start_with_http(extra: &str) -> Self {
        Self::start_configured("", extra)
    }

    /// Configured, but not started.
    pub(crate) fn idle() -> Self {
        let daemon = Self::prepare("");
        fs::write(daemon.path("orzo.toml"), daemon.config()).unwrap();
        daemon
    }

    /// A command of the program with this daemon's configuration.
    pub(crate) fn command(&self, args: &[&str]) -> Output {
        let config = self.path("orzo.toml");
        Command::new(ORZO).args(args).args(["--config", config.to_str().unwrap()]).output().unwrap()
    }

    /// A variable for the next start.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    fn start_configured(extra: &str, extra_http: &str) -> Self {
        let mut daemon = Self::prepare(extra);
        daemon.extra_http = extra_http.to_owned();
        daemon.start_again();
        daemon
    }

    /// As [`Daemon::start_with`], but not started yet.
    pub(crate) fn prepare(extra: &str) -> Self {
        let (dir, http, statsd) = (tempfile::tempdir().unwrap(), free_address(), free_address());
        let (extra, extra_http, wrapper) = (extra.to_owned(), String::new(), String::new());
        let environment = Vec::new();
        Daemon { child: None, dir, http, statsd, extra, extra_http, wrapper, environment }
    }

    /// Other keys of `[statsd]` from the next start on.
    pub(crate) fn reconfigure(&mut self, extra: &str) {
        self.extra = extra.to_owned();
    }

    /// Starts the daemon from now on behind these words of a shell; they must end in `exec`.
    pub(crate) fn wrap(&mut self, words: &str) {
        self.wrapper = words.to_owned();
    }

    /// After a stop or a kill: the same data, the same addresses.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        self.spawn();
        self.eventually("the daemon is ready", |daemon| daemon.try_get("/").ok());
    }

    /// Starts the process without waiting for it.
    pub(crate) fn spawn(&mut self) {
        fs::write(self.path("orzo.toml"), self.config()).unwrap();
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(if self.wrapper.is_empty() { ORZO } else { "sh" });
        if !self.wrapper.is_empty() {
            command.arg("-c").arg(format!("{} \"$@\"", self.wrapper)).args(["sh", ORZO]);
        }
        command.arg("serve").arg("--config").arg(self.path("orzo.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    fn config(&self) -> String {
        let (http, statsd, data) = (self.http, self.statsd, self.path("data"));
        let extra_http = &self.extra_http;
        let extra = self.extra.replace("{dir}", &self.dir.path().to_string_lossy());
        format!(
            "data_dir = {data:?}\n[http]\nlisten = \"{http}\"\n{extra_http}\n[statsd]\nudp = [\"{statsd}\"]\ntcp = [\"{statsd}\"]\n\
             flush_interval = \"200ms\"\n{extra}\n"
        )
    }

    /// A path in the daemon's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and the exit it leads to.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let status = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
        assert!(status.success());
        wait_for("the daemon to end", || child.try_wait().unwrap())
    }

    /// Waits until `look` sees something.
    #[track_caller]
    pub(crate) fn eventually<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(ended.is_none(), "the daemon ended ({ended:?}) before {what}:\n{}", log());
            assert!(Instant::now() < deadline, "in vain: {what}\n{}", log());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// One datagram.
    pub(crate) fn send_udp(&self, text: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(text.as_bytes(), self.statsd).unwrap();
    }

    /// One connection, closed behind the text.
    pub(crate) fn send_tcp(&self, text: &str) {
        TcpStream::connect(self.statsd).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Status and body, as `admin`.
    pub(crate) fn try_get(&self, path: &str) -> Result<(u16, Value), ureq::Error> {
        self.call("GET", path, None, Some(ADMIN))
    }

    /// The body of an answer that must be 200.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.try_get(path).unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// As `admin`; status and body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, Some(body), Some(ADMIN)).unwrap()
    }

    /// A request with a body in JSON or none. The answer's body comes back as JSON if it is, else as a string.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        authorization: Option<&str>,
    ) -> Result<(u16, Value), ureq::Error> {
        let authorization = authorization.map(|value| ("Authorization", value));
        let content_type = body.map(|_| ("Content-Type", "application/json"));
        let headers: Vec<_> = authorization.into_iter().chain(content_type).collect();
        let text = body.map(Value::to_string).unwrap_or_default();
        let answer = self.exchange(method, path, &headers, &text)?;
        Ok((answer.status, answer.value()))
    }

    /// Any request.
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = config.build().into();
        let uri = format!("http://{}{path}", self.http);
        let request = ureq::http::Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut response = agent.run(request.body(body).expect("a well-formed request"))?;
        // Long runs store more than the client takes by itself.
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), text })
    }

    /// Metrics of a resource: id by name; none if there is no such resource.
    pub(crate) fn metrics_of(&self, resource: &str) -> BTreeMap<String, String> {
        let (status, body) = self.try_get(&format!("/v1/resource/generic/{resource}/metric")).unwrap();
        let metrics = if status == 200 { body.as_array().unwrap().clone() } else { Vec::new() };
        let text = |metric: &Value, key: &str| metric[key].as_str().unwrap().to_owned();
        metrics.iter().map(|metric| (text(metric, "name"), text(metric, "id"))).collect()
    }

    /// Values by bucket of a metric; `None` if it does not exist.
    pub(crate) fn column_of(
        &self,
        resource: &str,
        name: &str,
        method: &str,
        granularity: u64,
    ) -> Option<Vec<(String, f64)>> {
        let id = self.metrics_of(resource).remove(name)?;
        let path = format!("/v1/metric/{id}/measures?aggregation={method}&granularity={granularity}");
        let measures = self.get(&path);
        let pair = |measure: &Value| (measure[0].as_str().unwrap().to_owned(), measure[2].as_f64().unwrap());
        Some(measures.as_array().unwrap().iter().map(pair).collect())
    }

    /// Sum over all minutes of a metric of the statsd resource.
    pub(crate) fn total(&self, name: &str, method: &str) -> Option<f64> {
        let column = self.column_of("statsd", name, method, 60)?;
        if column.is_empty() { None } else { Some(column.iter().map(|(_, value)| value).sum()) }
    }

    /// Waits for a total.
    #[track_caller]
    pub(crate) fn await_total(&mut self, name: &str, method: &str, expected: f64) {
        let mut seen = None;
        let what = format!("{method} of {name} is {expected}");
        self.eventually(&what, |daemon| {
            seen = daemon.total(name, method);
            if seen.is_some_and(|seen| seen > expected) {
                panic!("{what}, but it is {seen:?} already");
            }
            (seen == Some(expected)).then_some(())
        });
    }

    /// The newest value of a metric of the statsd resource.
    pub(crate) fn newest(&self, name: &str, method: &str) -> Option<f64> {
        self.column_of("statsd", name, method, 60)?.last().map(|(_, value)| *value)
    }

    /// Waits for the newest value.
    #[track_caller]
    pub(crate) fn await_newest(&mut self, name: &str, method: &str, expected: f64) {
        let what = format!("newest {method} of {name} is {expected}");
        self.eventually(&what, |daemon| (daemon.newest(name, method) == Some(expected)).then_some(()));
    }

    /// `/metrics` as text.
    pub(crate) fn scrape(&self) -> String {
        match self.get("/metrics") {
            Value::String(text) => text,
            other => panic!("not text: {other}"),
        }
    }

    /// A counter, added up over the series whose labels contain `label`.
    pub(crate) fn counter(&self, name: &str, label: &str) -> u64 {
        let series = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
        let scrape = self.scrape();
        let lines = scrape.lines().filter(series).filter(|line| line.contains(label));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
    }

    /// Waits for a counter.
    #[track_caller]
    pub(crate) fn await_counter(&mut self, name: &str, label: &str, expected: u64) {
        let what = format!("{name} {label} is {expected}");
        self.eventually(&what, |daemon| (daemon.counter(name, label) == expected).then_some(()));
    }

    /// The load generator against this daemon.
    pub(crate) fn blast(&self, args: &[&str]) -> Output {
        let url = format!("http://{}", self.http);
        let output = Command::new(ORZO).arg("blast").args(args).args(["--http", &url]).output().unwrap();
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            println!("--- log of the daemon\n{}", fs::read_to_string(self.path("log")).unwrap_or_default());
        }
    }
}

/// A loopback address whose port is free for TCP and UDP.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Waits until `look` sees something, where no daemon is involved.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "in vain: waiting for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Where `scripts/clients` put the programs that tests drive.
pub(crate) fn clients() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let dir = std::env::var_os("ORZO_CLIENTS").map(PathBuf::from);
    let dir = dir.or_else(|| Some(cache()?.join("orzo/clients"))).expect("HOME is set");
    assert!(dir.join("installed").exists(), "no clients in {dir:?}: run scripts/clients first");
    dir
}
