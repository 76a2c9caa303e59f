//! What agents say about themselves: a status file, a hook, how they like to be stopped and taken up again.
//! Data and pure reading; who opens files and sets variables is elsewhere.

use serde_json::Value;

use crate::model::session::Attention;
use crate::model::stop::Signal;

/// Words of an agent's own and what they mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Words {
    pub working: Vec<String>,
    pub waiting: Vec<String>,
    pub idle: Vec<String>,
}

impl Words {
    /// What the word means; a new one of a newer release means nothing yet.
    pub fn attention(&self, word: &str) -> Option<Attention> {
        let has = |list: &[String]| list.iter().any(|w| w == word);
        [(&self.working, Attention::Working), (&self.waiting, Attention::Waiting), (&self.idle, Attention::Idle)]
            .into_iter()
            .find_map(|(list, attention)| has(list).then_some(attention))
    }
}

/// A JSON file in which an agent keeps its own state, one for each process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusFile {
    /// With `{home}` and `{pid}` in it.
    pub path: String,
    /// The variable, in the agent's environment, that names the directory for `{home}`.
    pub home_variable: String,
    /// Where that is otherwise, below the user's home.
    pub home: String,
    /// Names of fields.
    pub pid: String,
    /// The start time in clock ticks since boot, against a pid used again.
    pub start: String,
    pub session: String,
    pub status: String,
    pub waiting_for: String,
    /// When the status last changed, in Unix milliseconds.
    pub since: String,
    /// A file with one of these fields describes no session.
    pub skip: Vec<String>,
    pub words: Words,
}

/// What such a file said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub pid: Option<i32>,
    pub start: Option<u64>,
    pub session: Option<String>,
    pub attention: Option<Attention>,
    /// As the agent put it; untrusted.
    pub waiting_for: Option<String>,
    pub since_millis: Option<i64>,
}

impl Status {
    /// As `show` tells it.
    pub fn in_words(&self, attention: Attention) -> String {
        let on = self.waiting_for.as_ref().map(|w| format!(", for: {w}")).unwrap_or_default();
        format!("its own status file says {attention}{on}")
    }
}

impl StatusFile {
    /// Where the file of a process is, when `home` is what its variable holds.
    pub fn path_for(&self, pid: i32, home: Option<&str>, user_home: &str) -> String {
        let default = || format!("{}/{}", user_home.trim_end_matches('/'), self.home);
        let home = home.filter(|h| h.starts_with('/')).map_or_else(default, |h| h.trim_end_matches('/').to_string());
        self.path.replace("{pid}", &pid.to_string()).replace("{home}", &home)
    }

    /// Reads its text; `None` when that is not such a file. A field that is missing, or of another kind than
    /// it used to be, is unknown, and the others still count.
    pub fn read(&self, text: &str) -> Option<Status> {
        let value: Value = serde_json::from_str(text).ok()?;
        let fields = value.as_object()?;
        if self.skip.iter().any(|name| fields.get(name).is_some_and(|v| !v.is_null())) {
            return None;
        }
        let field = |name: &str| fields.get(name).filter(|_| !name.is_empty());
        let word = |name: &str| field(name).and_then(Value::as_str).map(String::from);
        let start = field(&self.start);
        Some(Status {
            pid: field(&self.pid).and_then(Value::as_i64).and_then(|n| n.try_into().ok()),
            start: start.and_then(|v| v.as_u64().or_else(|| v.as_str()?.trim().parse().ok())),
            session: word(&self.session),
            attention: word(&self.status).and_then(|w| self.words.attention(&w)),
            waiting_for: word(&self.waiting_for),
            since_millis: field(&self.since).and_then(Value::as_i64),
        })
    }
}

/// A variable that makes the agent run a command with a word whenever its state changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusHook {
    pub variable: String,
    /// Where it can be set as well, below the user's home: a value there is not overruled.
    pub file: Option<String>,
    pub words: Words,
}

/// What a hook of beadle's own is known by.
const OWN: &str = "_beadle_says";

impl StatusHook {
    /// A command that tells beadle and then does what was to be done before; the agent puts a word behind it.
    /// `program` is beadle's.
    pub fn command(&self, before: Option<&str>, program: &str) -> String {
        let before = before.map(str::trim).filter(|b| !b.is_empty());
        if let Some(own) = before.filter(|b| b.contains(OWN)) {
            return own.into();
        }
        let program = program.replace('\'', r"'\''");
        let then = before.map(|b| format!("{b} \"$1\"; ")).unwrap_or_default();
        format!("{OWN}() {{ '{program}' heartbeat --says \"$1\" >/dev/null 2>&1 </dev/null; {then}}}; {OWN}")
    }
}

/// The gentle stop, before signals that any program gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gentle {
    /// Typed, and Enter.
    pub typed: Option<String>,
    /// Sent first, to the agent alone.
    pub signal: Option<Signal>,
}

/// How a conversation is taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resume {
    /// With `{session}` in it.
    pub session: Option<String>,
    /// The last one in the directory.
    pub last: Option<String>,
}

impl Resume {
    /// Which conversation a command line takes up, if it is one of those that do.
    pub fn conversation<'a>(&self, command: &'a [String]) -> Option<&'a str> {
        let template: Vec<&str> = self.session.as_deref()?.split_whitespace().skip(1).collect();
        let at = template.iter().position(|word| *word == "{session}")?;
        let is_it = |words: &&[String]| template.iter().zip(*words).all(|(t, word)| *t == "{session}" || *t == word);
        command.windows(template.len()).find(is_it).map(|words| words[at].as_str())
    }

    /// The command, for a person or a shell; a session's name that a shell would read as more is not put in.
    pub fn command(&self, session: Option<&str>) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let safe = |s: &&str| !s.is_empty() && s.len() <= 200 && !s.starts_with('-') && s.chars().all(plain);
        let named = session.filter(safe).zip(self.session.as_ref());
        named.map(|(session, template)| template.replace("{session}", session)).or_else(|| self.last.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hook_that_is_there_already_is_done_after_ours_and_ours_only_once() {
        let hook = StatusHook { variable: "H".into(), ..StatusHook::default() };
        let alone = hook.command(None, "/opt/it's/beadle");
        assert_eq!(
            alone,
            r#"_beadle_says() { '/opt/it'\''s/beadle' heartbeat --says "$1" >/dev/null 2>&1 </dev/null; }; _beadle_says"#
        );
        let chained = hook.command(Some("notify-send goose"), "/bin/beadle");
        assert!(chained.contains(r#"</dev/null; notify-send goose "$1"; }; _beadle_says"#), "{chained}");
        assert_eq!(hook.command(Some(&chained), "/other/beadle"), chained);
        assert_eq!(hook.command(Some(" "), "/opt/it's/beadle"), alone);
    }

    fn file() -> StatusFile {
        StatusFile {
            path: "{home}/sessions/{pid}.json".into(),
            home: ".agent".into(),
            pid: "pid".into(),
            start: "procStart".into(),
            status: "status".into(),
            since: "at".into(),
            skip: list(&["parked"]),
            words: Words { working: list(&["busy"]), ..Words::default() },
            ..StatusFile::default()
        }
    }

    #[test]
    fn a_status_file_is_read_field_by_field() {
        let read = |text: &str| file().read(text);
        let status = read(r#"{"pid":7,"procStart":"123","status":"busy","at":5}"#).unwrap();
        assert_eq!((status.pid, status.start, status.since_millis), (Some(7), Some(123), Some(5)));
        assert_eq!(status.attention, Some(Attention::Working));
        let odd = read(r#"{"pid":99999999999,"procStart":{},"status":"dreaming","at":"x"}"#).unwrap();
        assert_eq!(odd, Status::default());
        assert!(read(r#"{"pid":7,"parked":"x"}"#).is_none() && read(r#"{"pid":7,"parked":null}"#).is_some());
        assert!(read("[]").is_none() && read("{\"pid\":").is_none() && read("").is_none());
    }

    #[test]
    fn the_path_follows_the_variable_only_to_a_whole_path() {
        assert_eq!(file().path_for(7, None, "/home/u"), "/home/u/.agent/sessions/7.json");
        assert_eq!(file().path_for(7, Some("/c/"), "/home/u"), "/c/sessions/7.json");
        assert_eq!(file().path_for(7, Some("rel"), "/home/u/"), "/home/u/.agent/sessions/7.json");
    }

    #[test]
    fn a_resume_command_takes_in_no_shell_text() {
        let resume = Resume { session: Some("a --resume {session}".into()), last: Some("a --continue".into()) };
        assert_eq!(resume.command(Some("0f-1")).as_deref(), Some("a --resume 0f-1"));
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        assert_eq!(resume.conversation(&words("/bin/a --model x --resume 0f-1")), Some("0f-1"));
        assert_eq!(resume.conversation(&words("a --resume")), None);
        for hostile in ["x; rm -rf ~", "$(x)", "--flag", "", "a b", "a\nb"] {
            assert_eq!(resume.command(Some(hostile)).as_deref(), Some("a --continue"), "{hostile:?}");
        }
        assert_eq!(Resume::default().command(Some("x")), None);
    }
}
