//! Every way in which a request is not done: its code, its HTTP status and its exit status.
//!
//! A refusal is not an error of beadle's: somebody asked for what cannot be had, and is told what to do.

use serde::{Deserialize, Serialize};

/// The kinds; the code in JSON is the kebab-case name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    BadRequest,
    /// The request is larger than any honest one.
    TooLarge,
    /// The rest of the request did not come in time.
    TooSlow,
    NotFound,
    /// The command cannot be executed.
    CannotExecute,
    NameTaken,
    /// The session is not in a state for this.
    WrongState,
    AtCap,
    Latched,
    Forbidden,
    /// Without the token, over TCP.
    Unauthorized,
    Unprocessable,
    /// The keeper does not answer.
    KeeperSilent,
    ShuttingDown,
    Internal,
}

impl Code {
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// HTTP status.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// Exit status of the command line.
    pub const fn exit(self) -> u8 {
        self.row().2
    }

    const fn row(self) -> (&'static str, u16, u8) {
        match self {
            Self::BadRequest => ("bad-request", 400, 2),
            Self::TooLarge => ("too-large", 413, 2),
            Self::TooSlow => ("too-slow", 408, 1),
            Self::NotFound => ("not-found", 404, 4),
            Self::CannotExecute => ("cannot-execute", 422, 1),
            Self::NameTaken => ("name-taken", 409, 5),
            Self::WrongState => ("wrong-state", 409, 1),
            Self::AtCap => ("at-cap", 429, 5),
            Self::Latched => ("latched", 409, 5),
            Self::Forbidden => ("forbidden", 403, 5),
            Self::Unauthorized => ("unauthorized", 401, 5),
            Self::Unprocessable => ("unprocessable", 422, 1),
            Self::KeeperSilent => ("keeper-silent", 504, 1),
            Self::ShuttingDown => ("shutting-down", 503, 1),
            Self::Internal => ("internal", 500, 1),
        }
    }

    /// The code of an error body; anything unknown is an internal error.
    pub fn from_word(word: &str) -> Self {
        serde_json::from_value(serde_json::Value::String(word.into())).unwrap_or(Self::Internal)
    }
}

/// A refusal with its sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: Code,
    pub message: String,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<crate::model::select::NotChosen> for Refusal {
    fn from(not: crate::model::select::NotChosen) -> Self {
        Self::new(Code::NotFound, not.to_string())
    }
}
