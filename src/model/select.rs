//! Which session a person means: an id, a unique prefix of one, a name, or a glob over names and ids.

/// What can be meant. Sessions are offered live ones first, each group newest first.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    pub id: &'a str,
    pub name: &'a str,
    /// Another word for it: where a session in tmux is to be found. "": none.
    pub also: &'a str,
    pub live: bool,
    /// Shown without being asked for. A glob means nothing that nobody has seen.
    pub listed: bool,
}

/// Why nothing was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    #[error("no session {0:?} (`beadle ls --all` lists them)")]
    None(String),
    #[error("{0:?} is the beginning of several ids: {1}")]
    Ambiguous(String, String),
}

/// True when `pattern` has a wildcard.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The one session that `word` names: the id, else the live session of that name, else the one that ended
/// last, else the session whose id alone begins so.
pub fn one<'a>(word: &str, choices: &[Choice<'a>]) -> Result<&'a str, NotChosen> {
    if let Some(exact) = choices.iter().find(|c| c.id == word) {
        return Ok(exact.id);
    }
    let means = |c: &&Choice<'_>| c.name == word || (!c.also.is_empty() && c.also == word);
    let named = choices.iter().find(|c| c.live && means(c)).or_else(|| choices.iter().find(means));
    if let Some(named) = named {
        return Ok(named.id);
    }
    let begun: Vec<&Choice<'_>> = choices.iter().filter(|c| !word.is_empty() && c.id.starts_with(word)).collect();
    match begun.as_slice() {
        [] => Err(NotChosen::None(word.into())),
        [only] => Ok(choices.iter().find(|c| c.id == only.id).map_or("", |c| c.id)),
        several => Err(NotChosen::Ambiguous(word.into(), several.iter().map(|c| c.id).collect::<Vec<_>>().join(", "))),
    }
}

/// The sessions several words mean, in order, each once. A glob chooses live sessions only, of those that are listed,
/// and must match at least one.
pub fn several<'a>(words: &[String], choices: &[Choice<'a>]) -> Result<Vec<&'a str>, NotChosen> {
    let mut out: Vec<&'a str> = Vec::new();
    for word in words {
        let found = if is_glob(word) { globbed(word, choices)? } else { vec![one(word, choices)?] };
        for id in found {
            if !out.contains(&id) {
                out.push(id);
            }
        }
    }
    Ok(out)
}

fn globbed<'a>(pattern: &str, choices: &[Choice<'a>]) -> Result<Vec<&'a str>, NotChosen> {
    let hits: Vec<&'a str> = choices
        .iter()
        .filter(|c| {
            c.live && c.listed && [c.name, c.id, c.also].iter().any(|word| !word.is_empty() && matches(pattern, word))
        })
        .map(|c| c.id)
        .collect();
    if hits.is_empty() { Err(NotChosen::None(pattern.into())) } else { Ok(hits) }
}

/// Shell-like match with `*` and `?`, in time linear in the text for each star.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut pi, mut ti) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while ti < t.len() {
        if pi < p.len() && (p[pi] == '?' || (p[pi] != '*' && p[pi] == t[ti])) {
            pi += 1;
            ti += 1;
        } else if pi < p.len() && p[pi] == '*' {
            back = Some((pi, ti));
            pi += 1;
        } else if let Some((star, at)) = back {
            back = Some((star, at + 1));
            pi = star + 1;
            ti = at + 1;
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICES: &[Choice<'static>] = &[
        Choice { id: "k3f9q2", name: "front-a", also: "", live: true, listed: true },
        Choice { id: "k3zzzz", name: "front-b", also: "", live: true, listed: true },
        Choice { id: "aaaaaa", name: "front-a", also: "", live: false, listed: true },
        Choice { id: "bbbbbb", name: "old", also: "", live: false, listed: true },
        Choice { id: "cccccc", name: "old", also: "", live: false, listed: true },
    ];

    #[test]
    fn id_then_live_name_then_last_ended_then_prefix() {
        assert_eq!(one("k3f9q2", CHOICES), Ok("k3f9q2"));
        assert_eq!(one("front-a", CHOICES), Ok("k3f9q2"));
        assert_eq!(one("old", CHOICES), Ok("bbbbbb"));
        assert_eq!(one("aa", CHOICES), Ok("aaaaaa"));
        assert!(matches!(one("k3", CHOICES), Err(NotChosen::Ambiguous(..))));
        assert!(matches!(one("", CHOICES), Err(NotChosen::None(_))));
    }

    #[test]
    fn a_session_in_tmux_is_also_its_place() {
        let named = Choice { id: "f1", name: "api", also: "tmux:main:0.1", live: true, listed: true };
        let plain = Choice { id: "f2", name: "tmux:main:0.2", also: "tmux:main:0.2", live: true, listed: true };
        let choices = [named, plain];
        assert_eq!(one("tmux:main:0.1", &choices), Ok("f1"));
        assert_eq!(one("api", &choices), Ok("f1"));
        assert_eq!(several(&["tmux:main:*".into()], &choices), Ok(vec!["f1", "f2"]));
    }

    #[test]
    fn a_glob_matches_only_what_is_listed_and_a_name_means_the_rest_too() {
        let agent = Choice { id: "f1", name: "tmux:front-1:0.0", also: "tmux:front-1:0.0", live: true, listed: true };
        let shell = Choice { id: "f2", name: "tmux:front-2:0.0", also: "", live: true, listed: false };
        let choices = [agent, shell];
        assert_eq!(several(&["tmux:front-*".into()], &choices), Ok(vec!["f1"]));
        assert_eq!(several(&["tmux:front-*".into(), "tmux:front-2:0.0".into()], &choices), Ok(vec!["f1", "f2"]));
        assert!(several(&["tmux:front-2*".into()], &choices).is_err());
    }

    #[test]
    fn a_glob_takes_live_sessions_and_refuses_to_take_none() {
        let words = |w: &[&str]| w.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(several(&words(&["front-*", "k3f9q2"]), CHOICES), Ok(vec!["k3f9q2", "k3zzzz"]));
        assert!(several(&words(&["old*"]), CHOICES).is_err());
    }

    #[test]
    fn stars_match_any_run_and_marks_one_character() {
        for (p, t, yes) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abab", true),
            ("x*", "ax", false),
        ] {
            assert_eq!(matches(p, t), yes, "{p} {t}");
        }
    }
}
