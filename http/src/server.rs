//! The API on a socket: connections, their bounds, and the end of it all.
//!
//! Per request a small asynchronous shell reads the bounded body and hands it to [`Api::handle`] on a
//! blocking thread, see [`desk`](crate::desk). Stopping is orderly: no new connections, requests under way end, idle connections
//! are closed, and what is left after a deadline is cut.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{StatusCode, http};
use hyper_util::rt::{TokioIo, TokioTimer};
use orzo_store::index::put_off;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api::Api;
use crate::config::Limits;
use crate::desk::{Desk, Task, Then};
use crate::error::{ApiError, Outcome};
use crate::patience::Patience;
use crate::response::Response;
use crate::socket::Socket;

/// How long to wait when the kernel cannot give out a connection, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Unit in which bytes of bodies are counted.
const BODY_UNIT: usize = 1 << 10;

/// The API on a socket.
pub struct Server {
    shell: Arc<Shell>,
}

/// Where a server keeps its API: it can be exchanged while requests are answered. Clones share it.
#[derive(Clone)]
pub struct ApiSlot(Arc<RwLock<Arc<Api>>>);

impl ApiSlot {
    fn new(api: Api) -> Self {
        ApiSlot(Arc::new(RwLock::new(Arc::new(api))))
    }

    /// Requests that come from now on are answered by another API; the server's own bounds stay.
    pub fn replace(&self, api: Api) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(api);
    }

    fn get(&self) -> Arc<Api> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What all connections share.
struct Shell {
    api: ApiSlot,
    limits: Limits,
    handlers: Semaphore,
    body_units: Arc<Semaphore>,
    desk: Desk,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their requests did not end in time.
    pub cut: usize,
}

impl Server {
    /// A server for an API.
    ///
    /// # Errors
    /// The system has no threads to give.
    pub fn new(api: Api) -> io::Result<Self> {
        let limits = api.config.limits;
        let body_units = (limits.bodies_bytes / BODY_UNIT).min(Semaphore::MAX_PERMITS);
        let (handlers, body_units) = (Semaphore::new(limits.handlers), Arc::new(Semaphore::new(body_units)));
        let desk = Desk::new(api.ctx.index.clone())?;
        let api = ApiSlot::new(api);
        Ok(Server { shell: Arc::new(Shell { api, limits, handlers, body_units, desk }) })
    }

    /// The way to exchange the API later.
    pub fn slot(&self) -> ApiSlot {
        self.shell.api.clone()
    }

    /// Serves until `stop` is ready, then lets requests under way end.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Drained {
        let mut stop = pin!(stop);
        let slots = Arc::new(Semaphore::new(self.shell.limits.connections));
        let (ending, end) = watch::channel(false);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = accept(&listener, &slots) => match accepted {
                    Ok((stream, slot)) => {
                        connections.spawn(connection(self.shell.clone(), stream, end.clone(), slot));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        ending.send_replace(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(self.shell.limits.drain, all_ended).await;
        let cut = connections.len();
        connections.shutdown().await;
        Drained { cut }
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.expect("never closed");
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn connection(
    shell: Arc<Shell>,
    stream: TcpStream,
    mut end: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) {
    let limits = shell.limits;
    let socket = Socket::new(stream);
    let io = TokioIo::new(socket.clone());
    let service = service_fn(move |request| answer(shell.clone(), socket.clone(), request));
    let mut builder = http1::Builder::new();
    builder
        // Who sends no more may listen on, for a while: `answer` sees to that.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.header_bytes.max(8 << 10));
    let mut connection = pin!(builder.serve_connection(io, service));
    let told_to_end = async { end.wait_for(|ending| *ending).await.map(drop) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = told_to_end => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

type HttpRequest = http::Request<Incoming>;
type HttpResponse = http::Response<Full<Bytes>>;

/// The client has gone: nobody is answered.
#[derive(Debug, thiserror::Error)]
#[error("the client went away before it was answered")]
struct Gone;

async fn answer(shell: Arc<Shell>, socket: Socket, request: HttpRequest) -> Result<HttpResponse, Gone> {
    let (parts, body) = request.into_parts();
    let response = match read_body(&shell, body).await {
        Ok((body, _units)) => tokio::select! {
            biased;
            response = work(&shell, parts, body) => response,
            () = socket.departure() => return Err(Gone),
        },
        Err(error) => shell.api.get().refuse(&parts.headers, error),
    };
    Ok(into_http(response))
}

/// Has the handler run, and waits until what it wrote is durable.
async fn work(shell: &Arc<Shell>, parts: http::request::Parts, body: Bytes) -> Response {
    let headers = parts.headers.clone();
    let _turn = shell.handlers.acquire().await.expect("never closed");
    // Dropped with this future, which is dropped when the client goes away.
    let (patience, _waiting) = Patience::new(shell.limits.query);
    let (answered, answer) = oneshot::channel();
    let api = shell.api.get();
    let at_desk = api.changes_one_object(&parts, &body);
    let task: Task = Box::new(move || {
        let (response, owes_sync) = put_off(|| api.handle(parts, body, &patience));
        // Who has gone does not want to know, here and below.
        if !owes_sync {
            drop(answered.send(Some(response)));
            return None;
        }
        let then: Then = Box::new(move |synced| drop(answered.send(synced.then_some(response))));
        Some(then)
    });
    if at_desk {
        shell.desk.take(task);
    } else {
        shell.desk.send_away(task);
    }
    let error = match answer.await {
        Ok(Some(response)) => return response,
        Ok(None) => ApiError::unavailable("The index is not available."),
        Err(_) => {
            tracing::error!("a handler panicked");
            ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    shell.api.get().refuse(&headers, error)
}

/// The whole body, and the room it takes until the request is answered.
async fn read_body(shell: &Shell, body: Incoming) -> Outcome<(Bytes, Vec<OwnedSemaphorePermit>)> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), Vec::new()));
    }
    if body.size_hint().lower() > shell.limits.body_bytes as u64 {
        return Err(ApiError::plain(StatusCode::PAYLOAD_TOO_LARGE));
    }
    match timeout(shell.limits.body, collect(shell, body)).await {
        Ok(collected) => collected,
        Err(_) => Err(ApiError::plain(StatusCode::REQUEST_TIMEOUT)),
    }
}

async fn collect(shell: &Shell, mut body: Incoming) -> Outcome<(Bytes, Vec<OwnedSemaphorePermit>)> {
    let expected = body.size_hint().lower() as usize;
    let mut units = vec![reserve(shell, expected)?];
    let mut reserved = expected;
    let mut bytes = Vec::with_capacity(expected);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(ApiError::bad("the body ended too early")) };
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > shell.limits.body_bytes {
            return Err(ApiError::plain(StatusCode::PAYLOAD_TOO_LARGE));
        }
        bytes.extend_from_slice(data);
        if bytes.len() > reserved {
            units.push(reserve(shell, bytes.len())?);
            reserved += bytes.len();
        }
    }
    Ok((bytes.into(), units))
}

/// Room for so many bytes of a body, or 503.
fn reserve(shell: &Shell, bytes: usize) -> Outcome<OwnedSemaphorePermit> {
    let units = u32::try_from(bytes / BODY_UNIT + 1).unwrap_or(u32::MAX);
    shell.body_units.clone().try_acquire_many_owned(units).map_err(|_| {
        ApiError::plain(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
    })
}

fn into_http(response: Response) -> HttpResponse {
    let mut out = http::Response::new(Full::new(response.body));
    *out.status_mut() = response.status;
    *out.headers_mut() = response.headers;
    out
}
