//! A server of its own for each test, and a client that speaks just enough HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use orzo_http::{Api, Config, Ctx, Drained, Engine, Server};
use orzo_model::{SECOND, Timestamp};
use orzo_store::index::KvIndex;
use orzo_store::memory::MemoryKv;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::MemoryEngine;

/// 2024-01-01, and a millisecond later with each look at it.
pub(crate) fn clock() -> Timestamp {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    let ms = TICKS.fetch_add(1, Ordering::Relaxed);
    Timestamp::from_ns(1_704_067_200 * SECOND + ms * 1_000_000).unwrap()
}

/// The API over empty stores.
pub(crate) fn api(config: Config) -> Api {
    api_over(Arc::new(MemoryKv::new()), Arc::new(MemoryEngine::default()), config)
}

fn api_over(kv: Arc<MemoryKv>, engine: Arc<dyn Engine>, config: Config) -> Api {
    let index = Arc::new(KvIndex::open(kv).unwrap());
    Api::new(config, Ctx { index, engine, clock }).unwrap()
}

/// A running server.
pub(crate) struct Site {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Drained>>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Site::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Site::over(Arc::new(MemoryKv::new()), config)
    }

    pub(crate) fn over(kv: Arc<MemoryKv>, config: Config) -> Self {
        Site::of(api_over(kv, Arc::new(MemoryEngine::default()), config))
    }

    pub(crate) fn with_engine(engine: Arc<dyn Engine>, config: Config) -> Self {
        Site::of(api_over(Arc::new(MemoryKv::new()), engine, config))
    }

    fn of(api: Api) -> Self {
        let server = Server::new(api).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                server.serve(listener, async { drop(stopped.await) }).await
            })
        });
        Site { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    /// Stops the server and says how it ended.
    pub(crate) fn stop(&mut self) -> Drained {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// A request of a user, who accepts JSON.
    pub(crate) fn ask(&self, user: &str, method: &str, path: &str) -> Ask<'_> {
        let credentials =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{user}:x"));
        self.nobody(method, path)
            .header("Authorization", &format!("Basic {credentials}"))
            .header("Accept", "application/json")
    }

    /// A request without any header.
    pub(crate) fn nobody(&self, method: &str, path: &str) -> Ask<'_> {
        Ask {
            site: self,
            line: format!("{method} {path} HTTP/1.1"),
            headers: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("admin", "GET", path).send()
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("admin", "POST", path).json(body)
    }

    pub(crate) fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask("admin", "PATCH", path).json(body)
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.ask("admin", "DELETE", path).send()
    }

    /// A policy `low` of one-minute and one-hour buckets, and a rule that gives it to everything.
    pub(crate) fn with_policy(self) -> Self {
        let definition = json!([{"granularity": "1m", "points": 1440}, {"granularity": "1h", "points": 720}]);
        let methods = json!(["mean", "min", "max", "sum", "count"]);
        let policy = json!({"name": "low", "definition": definition, "aggregation_methods": methods});
        self.post("/v1/archive_policy", policy).expect(201);
        let rule = json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "low"});
        self.post("/v1/archive_policy_rule", rule).expect(201);
        self
    }

    /// Makes a metric and says its id.
    pub(crate) fn metric(&self, user: &str, body: Value) -> String {
        self.ask(user, "POST", "/v1/metric").json(body).expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    /// Makes a resource and says its UUID.
    pub(crate) fn resource(&self, user: &str, resource_type: &str, body: Value) -> String {
        let path = format!("/v1/resource/{resource_type}");
        self.ask(user, "POST", &path).json(body).expect(201).json()["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

/// A request to be sent.
pub(crate) struct Ask<'a> {
    site: &'a Site,
    line: String,
    headers: String,
    body: Vec<u8>,
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn json(self, body: Value) -> Reply {
        self.header("Content-Type", "application/json").body(body.to_string().as_bytes()).send()
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn send(self) -> Reply {
        let mut stream = self.site.connect();
        let Ask { line, headers, body, .. } = self;
        let length = if headers.contains("chunked") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("{line}\r\nHost: here\r\nConnection: close\r\n{length}{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Reply::read(&answer)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn read(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Reply {
            status: line.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.split("\r\n").filter_map(header).collect(),
            body: String::from_utf8(answer[end + 4..].to_vec()).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The status, and a text that the body holds.
    #[track_caller]
    pub(crate) fn says(self, status: u16, text: &str) {
        let reply = self.expect(status);
        assert!(reply.body.contains(text), "{text}: {}", reply.body);
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The description of an error.
    pub(crate) fn description(&self) -> Value {
        self.json()["description"].clone()
    }
}
