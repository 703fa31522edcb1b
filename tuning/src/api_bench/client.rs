//! One connection to the daemon that stays open, and just enough HTTP for it: a general client costs as much as the
//! daemon whose cost is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::blast::Error;

/// An answer that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where and as whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Site {
    address: SocketAddr,
    host: String,
    prefix: String,
    credentials: String,
}

impl Site {
    /// From `http://host:port`, with the prefix if there is one. Only this machine is asked.
    pub(super) fn new(url: &str, user: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Options(format!("{url}: {why}"));
        let rest = url.strip_prefix("http://").ok_or_else(|| bad("it does not begin with http://"))?;
        let (host, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut addresses = host.to_socket_addrs().map_err(|why| bad(&why.to_string()))?;
        let address = addresses.next().ok_or_else(|| bad("it has no address"))?;
        if !address.ip().is_loopback() {
            return Err(bad("it is not a loopback address"));
        }
        let credentials = STANDARD.encode(format!("{user}:"));
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Site { address, host: host.to_owned(), prefix, credentials })
    }

    pub(super) fn connect(&self) -> Result<Connection<'_>, Error> {
        let failed = Error::io(format!("connecting to {}", self.address));
        let stream = TcpStream::connect(self.address).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        Ok(Connection { site: self, stream: BufReader::with_capacity(1 << 16, stream.map_err(failed)?) })
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: String,
    /// JSON, or empty.
    pub(super) body: String,
}

impl Ask {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Ask { method: "GET", path: path.into(), body: String::new() }
    }

    pub(super) fn post(path: impl Into<String>, body: impl ToString) -> Self {
        Ask { method: "POST", path: path.into(), body: body.to_string() }
    }
}

/// A connection.
pub(super) struct Connection<'s> {
    site: &'s Site,
    stream: BufReader<TcpStream>,
}

impl Connection<'_> {
    /// The body of an answer that must be a success.
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Vec<u8>, Error> {
        let (status, body) = self.exchange(ask).map_err(Error::io(format!("{} {}", ask.method, ask.path)))?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let start: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        Err(Error::Api(format!("{} {}: status {status}: {start}", ask.method, ask.path)))
    }

    fn exchange(&mut self, ask: &Ask) -> std::io::Result<(u16, Vec<u8>)> {
        let Site { host, prefix, credentials, .. } = self.site;
        let mut text = format!(
            "{} {prefix}{} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nAuthorization: Basic {credentials}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            ask.method,
            ask.path,
            ask.body.len()
        );
        text.push_str(&ask.body);
        self.stream.get_mut().write_all(text.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn only_loopback_is_asked() {
        assert!(
            Site::new("http://127.0.0.1:8041/gnocchi/", "admin").is_ok_and(|site| site.prefix == "/gnocchi")
        );
        for url in ["http://192.0.2.1:8041", "https://127.0.0.1:8041", "127.0.0.1:8041"] {
            assert!(matches!(Site::new(url, "admin"), Err(Error::Options(_))), "{url}");
        }
    }

    #[test]
    fn a_connection_carries_one_exchange_after_the_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Site::new(&format!("http://{}", listener.local_addr().unwrap()), "u").unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = [0; 4096];
            for answer in
                ["200 OK\r\ncontent-length: 2\r\n\r\nab", "404 Not Found\r\nContent-Length: 1\r\n\r\nx"]
            {
                assert!(stream.read(&mut seen).unwrap() > 0);
                write!(stream, "HTTP/1.1 {answer}").unwrap();
            }
        });
        let mut connection = site.connect().unwrap();
        assert_eq!(connection.ask(&Ask::get("/v1/metric")).unwrap(), b"ab");
        assert!(
            connection
                .ask(&Ask::post("/v1/metric", "{}"))
                .is_err_and(|why| why.to_string().contains("404: x"))
        );
        server.join().unwrap();
    }
}
