//! A client that connects and says nothing is not waited for.
//!
//! hyper bounds the time for a request's head, but not the time before it knows which protocol is spoken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The client preface of HTTP/2 (RFC 9113 section 3.4), by which the protocol is known.
const PREFACE_BYTES: usize = 24;

/// Fails to read when the first bytes do not come in time.
pub struct FirstBytes<I> {
    io: I,
    awaited_bytes: usize,
    /// None once they have come.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<I> FirstBytes<I> {
    pub fn of(io: I, within: Duration) -> Self {
        Self { io, awaited_bytes: PREFACE_BYTES, deadline: Some(Box::pin(sleep(within))) }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for FirstBytes<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        let Some(deadline) = &mut self.deadline else { return read };
        if read.is_pending() {
            return deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        self.awaited_bytes = self.awaited_bytes.saturating_sub(buf.filled().len() - filled);
        if self.awaited_bytes == 0 {
            self.deadline = None;
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FirstBytes<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn silence_and_half_a_preface_end_in_time() {
        for said in [&b""[..], b"PRI * HTTP"] {
            let (mut client, server) = duplex(64);
            client.write_all(said).await.unwrap();
            let mut server = FirstBytes::of(server, PATIENCE);
            let mut read = Vec::new();
            let error = server.read_to_end(&mut read).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(read, said);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_spoken_may_be_silent() {
        let (mut client, server) = duplex(64);
        let mut server = FirstBytes::of(server, PATIENCE);
        client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        server.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let later = tokio::time::timeout(PATIENCE * 10, server.read_u8()).await;
        assert!(later.is_err(), "still reading");
    }
}
