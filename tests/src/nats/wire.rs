//! As much of the NATS protocol as it takes to ask a server whether it is ready, without a client of any kind.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::user::User;

/// How long a server may take to answer before it counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection on which the server has introduced itself.
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
    info: serde_json::Value,
}

impl Wire {
    pub(super) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        let line = read_line(&mut stream)?;
        let info = line.strip_prefix("INFO ").unwrap_or_default();
        let info = serde_json::from_str(info)?;
        Ok(Self { stream, info })
    }

    /// Whether the server has JetStream.
    pub(super) fn has_jetstream(&self) -> bool {
        self.info["jetstream"] == true
    }

    /// Asks the server whether it is healthy: its streams are there, and in a cluster it follows the leader.
    pub(super) fn ask_health(mut self) -> io::Result<bool> {
        let id = self.info["server_id"].as_str().unwrap_or_default();
        let subject = format!("$SYS.REQ.SERVER.{id}.HEALTHZ");
        let answer = self.request(User::System, &subject)?;
        Ok(answer["data"]["status"] == "ok")
    }

    fn request(&mut self, user: User, subject: &str) -> io::Result<serde_json::Value> {
        let login = serde_json::json!({
            "verbose": false, "pedantic": false, "user": user.name(), "pass": user.password(),
        });
        let text = format!("CONNECT {login}\r\nSUB answer 1\r\nPUB {subject} answer 0\r\n\r\n");
        self.stream.get_mut().write_all(text.as_bytes())?;
        loop {
            let line = read_line(&mut self.stream)?;
            if line.starts_with("PING") {
                self.stream.get_mut().write_all(b"PONG\r\n")?;
            } else if line.starts_with("-ERR") {
                return Err(io::Error::other(line));
            } else if line.starts_with("MSG ") {
                let length = line.rsplit(' ').next().and_then(|text| text.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                self.stream.read_exact(&mut body)?;
                return Ok(serde_json::from_slice(&body)?);
            }
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}
