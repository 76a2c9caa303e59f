//! What a caller may ask of beadle: where it stands, what it wants, whom it means.
//!
//! ```text
//!   outside every session    everything its user may
//!   inside one               look · its own heartbeat · start sessions · act on those it started, and on those
//!                            these started; nothing else, unless `agents.authority` is "all"
//! ```
//!
//! A rule against accidents, not a wall: an agent runs as its user, and what its user may do by other ways (signals,
//! tmux, ssh to itself) it may do too. In doubt a caller is inside.

use super::session::ProcId;

/// What an agent may do to sessions it did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authority {
    /// Nothing.
    #[default]
    Own,
    /// What its user may.
    All,
}

/// What the machine tells of a calling process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kin {
    /// It and all above it, nearest first; empty when that could not be read.
    pub lineage: Vec<ProcId>,
    /// Session tags (`ID@INSTANCE`) among these, nearest first.
    pub tags: Vec<String>,
    /// Sessions whose keepers are among them, by their command lines, nearest first.
    pub keepers: Vec<String>,
    /// Its cgroup v2, as a path.
    pub cgroup: String,
    /// A hook is among them, or may be.
    pub hook: bool,
}

impl Kin {
    /// Sessions of an instance that its tags and its cgroup (`…/beadle-INSTANCE/ID/…`) name.
    pub fn named(&self, instance: &str) -> impl Iterator<Item = &str> {
        let mut parts = self.cgroup.split('/');
        let home = format!("beadle-{instance}");
        let by_cgroup = parts.by_ref().any(|part| part == home).then(|| parts.next()).flatten();
        let by_tag = self.tags.iter().filter_map(move |tag| tag.strip_suffix(instance)?.strip_suffix('@'));
        by_cgroup.into_iter().chain(by_tag)
    }
}

/// Where a caller stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Outside,
    /// In this session; `None`: in one nobody here can name, or nobody can tell.
    Inside(Option<String>),
}

/// The nearest session around a caller. `holds` says whose keeper or member a process is; `any` that there are sessions
/// at all: where there are none, who cannot be read cannot be in one.
pub fn place(kin: &Kin, instance: &str, any: bool, holds: impl Fn(ProcId) -> Option<String>) -> Place {
    let held = kin.lineage.iter().find_map(|id| holds(*id));
    match held.or_else(|| kin.named(instance).next().map(String::from)) {
        Some(session) => Place::Inside(Some(session)),
        None if !kin.keepers.is_empty() => Place::Inside(None),
        None if kin.lineage.is_empty() && any => Place::Inside(None),
        None => Place::Outside,
    }
}

/// Whether a keeper obeys a caller: one from outside, or below none but keepers of sessions its own descends from. What
/// cannot be read is not obeyed.
pub fn is_obeyed(keepers: Option<&[String]>, started_by: &[String]) -> bool {
    keepers.is_some_and(|above| above.iter().all(|id| started_by.contains(id)))
}

/// What is asked, with the word for it in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Read,
    Start,
    Heartbeat,
    /// A process of one session.
    Keep,
    /// To one session.
    Act(&'static str),
    /// To all of them, the daemon, or the settings.
    Rule(&'static str),
}

/// Whom it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    pub id: &'a str,
    pub name: &'a str,
    /// The session it was started from, and those that one was started from, nearest first.
    pub started_by: &'a [String],
}

/// Why not, as a sentence that says what is allowed and which key changes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{who} may not {what}: an agent may look, send its own heartbeat, start sessions and act on those it started; agents.authority = \"all\" in the config allows the rest"
)]
pub struct Refused {
    who: String,
    what: String,
}

/// Whether a caller may.
pub fn judge(place: &Place, verb: Verb, target: Option<Target<'_>>, setting: Authority) -> Result<(), Refused> {
    let Place::Inside(own) = place else { return Ok(()) };
    if setting == Authority::All {
        return Ok(());
    }
    let is_own = target.is_some_and(|t| own.as_deref() == Some(t.id));
    let started = target.is_some_and(|t| own.as_ref().is_some_and(|own| t.started_by.contains(own)));
    let what = match verb {
        Verb::Read | Verb::Start => return Ok(()),
        Verb::Heartbeat | Verb::Keep if is_own || started => return Ok(()),
        Verb::Act(_) if started && !is_own => return Ok(()),
        Verb::Heartbeat => "send a heartbeat for",
        Verb::Keep => "keep a process of",
        Verb::Act(what) | Verb::Rule(what) => what,
    };
    let whom = target.map(|t| if is_own { " itself".into() } else { format!(" {}", t.name) }).unwrap_or_default();
    let who = own.as_ref().map_or_else(|| "a process inside a session".into(), |own| format!("session {own}"));
    Err(Refused { who, what: format!("{what}{whom}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inside(id: &str) -> Place {
        Place::Inside(Some(id.into()))
    }

    fn id(pid: i32) -> ProcId {
        ProcId { pid, start: 1 }
    }

    #[test]
    fn who_may_do_what_to_whom() {
        use Verb::{Act, Heartbeat, Read, Rule, Start};
        let (a, b) = (["a".to_string()], ["b".to_string(), "a".to_string()]);
        let target = |id, started_by| Some(Target { id, name: id, started_by });
        let (own, child, grandchild, other) = (target("a", &[]), target("b", &a), target("c", &b), target("x", &[]));
        let everything = [
            (Read, None),
            (Read, other),
            (Start, None),
            (Heartbeat, own),
            (Heartbeat, child),
            (Verb::Keep, own),
            (Act("kill"), child),
            (Act("kill"), grandchild),
        ];
        let the_rest = [
            (Heartbeat, other),
            (Verb::Keep, other),
            (Act("kill"), other),
            (Act("kill"), own),
            (Rule("close all sessions"), None),
        ];
        for (verb, target) in everything {
            assert_eq!(judge(&inside("a"), verb, target, Authority::Own), Ok(()), "{verb:?} {target:?}");
        }
        for (verb, target) in the_rest {
            assert!(judge(&inside("a"), verb, target, Authority::Own).is_err(), "{verb:?} {target:?}");
            assert_eq!(judge(&inside("a"), verb, target, Authority::All), Ok(()));
            assert_eq!(judge(&Place::Outside, verb, target, Authority::Own), Ok(()));
        }
        // A child has no say over its parent, and who cannot be named over nobody.
        assert!(judge(&inside("b"), Act("kill"), own, Authority::Own).is_err());
        assert!(judge(&Place::Inside(None), Act("kill"), child, Authority::Own).is_err());
        assert!(judge(&Place::Inside(None), Heartbeat, own, Authority::Own).is_err());
        assert_eq!(judge(&Place::Inside(None), Read, other, Authority::Own), Ok(()));
    }

    #[test]
    fn a_refusal_says_what_is_allowed_and_which_key_changes_it() {
        let target = Target { id: "x", name: "front", started_by: &[] };
        let text = judge(&inside("a"), Verb::Act("kill"), Some(target), Authority::Own).unwrap_err().to_string();
        assert!(text.starts_with("session a may not kill front: an agent may look"), "{text}");
        assert!(text.contains("agents.authority = \"all\""), "{text}");
        let own = Target { id: "a", ..target };
        let text = judge(&inside("a"), Verb::Act("kill"), Some(own), Authority::Own).unwrap_err().to_string();
        assert!(text.starts_with("session a may not kill itself:"), "{text}");
        let text = judge(&Place::Inside(None), Verb::Rule("stop the daemon"), None, Authority::Own).unwrap_err();
        assert!(text.to_string().starts_with("a process inside a session may not stop the daemon:"));
    }

    #[test]
    fn a_caller_is_in_the_nearest_session_and_in_doubt_inside() {
        let holds = |p: ProcId| match p.pid {
            20 => Some("near".to_string()),
            30 => Some("far".to_string()),
            _ => None,
        };
        let nobody = |_: ProcId| None;
        let of = |pids: &[i32]| Kin { lineage: pids.iter().copied().map(id).collect(), ..Kin::default() };
        let tagged = Kin { tags: vec!["t@other".into(), "t@i".into()], ..of(&[9, 1]) };
        let caged = Kin { cgroup: "/user.slice/beadle-i/k3/deep".into(), ..of(&[9, 1]) };
        let foreign = Kin { keepers: vec!["q".into()], ..of(&[9, 1]) };
        assert_eq!(place(&of(&[9, 20, 30, 1]), "i", true, holds), inside("near"));
        assert_eq!(place(&Kin { tags: vec!["t@i".into()], ..of(&[9, 30]) }, "i", true, holds), inside("far"));
        assert_eq!(place(&tagged, "i", true, nobody), inside("t"));
        assert_eq!(place(&caged, "i", true, nobody), inside("k3"));
        assert_eq!(place(&foreign, "i", true, nobody), Place::Inside(None));
        assert_eq!(place(&Kin::default(), "i", true, nobody), Place::Inside(None));
        assert_eq!(place(&Kin::default(), "i", false, nobody), Place::Outside);
        assert_eq!(place(&of(&[9, 1]), "i", true, nobody), Place::Outside);
        let strange =
            Kin { tags: vec!["t@ii".into(), "ti".into(), "@".into()], cgroup: "/beadle-ii/k3".into(), ..of(&[9]) };
        assert_eq!(place(&strange, "i", true, nobody), Place::Outside);
    }

    #[test]
    fn a_keeper_obeys_outsiders_and_those_its_session_descends_from() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let chain = ids(&["b", "a"]);
        assert!(is_obeyed(Some(&[]), &chain) && is_obeyed(Some(&ids(&["a"])), &chain));
        assert!(!is_obeyed(Some(&ids(&["x"])), &chain) && !is_obeyed(Some(&ids(&["a", "x"])), &chain));
        assert!(!is_obeyed(Some(&ids(&["a"])), &[]) && !is_obeyed(None, &chain));
    }

    proptest! {
        #[test]
        fn nobody_inside_reaches_a_session_it_did_not_start(own in "[a-c]", id in "[a-e]", chain in prop::collection::vec("[a-e]", 0..4)) {
            let target = Target { id: &id, name: &id, started_by: &chain };
            let allowed = judge(&inside(&own), Verb::Act("kill"), Some(target), Authority::Own).is_ok();
            prop_assert_eq!(allowed, chain.contains(&own) && own != id);
        }
    }
}
