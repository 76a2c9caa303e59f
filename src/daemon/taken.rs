//! A connection that is kept only as long as the other end takes what is written to it.
//!
//! Who asks and never reads would otherwise hold a connection, and with `/api/events` a place among the readers, for ever.
//! How much lies there untaken is known by the kernel ([`socket::untaken`]); whether it is taken byte by byte or at once is
//! the client's affair. Of a connection that becomes something else, such as a terminal that a person has suspended,
//! nothing is expected any more.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::sys::socket;

/// From now on the other end may take its time.
#[derive(Debug, Clone, Default)]
pub struct AtLeisure(Arc<AtomicBool>);

impl AtLeisure {
    pub fn grant(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_granted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct Taken<S> {
    stream: S,
    patience: Duration,
    at_leisure: AtLeisure,
    /// What the other end had not taken yet when this was looked at last, in bytes and what the kernel adds.
    untaken: usize,
    /// When it was last seen to have taken something, or to have nothing to take.
    moved_at: Instant,
    timer: Pin<Box<Sleep>>,
    /// All that was to be said is said.
    is_shut: bool,
}

/// How long an end is listened to after the last word was said to it.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl<S: AsFd> Taken<S> {
    pub fn new(stream: S, patience: Duration, at_leisure: AtLeisure) -> Self {
        let (moved_at, timer) = (Instant::now(), Box::pin(tokio::time::sleep(patience)));
        Self { stream, patience, at_leisure, untaken: 0, moved_at, timer, is_shut: false }
    }

    fn count(&self) -> usize {
        // Where the kernel does not say, nobody is hung up on.
        socket::untaken(&self.stream).unwrap_or(0)
    }

    fn look(&mut self) {
        let now = self.count();
        if now == 0 || now < self.untaken {
            self.moved_at = Instant::now();
        }
        self.untaken = now;
    }

    /// An error when nothing was taken for too long; else this task is woken when that may be so.
    fn expect_progress(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.untaken == 0 || self.at_leisure.is_granted() {
            return Ok(());
        }
        while self.timer.as_mut().poll(context).is_ready() {
            self.look();
            if self.untaken == 0 {
                return Ok(());
            }
            let due = self.moved_at + self.patience;
            if due <= Instant::now() {
                tracing::info!("hung up on a client that took nothing of its answer for {:?}", self.patience);
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(due);
        }
        Ok(())
    }

    /// After something was written, or could not be.
    fn judged(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.untaken = self.count();
        }
        match self.expect_progress(context) {
            Ok(()) => written,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncRead + AsFd + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + AsFd + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.look();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judged(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.judged(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.expect_progress(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Who was answered before it had sent everything may still be sending: were nobody there to take that, it would be told
    /// of a broken pipe and not look at its answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.is_shut = true;
            self.timer.as_mut().reset(Instant::now() + LAST_WORDS);
        }
        let mut sink = [0; 4 << 10];
        while self.timer.as_mut().poll(context).is_pending() {
            let mut words = ReadBuf::new(&mut sink);
            match Pin::new(&mut self.stream).poll_read(context, &mut words) {
                Poll::Ready(Ok(())) if !words.filled().is_empty() => {}
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    /// A stream, its other end, and the leave to take one's time.
    fn pair() -> (Taken<UnixStream>, UnixStream, AtLeisure) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let at_leisure = AtLeisure::default();
        (Taken::new(ours, PATIENCE, at_leisure.clone()), theirs, at_leisure)
    }

    async fn write_for_ever(stream: &mut Taken<UnixStream>, mut wait: Duration) -> io::Error {
        loop {
            if let Err(error) = stream.write_all(&[b'x'; 100]).await {
                return error;
            }
            tokio::time::sleep(wait).await;
            wait = wait.max(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_is_hung_up_on_whether_the_socket_is_full_or_nearly_empty() {
        for pause in [Duration::ZERO, PATIENCE / 3] {
            let (mut stream, _theirs, _) = pair();
            assert_eq!(write_for_ever(&mut stream, pause).await.kind(), io::ErrorKind::TimedOut);
        }
        // Also when there is nothing more to say.
        let (mut stream, _theirs, _) = pair();
        stream.write_all(b"x").await.unwrap();
        let flushed = std::future::poll_fn(|context| match Pin::new(&mut stream).poll_flush(context) {
            Poll::Ready(Ok(())) => Poll::Pending,
            done => done,
        });
        assert_eq!(flushed.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_is_slow_is_not_and_who_said_nothing_is_asked_of_nothing() {
        let (mut stream, mut theirs, _) = pair();
        tokio::time::sleep(PATIENCE * 4).await;
        for _ in 0..20 {
            stream.write_all(&[b'x'; 100]).await.unwrap();
            stream.write_all(&[b'x'; 100]).await.unwrap();
            tokio::time::sleep(PATIENCE * 9 / 10).await;
            // Half of what is written.
            theirs.read_exact(&mut [0; 100]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_is_still_sending_hears_the_answer_and_is_not_listened_to_for_long() {
        let (mut stream, mut theirs, _) = pair();
        let sending = tokio::spawn(async move {
            theirs.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
            let mut heard = String::new();
            theirs.read_to_string(&mut heard).await.unwrap();
            (heard, theirs)
        });
        stream.write_all(b"too slow").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(sending.await.unwrap().0, "too slow");
    }

    #[tokio::test]
    async fn a_connection_that_became_a_terminal_may_be_looked_away_from() {
        let (mut stream, _theirs, at_leisure) = pair();
        at_leisure.grant();
        let written = tokio::time::timeout(PATIENCE * 10, write_for_ever(&mut stream, Duration::ZERO)).await;
        assert!(written.is_err());
    }
}
