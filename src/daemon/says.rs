//! What agents say of themselves through a hook: a command some of them run with a word whenever their state changes.
//! A session of such an agent is started with ours in its environment, before what was there already.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::supervisor::Supervisor;
use crate::api::refusal::{Code, Refusal};
use crate::api::types::Session;
use crate::model::profile::StatusHook;
use crate::sys::patience::within;
use crate::sys::{card, clock, spawn};

/// How long a home may take to show a file; one that takes longer is left as it is.
const PATIENCE: Duration = Duration::from_millis(300);
/// A larger file is not looked at, and not overruled.
const LARGEST: u64 = 256 << 10;

/// Puts the hook into an environment, unless the user has set it where a variable would overrule it. May block for as
/// long as the patience.
pub fn put(env: &mut Vec<String>, hook: &StatusHook) {
    let value = |name: &str| env.iter().find_map(|v| Some(v.strip_prefix(name)?.strip_prefix('=')?.to_string()));
    let before = value(&hook.variable);
    let home = value("HOME").map(PathBuf::from);
    if before.is_none() && home.zip(hook.file.as_ref()).is_some_and(|(home, file)| is_set(home.join(file), hook)) {
        return;
    }
    let Some(program) = spawn::own_program().and_then(|p| p.to_str().map(String::from)) else { return };
    let command = hook.command(before.as_deref(), &program);
    let is_other = |v: &String| v.strip_prefix(&hook.variable).is_none_or(|rest| !rest.starts_with('='));
    env.retain(is_other);
    env.push(format!("{}={command}", hook.variable));
}

/// In doubt it is.
fn is_set(file: PathBuf, hook: &StatusHook) -> bool {
    let variable = hook.variable.clone();
    within(PATIENCE, move || names(&file, &variable)).unwrap_or(true)
}

fn names(file: &Path, variable: &str) -> bool {
    match card::small_file(file, LARGEST) {
        Ok(text) => text.contains(variable),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

impl Supervisor {
    pub(super) fn hook(&self, agent: &str) -> Option<StatusHook> {
        self.set.config.profiles.by_name(agent)?.status_hook.clone()
    }

    /// An agent says what it does, in its own word.
    pub(super) fn hear_word(&mut self, word: &str, says: &str) -> Result<Session, Refusal> {
        let id = self.find(word)?.id().to_string();
        let agent = self.find(word)?.session.agent.clone();
        let Some(attention) = self.hook(&agent).and_then(|hook| hook.words.attention(says)) else {
            return Err(Refusal::new(Code::Unprocessable, format!("{agent} has no word {says:?} for what it does")));
        };
        let now = clock::monotonic();
        if let Some(entry) = self.entries.get_mut(&id).filter(|e| e.is_live()) {
            entry.said = Some((attention, now));
        }
        self.bump();
        Ok(self.find(&id)?.row(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goose() -> StatusHook {
        StatusHook { variable: "GOOSE_STATUS_HOOK".into(), file: Some("goose.yaml".into()), ..StatusHook::default() }
    }

    fn of(env: &[String]) -> Vec<&String> {
        env.iter().filter(|v| v.starts_with("GOOSE_STATUS_HOOK=")).collect()
    }

    #[test]
    fn a_hook_is_put_before_what_is_there_and_not_over_what_the_users_file_says() {
        let home = tempfile::tempdir().unwrap();
        let mut env = vec![format!("HOME={}", home.path().display()), "A=1".into()];
        put(&mut env, &goose());
        assert!(of(&env).len() == 1 && of(&env)[0].contains("heartbeat --says"), "{env:?}");

        let mut chained = vec![env[0].clone(), "GOOSE_STATUS_HOOK=mine".into()];
        put(&mut chained, &goose());
        assert!(of(&chained).len() == 1 && of(&chained)[0].contains("mine \"$1\""), "{chained:?}");

        std::fs::write(home.path().join("goose.yaml"), "GOOSE_STATUS_HOOK: mine\n").unwrap();
        let mut kept = vec![env[0].clone()];
        put(&mut kept, &goose());
        assert_eq!(kept, [env[0].clone()]);
    }
}
