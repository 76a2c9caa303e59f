//! The refusals that are made before there is a request: a head that is too long, or none at all. `hyper` answers those by
//! itself, with a status and nothing else; on their way out they get the words that every other refusal has.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What `hyper` says without words (`hyper::proto::h1::role`), and ours for it.
const REFUSALS: [(&[u8], &str, &str); 3] = [
    (b"HTTP/1.1 400 ", "bad-request", "failed to read the head of the request: it is no HTTP/1.1"),
    (b"HTTP/1.1 414 ", "too-large", "the path and the query are too long: at most 65534 bytes"),
    (b"HTTP/1.1 431 ", "too-large", "the head of the request is too long"),
];

/// A stream on which no refusal is empty.
pub struct Worded<S>(pub S);

fn worded(answer: &[u8]) -> Option<Vec<u8>> {
    let (_, code, message) = REFUSALS.iter().find(|(status, ..)| answer.starts_with(status))?;
    let head = std::str::from_utf8(answer).ok()?.strip_suffix("\r\n\r\n")?;
    let (before, after) = head.split_once("content-length: 0")?;
    let body = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
    let length = body.len();
    Some(
        format!("{before}content-type: application/json\r\ncontent-length: {length}{after}\r\n\r\n{body}").into_bytes(),
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(answer) = worded(bytes) else { return Pin::new(&mut self.0).poll_write(context, bytes) };
        // It is short and the last that is written: what has no room for it is cut off with the connection.
        ready!(Pin::new(&mut self.0).poll_write(context, &answer))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bytes {
            [one] => self.poll_write(context, one),
            several => Pin::new(&mut self.0).poll_write_vectored(context, several),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::worded;

    #[test]
    fn a_refusal_without_words_gets_some_and_everything_else_is_as_it_was() {
        let bare = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let said = String::from_utf8(worded(bare).unwrap()).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())) && head.ends_with("date: now"), "{head}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"]["code"], "too-large");
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 414 URI",
        ] {
            assert_eq!(worded(other), None);
        }
    }
}
