//! The loop: takes what happens, hands it to `update`, carries out what comes back, draws when needed.
//!
//! Only here the clock is read and the terminal owned. Input is drawn at once, data at most once per 16 ms.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::IsTerminal;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream, MouseButton, MouseEventKind};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::app::App;
use super::effects::Performer;
use super::msg::{Effect, Msg};
use super::panes::Memory;
use super::terminal::Terminal;
use super::update::update;
use super::view::view;
use super::{Options, TuiError, outside};
use crate::api::attach;
use crate::api::attach::tmux::Going;
use crate::api::client::Client;
use crate::api::types::PaneAt;
use crate::config::tui::Tell;
use crate::sys::failpoint;

/// The shortest time between two frames that only data asked for.
const FRAME: Duration = Duration::from_millis(16);

/// How long a reader that was taken down may take to let go of the terminal.
const READ_AHEAD: Duration = Duration::from_millis(2);

/// Everything the loop owns.
pub struct Stage {
    app: App,
    performer: Performer,
    answers: Receiver<Msg>,
    terminal: Terminal,
    /// `None` while somebody else reads the keys.
    events: Option<EventStream>,
    endings: Endings,
    pauses: Pauses,
    tick: Interval,
    began: Instant,
    drawn: Instant,
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    End,
}

/// What woke the loop.
enum Woken {
    Input(Option<std::io::Result<Event>>),
    Data(Msg),
    FrameDue,
    Continued,
    StopAsked,
    Ended,
}

/// The signals that end the interface.
struct Endings {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Endings {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Comes back when the program is to end.
    async fn ended(&mut self) {
        tokio::select! {
            _ = self.hangup.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The signals that stop the interface, and let it go on.
struct Pauses {
    stop: Signal,
    go_on: Signal,
}

impl Pauses {
    fn listen() -> std::io::Result<Self> {
        // SIGTSTP and SIGCONT; signal(7): the numbers differ between Linux and the BSDs.
        let (stop, go_on) = if cfg!(target_os = "linux") { (20, 18) } else { (18, 19) };
        Ok(Self { stop: signal(SignalKind::from_raw(stop))?, go_on: signal(SignalKind::from_raw(go_on))? })
    }
}

impl Stage {
    /// Takes the terminal and starts asking the daemon.
    pub fn open(client: Client, options: Options) -> Result<Self, TuiError> {
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            return Err(TuiError::NoTerminal);
        }
        let options = Arc::new(options);
        let endings = Endings::listen().map_err(TuiError::Setup)?;
        let pauses = Pauses::listen().map_err(TuiError::Setup)?;
        let mut terminal = Terminal::take().map_err(TuiError::Setup)?;
        let (send, answers) = channel(16);
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut app = App::new(options.clone(), size());
        if let Some(text) = options.memory.as_ref().and_then(|path| std::fs::read_to_string(path).ok()) {
            app.remember(Memory::read(&text));
        }
        if app.has_mouse {
            terminal.take_mouse(true).map_err(TuiError::Setup)?;
        }
        Ok(Self {
            app,
            performer: Performer::new(client, options, send),
            answers,
            terminal,
            events: Some(EventStream::new()),
            endings,
            pauses,
            tick,
            began: Instant::now(),
            drawn: Instant::now(),
        })
    }

    /// Plays until the person quits or a signal ends it.
    pub async fn play(mut self) -> Result<(), TuiError> {
        self.draw()?;
        loop {
            let flow = match self.next().await {
                Woken::Ended => Flow::End,
                Woken::Input(event) => self.take_input(event).await?,
                Woken::Data(msg) => self.take(msg).await?,
                Woken::FrameDue => Flow::On,
                Woken::StopAsked => {
                    self.suspend()?;
                    Flow::On
                }
                Woken::Continued => {
                    self.redo()?;
                    Flow::On
                }
            };
            if flow == Flow::End {
                return Ok(());
            }
            if self.app.is_dirty && self.drawn.elapsed() >= FRAME {
                self.draw()?;
            }
        }
    }

    async fn next(&mut self) -> Woken {
        let due = self.drawn + FRAME;
        tokio::select! {
            biased;
            () = self.endings.ended() => Woken::Ended,
            event = next_event(&mut self.events) => Woken::Input(event),
            _ = self.pauses.stop.recv() => Woken::StopAsked,
            _ = self.pauses.go_on.recv() => Woken::Continued,
            () = sleep_until(due), if self.app.is_dirty => Woken::FrameDue,
            Some(msg) = self.answers.recv() => Woken::Data(msg),
            _ = self.tick.tick() => Woken::Data(Msg::Ticked),
        }
    }

    /// Takes a key and those already waiting behind it, then draws.
    async fn take_input(&mut self, first: Option<std::io::Result<Event>>) -> Result<Flow, TuiError> {
        let mut event = first;
        loop {
            let msg = match event {
                None => return Ok(Flow::End),
                Some(Ok(event)) => message(event),
                // A stream of events that was taken down leaves its wake-up call behind.
                Some(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => None,
                Some(Err(error)) => return Err(TuiError::Input(error)),
            };
            if let Some(msg) = msg
                && self.take(msg).await? == Flow::End
            {
                return Ok(Flow::End);
            }
            match waiting_event(&mut self.events).await {
                Some(next) => event = next,
                None => break,
            }
        }
        if self.app.is_dirty {
            self.draw()?;
        }
        Ok(Flow::On)
    }

    /// One message through `update`, and what follows from it.
    async fn take(&mut self, msg: Msg) -> Result<Flow, TuiError> {
        let mut waiting = VecDeque::from([msg]);
        while let Some(msg) = waiting.pop_front() {
            for effect in update(&mut self.app, self.began.elapsed(), msg) {
                match self.performer.perform(effect) {
                    Some(Effect::Quit) => return Ok(Flow::End),
                    Some(Effect::Attach { socket, name }) => match self.attach(&socket, name).await? {
                        Some(msg) => waiting.push_back(msg),
                        None => return Ok(Flow::End),
                    },
                    Some(Effect::GoToPane { pane, name }) => waiting.push_back(self.go_to_pane(&pane, &name).await?),
                    Some(Effect::Copy(text)) => {
                        let is_in_tmux = self.app.options.is_in_tmux;
                        let copied = self.terminal.copy(&text, is_in_tmux).map_err(|e| format!("failed to copy: {e}"));
                        waiting.push_back(Msg::Copied(copied.map(|()| text)));
                    }
                    Some(Effect::Mouse(taken)) => self.terminal.take_mouse(taken).map_err(TuiError::Draw)?,
                    Some(Effect::Tell(text)) => self.tell(text),
                    Some(Effect::Suspend) => self.suspend()?,
                    Some(_) | None => {}
                }
            }
        }
        Ok(Flow::On)
    }

    /// Lends the terminal to a session until it is left; `None` when a signal ended the program meanwhile.
    async fn attach(&mut self, door: &str, name: String) -> Result<Option<Msg>, TuiError> {
        let options = attach::Options {
            read_only: self.app.options.readonly,
            detach_key: self.app.options.detach_key.clone(),
            name: name.clone(),
        };
        self.let_go_of_keys();
        let client = self.performer.client();
        let result = tokio::select! {
            result = enter(&client, door, &options) => Some(result),
            () = self.endings.ended() => None,
        };
        let Some(result) = result else { return Ok(None) };
        self.redo()?;
        Ok(Some(Msg::AttachEnded { name, left: result }))
    }

    /// Has tmux show a pane, in the client this runs in or in one of its own, which has the terminal until it is left. A
    /// signal that ends the program waits for that: tmux puts the terminal back itself.
    async fn go_to_pane(&mut self, pane: &PaneAt, name: &str) -> Result<Msg, TuiError> {
        let within = std::env::var("TMUX").ok();
        let client = self.performer.client();
        let going = attach::tmux::going(client.way(), pane, within.as_deref(), self.app.options.readonly);
        let Going { mut command, is_here } = match going {
            Ok(going) => going,
            Err(no) => return Ok(Msg::Managed(Err(format!("{name} is {no}")))),
        };
        if is_here {
            let went = tokio::task::spawn_blocking(move || outside::run(&mut command)).await;
            let went = went.unwrap_or_else(|error| Err(error.to_string()));
            return Ok(Msg::Managed(went.map(|()| format!("tmux went to {name}"))));
        }
        self.let_go_of_keys();
        let ran = tokio::task::spawn_blocking(move || command.status()).await;
        self.redo()?;
        Ok(Msg::Managed(match ran {
            Ok(Ok(status)) if status.success() => Ok(format!("back from {name}")),
            Ok(Ok(_)) => Err(format!("tmux did not show {name}: its server or its pane may be gone")),
            Ok(Err(error)) => Err(format!("failed to attach to {name}: {error}")),
            Err(error) => Err(error.to_string()),
        }))
    }

    /// Lends the terminal to somebody who reads the keys; what was read ahead of that must not wait here and act on the
    /// table later.
    fn let_go_of_keys(&mut self) {
        self.events = None;
        while crossterm::event::poll(READ_AHEAD).unwrap_or(false) && crossterm::event::read().is_ok() {}
        self.terminal.lend();
    }

    /// Gives the terminal back, stops, and takes it again when continued.
    fn suspend(&mut self) -> Result<(), TuiError> {
        let Some(stop) = self.app.options.stop else { return Ok(()) };
        self.terminal.lend();
        stop();
        self.redo()
    }

    /// Takes the terminal as it is now and draws everything: somebody else had it.
    fn redo(&mut self) -> Result<(), TuiError> {
        self.terminal.lend();
        self.terminal.retake().map_err(TuiError::Setup)?;
        // The old stream must be gone before a new one is made: both want the same lock.
        self.events = None;
        self.events = Some(EventStream::new());
        self.app.size = size();
        if self.app.has_mouse {
            self.terminal.take_mouse(true).map_err(TuiError::Setup)?;
        }
        self.draw()
    }

    /// Tells the person outside the interface, as the config has it.
    fn tell(&mut self, text: String) {
        let (ways, is_in_tmux) = (&self.app.options.looks.tell, self.app.options.is_in_tmux);
        let (bell, osc9) = (ways.contains(&Tell::Bell), ways.contains(&Tell::Osc9));
        // A terminal that cannot be rung cannot be drawn on either: the next frame says so.
        let _ = self.terminal.ring(bell, osc9.then_some(text.as_str()), is_in_tmux);
        if ways.contains(&Tell::Tmux) && is_in_tmux {
            // Nobody waits for it, and what tmux has against it helps nobody.
            drop(tokio::task::spawn_blocking(move || outside::display_message(&text)));
        }
    }

    fn draw(&mut self) -> Result<(), TuiError> {
        if !Terminal::is_taken() {
            return Err(TuiError::Panicked);
        }
        let app = &self.app;
        self.terminal.draw(|frame| view(app, frame)).map_err(TuiError::Draw)?;
        failpoint::here(failpoint::DRAWN);
        self.app.is_dirty = false;
        self.drawn = Instant::now();
        Ok(())
    }
}

async fn enter(client: &Client, door: &str, options: &attach::Options) -> Result<attach::Left, String> {
    let stream = client.enter(door).await.map_err(|e| e.to_string())?;
    attach::attach(stream, options).await.map_err(|e| e.to_string())
}

async fn next_event(events: &mut Option<EventStream>) -> Option<std::io::Result<Event>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// An event that is there already.
///
/// Asked with the waker of the loop: the stream keeps the waker it was last left pending with, and one that does nothing
/// (`now_or_never`) would leave the next key lying until something else wakes the loop.
async fn waiting_event(events: &mut Option<EventStream>) -> Option<Option<std::io::Result<Event>>> {
    let stream = events.as_mut()?;
    poll_fn(|cx| match stream.poll_next_unpin(cx) {
        Poll::Ready(event) => Poll::Ready(Some(event)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn size() -> (u16, u16) {
    crossterm::terminal::size().unwrap_or((80, 24))
}

fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => Some(Msg::Pressed(key)),
        Event::Paste(text) => Some(Msg::Pasted(text)),
        Event::Resize(cols, rows) => Some(Msg::Resized(cols, rows)),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Msg::Clicked(mouse.column, mouse.row)),
            MouseEventKind::ScrollDown => Some(Msg::Wheeled(mouse.column, mouse.row, true)),
            MouseEventKind::ScrollUp => Some(Msg::Wheeled(mouse.column, mouse.row, false)),
            _ => None,
        },
        Event::FocusGained | Event::FocusLost => None,
    }
}
