//! The health report, made once for all who ask at the same time.
//!
//! Many ask for it again and again (panels, scripts, monitoring). It is made anew when the table has changed, and when it is a
//! moment old. Who asks after a pause has everything measured first; while somebody keeps asking it is measured once a
//! second anyway.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::handle::{Command, Handle};
use crate::api::refusal::{Code, Refusal};

/// An answer may be so old.
const MOMENT: Duration = Duration::from_millis(250);
/// After so long without a question nobody was measuring often any more.
const PAUSE: Duration = Duration::from_secs(2);

struct Made {
    generation: u64,
    at: Instant,
    bytes: Bytes,
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Overview {
    made: Arc<Mutex<Option<Made>>>,
}

impl Overview {
    /// In JSON.
    pub async fn get(&self, handle: &Handle) -> Result<Bytes, Refusal> {
        let mut made = self.made.lock().await;
        let generation = *handle.generation.borrow();
        if let Some(made) = made.as_ref().filter(|m| m.generation == generation && m.at.elapsed() < MOMENT) {
            return Ok(made.bytes.clone());
        }
        if made.as_ref().is_none_or(|m| m.at.elapsed() > PAUSE) {
            handle.ask(|reply| Command::Sample { reply }).await?;
        }
        handle.tell(Command::Watch);
        let generation = *handle.generation.borrow();
        let report = handle.ask(|reply| Command::Health { reply }).await?;
        let written = serde_json::to_vec(&report).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        let bytes = Bytes::from(written);
        *made = Some(Made { generation, at: Instant::now(), bytes: bytes.clone() });
        Ok(bytes)
    }
}
