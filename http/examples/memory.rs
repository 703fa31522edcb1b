//! The API over an index and an engine in memory, on `127.0.0.1:$PORT` below `/gnocchi`, set up as the
//! reference's own functional tests want it. Nothing survives the process.

use std::sync::Arc;
use std::time::SystemTime;

use orzo_http::{Api, Config, Ctx, Server};
use orzo_model::Timestamp;
use orzo_store::index::KvIndex;
use orzo_store::memory::MemoryKv;

#[path = "../tests/support/mod.rs"]
mod support;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    Timestamp::saturating_from_ns(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let config = Config {
        prefix: "/gnocchi".to_owned(),
        proxy_headers: true,
        max_limit: 7,
        cors_allowed_origins: vec!["http://foobar.com".to_owned()],
        ..Config::default()
    };
    let index = Arc::new(KvIndex::open(Arc::new(MemoryKv::new()))?);
    let engine = Arc::new(support::MemoryEngine::default());
    let server = Server::new(Api::new(config, Ctx { index, engine, clock: now })?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let stop = async { drop(tokio::signal::ctrl_c().await) };
        server.serve(listener, stop).await;
        Ok(())
    })
}
