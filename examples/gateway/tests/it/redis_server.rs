//! A Redis server that a test starts.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where nothing else listens: nobody takes a port before the server has it.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// One on a port of its own, which ends with the test.
pub(crate) struct Server(Child, SocketAddr);

impl Server {
    /// `None`, said aloud, where there is no `redis-server`; where it must be there, a failure.
    pub(crate) async fn start() -> Option<Self> {
        let address = TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap();
        let spawned = Command::new("redis-server")
            .args([
                "--port",
                &address.port().to_string(),
                "--bind",
                &HOST.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--dir", &std::env::temp_dir().to_string_lossy()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            assert!(std::env::var_os("RAMPART_REQUIRE_REDIS").is_none(), "no redis-server, and it must be there");
            // Not by a macro, whose output a passing test keeps to itself.
            std::io::stderr().write_all(b"SKIPPED: no `redis-server` in PATH\n").unwrap();
            return None;
        };
        let server = Self(child, address);
        for _ in 0..500 {
            if server.answers() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.1)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.1) else { return false };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG"
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
