//! A connection whose peer takes what it is sent: one that takes nothing for a while is left.
//!
//! An answer may be long under way, but not because nobody reads it: its place is one among few, and it needs no login.

use std::future::Future as _;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

#[derive(Debug)]
pub(super) struct Flowing<S> {
    stream: S,
    most: Duration,
    /// Since nothing is taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Flowing<S> {
    /// `most` is how long the peer may take nothing.
    pub(super) const fn new(stream: S, most: Duration) -> Self {
        Self { stream, most, stalled: None }
    }

    fn watched<T>(&mut self, context: &mut Context<'_>, moved: Poll<Result<T>>) -> Poll<Result<T>> {
        if moved.is_ready() {
            self.stalled = None;
            return moved;
        }
        let most = self.most;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the peer reads nothing"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flowing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flowing<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, moved)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(context, moved)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_left_and_one_that_reads_slowly_is_not() {
        let (near, mut far) = duplex(8);
        let mut flowing = Flowing::new(near, SOON);
        let reading = async {
            let mut bytes = [0; 4];
            for _ in 0..16 {
                sleep(SOON / 8).await; // WAIT: a reader that is slow
                far.read_exact(&mut bytes).await.unwrap();
            }
            far
        };
        let (written, far) = tokio::join!(flowing.write_all(&[7; 64]), reading);
        written.unwrap();
        let stalled = flowing.write_all(&[7; 64]).await.unwrap_err();
        assert_eq!(stalled.kind(), ErrorKind::TimedOut);
        drop(far);
    }
}
