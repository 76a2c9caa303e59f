//! The loop with a keeper of our own at the other end of a socket pair, and channels for a terminal.

use super::*;
use crate::model::session::{ExitBy, ProcId};

/// Both ends: what a keeper sees, and what a person does.
struct Scene {
    keeper: UnixStream,
    decoder: Decoder,
    typed: mpsc::Sender<Vec<u8>>,
    shown: mpsc::Receiver<Vec<u8>>,
    events: mpsc::Sender<Event>,
    left: tokio::task::JoinHandle<Result<Left, AttachError>>,
}

impl Scene {
    fn begin(read_only: bool, room: usize) -> Self {
        let (keeper, ours) = UnixStream::pair().unwrap();
        let (typed, typed_end) = mpsc::channel(16);
        let (shown_end, shown) = mpsc::channel(room);
        let (events, events_end) = mpsc::channel(4);
        let terminal = Terminal { typed: typed_end, shown: shown_end, events: events_end };
        let view = View { size: (80, 24), read_only };
        let left = tokio::spawn(async move { Bridge::hold(ours, terminal, Keys::new("C-]").unwrap(), view).await });
        Self { keeper, decoder: Decoder::default(), typed, shown, events, left }
    }

    async fn attached(read_only: bool) -> Self {
        let mut scene = Self::begin(read_only, 4);
        scene.say(&hello(PROTOCOL)).await;
        let first = scene.order().await;
        assert!(matches!(first, Request::Attach { cols: 80, rows: 24, read_only: r } if r == read_only), "{first:?}");
        scene
    }

    async fn say(&mut self, fact: &Fact) {
        self.keeper.write_all(&wire::json_frame(fact)).await.unwrap();
    }

    async fn write(&mut self, kind: Kind, bytes: &[u8]) {
        self.keeper.write_all(&wire::frame(kind, bytes)).await.unwrap();
    }

    async fn frame(&mut self) -> (Kind, Vec<u8>) {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let mut piece = [0; 4096];
            let count = self.keeper.read(&mut piece).await.unwrap();
            assert!(count > 0, "the client hung up");
            self.decoder.feed(&piece[..count]);
        }
    }

    async fn order(&mut self) -> Request {
        let (kind, payload) = self.frame().await;
        assert_eq!(kind, Kind::Json);
        serde_json::from_slice(&payload).unwrap()
    }

    async fn see(&mut self, length: usize) -> Vec<u8> {
        let mut seen = Vec::new();
        while seen.len() < length {
            seen.extend(self.shown.recv().await.unwrap());
        }
        seen
    }
}

fn hello(protocol: u32) -> Fact {
    let keeper = ProcId { pid: 1, start: 1 };
    Fact::Hello {
        protocol,
        version: "0".into(),
        id: "a".into(),
        keeper,
        leader: None,
        exit: None,
        attached: 0,
        size: (80, 24),
        started_at: String::new(),
        started_monotonic_seconds: 0.0,
        closing: None,
        again: None,
    }
}

fn exit() -> Exit {
    Exit { code: Some(3), signal: None, at: "2026-01-01T00:00:00Z".into(), by: ExitBy::Itself, reason: String::new() }
}

#[tokio::test]
async fn keys_reach_the_keeper_and_output_the_terminal() {
    let mut scene = Scene::attached(false).await;
    scene.typed.send(b"ls\r".to_vec()).await.unwrap();
    assert_eq!(scene.frame().await, (Kind::Input, b"ls\r".to_vec()));
    scene.write(Kind::Output, b"\x1b[31mfile\x1b[m").await;
    assert_eq!(scene.see(1).await, b"\x1b[31mfile\x1b[m");
}

#[tokio::test]
async fn one_press_detaches_after_a_moment_and_two_reach_the_agent() {
    let mut scene = Scene::attached(false).await;
    scene.typed.send(b"\x1d\x1d".to_vec()).await.unwrap();
    assert_eq!(scene.frame().await, (Kind::Input, b"\x1d".to_vec()));
    scene.typed.send(b"\x1d".to_vec()).await.unwrap();
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Detached);
}

#[tokio::test]
async fn a_reader_types_nothing_and_may_still_leave() {
    let mut scene = Scene::attached(true).await;
    scene.typed.send(b"rm -rf\r".to_vec()).await.unwrap();
    scene.events.send(Event::Resized(100, 30)).await.unwrap();
    assert!(matches!(scene.order().await, Request::Resize { cols: 100, rows: 30 }));
    scene.typed.send(b"\x1cd".to_vec()).await.unwrap();
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Detached);
}

#[tokio::test]
async fn a_switch_of_the_screen_is_answered_with_one_redraw() {
    let mut scene = Scene::attached(false).await;
    scene.write(Kind::Output, b"a\x1b[?1049l\x1b[?10").await;
    scene.write(Kind::Output, b"49hb").await;
    assert_eq!(scene.see(2).await, b"ab");
    assert!(matches!(scene.order().await, Request::Redraw));
    scene.write(Kind::Screen, b"whole").await;
    let seen = scene.see(BEFORE_SCREEN.len()).await;
    assert!(seen.starts_with(BEFORE_SCREEN) && String::from_utf8_lossy(&seen).contains("whole"));
}

#[tokio::test]
async fn the_end_of_the_session_is_told_with_its_status() {
    let mut scene = Scene::attached(false).await;
    scene.say(&Fact::Exited { exit: exit() }).await;
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Ended(Some(exit())));
    let scene = Scene::attached(false).await;
    drop(scene.keeper);
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Lost);
}

#[tokio::test]
async fn what_was_said_last_is_read_though_the_keeper_takes_nothing_more() {
    let mut scene = Scene::attached(false).await;
    scene.say(&Fact::Exited { exit: exit() }).await;
    drop(scene.keeper);
    scene.typed.send(b"more\r".to_vec()).await.unwrap();
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Ended(Some(exit())));
}

#[tokio::test]
async fn a_slow_terminal_loses_nothing() {
    let mut scene = Scene::begin(false, 1);
    scene.say(&hello(PROTOCOL)).await;
    let piece: Vec<u8> = (0..100_000u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
    let (mut keeper, sent) = (scene.keeper, piece.repeat(40));
    let whole = sent.clone();
    let writer = tokio::spawn(async move {
        for part in sent.chunks(100_000) {
            keeper.write_all(&wire::frame(Kind::Output, part)).await.unwrap();
        }
        keeper
    });
    let mut seen = Vec::new();
    while seen.len() < whole.len() {
        tokio::task::yield_now().await;
        seen.extend(scene.shown.recv().await.unwrap());
    }
    assert!(seen == whole);
    drop(writer.await.unwrap());
}

#[tokio::test]
async fn a_keeper_that_hangs_up_without_a_word_has_gone_and_one_that_speaks_otherwise_is_an_error() {
    let scene = Scene::begin(false, 1);
    drop(scene.keeper);
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Lost);
    // It ended before it had accepted us: the connection is reset.
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(dir.path().join("s")).unwrap();
    let stream = UnixStream::connect(dir.path().join("s")).await.unwrap();
    drop(listener);
    let (typing, typed) = mpsc::channel(1);
    let ((shown, _seen), (_events, events)) = (mpsc::channel(1), mpsc::channel(1));
    let terminal = Terminal { typed, shown, events };
    let view = View { size: (80, 24), read_only: false };
    assert_eq!(Bridge::hold(stream, terminal, Keys::new("C-]").unwrap(), view).await.unwrap(), Left::Lost);
    drop(typing);
    let mut scene = Scene::begin(false, 1);
    scene.say(&hello(PROTOCOL + 1)).await;
    assert!(matches!(scene.left.await.unwrap(), Err(AttachError::OtherProtocol(_))));
}

#[tokio::test]
async fn a_signal_or_a_terminal_that_hangs_up_ends_the_attachment() {
    let scene = Scene::attached(false).await;
    scene.events.send(Event::Told(15)).await.unwrap();
    assert!(matches!(scene.left.await.unwrap(), Err(AttachError::Told(15))));
    let scene = Scene::attached(false).await;
    drop(scene.typed);
    assert_eq!(scene.left.await.unwrap().unwrap(), Left::Detached);
}
