//! A profile in TOML: the shape of `assets/agents/*.toml` and of `[[agent]]`.

use super::fields::{Fields, Judge, inside};
use crate::model::policy::Limits;
use crate::model::profile::{
    Exclude, Gate, Gentle, Helper, HelperKind, Profile, Recognition, Region, Resume, Rule, Says, StatusFile,
    StatusHook, Who, Words,
};
use crate::model::session::Attention;
use crate::model::stop::Signal;
use crate::model::text::name_refusal;

use std::ops::Range;

use toml::de::DeTable;

/// Reads one profile; the complaints go to the judge, who then has no use for the profile.
pub(super) fn profile<'a>(table: &'a DeTable<'a>, span: Range<usize>, judge: &mut Judge) -> Option<Profile> {
    inside(table, span, "agent", judge, |f| {
        let name = f.needed("name");
        if let Some(refusal) = name.as_deref().and_then(name_refusal) {
            f.lacks(&format!("`name`: {refusal}"));
        }
        let recognition = f.table("match", recognition);
        let start = f.text("start").or_else(|| recognition.as_ref()?.who.programs.first().cloned());
        let profile = Profile {
            start: start.filter(|s| !s.is_empty()),
            recognition: recognition.unwrap_or_default(),
            excludes: f.tables("exclude", exclude),
            helpers: f.tables("helper", helper),
            rules: f.tables("look", rule),
            spinner: f.text("spinner").unwrap_or_default(),
            status_file: f.table("status_file", status_file).flatten(),
            status_hook: f.table("status_hook", status_hook).flatten(),
            gentle: f.table("stop", gentle).unwrap_or_default(),
            resume: f.table("resume", resume).unwrap_or_default(),
            limits: Limits { max_idle: f.limit("max_idle"), max_waiting: f.limit("max_waiting"), timeout: None },
            name: name?,
        };
        if f.is_sound() && profile.recognition == Recognition::default() && profile.helpers.is_empty() {
            f.lacks("nothing would ever be this agent: write `[agent.match]`, and `program = [\"…\"]` below");
        }
        Some(profile)
    })
}

fn who(f: &mut Fields<'_, '_>) -> Who {
    Who { programs: f.list("program"), paths: f.patterns("path") }
}

fn recognition(f: &mut Fields<'_, '_>) -> Recognition {
    Recognition { who: who(f), other_names: f.list("other_names") }
}

fn exclude(f: &mut Fields<'_, '_>) -> Option<Exclude> {
    let (rule, why) = (f.needed("rule"), f.needed("why"));
    let (who, args, without) = (who(f), f.pattern("args"), f.pattern("without"));
    if f.is_sound() && who == Who::default() && args.is_none() && without.is_none() {
        f.lacks("this leaves out every process of the agent: say which with `args`, `without`, `program` or `path`");
    }
    Some(Exclude { rule: rule?, who, args, without, why: why? })
}

fn helper(f: &mut Fields<'_, '_>) -> Option<Helper> {
    const KINDS: [HelperKind; 3] = [HelperKind::Mcp, HelperKind::Shell, HelperKind::Daemon];
    let (rule, kind) = (f.needed("rule"), f.word("kind", &["mcp", "shell", "daemon"]));
    let (stdio, who) = (f.flag("stdio"), who(f));
    let (args, without) = (f.pattern("args"), f.pattern("without"));
    if f.is_sound() && who == Who::default() && args.is_none() {
        f.lacks("every process of the agent would be this: say which with `args`, `program` or `path`");
    }
    Some(Helper { rule: rule?, kind: KINDS[kind?], stdio, who, args, without })
}

/// Every answer a rule can give.
const SAYS: [(&str, Says); 7] = [
    ("working", Says::Attention(Attention::Working)),
    ("waiting", Says::Attention(Attention::Waiting)),
    ("idle", Says::Attention(Attention::Idle)),
    ("trust", Says::Gate(Gate::Trust)),
    ("login", Says::Gate(Gate::Login)),
    ("limit", Says::Gate(Gate::Limit)),
    ("nothing", Says::Nothing),
];

fn rule(f: &mut Fields<'_, '_>) -> Option<Rule> {
    let (name, region) = (f.needed("rule"), region(f));
    let says = f.word("says", &SAYS.map(|(word, _)| word));
    let (all, any, none) = (f.patterns("all"), f.patterns("any"), f.patterns("none"));
    if f.is_sound() && all.is_empty() && any.is_empty() {
        f.lacks("this holds on every screen: write `all = ['…']` or `any = ['…']`");
    }
    Some(Rule { rule: name?, region: region?, all, any, none, says: SAYS[says?].1 })
}

/// The regions that need no number.
const REGIONS: [(&str, Region); 4] =
    [("title", Region::Title), ("screen", Region::Screen), ("below rule", Region::BelowRule), ("box", Region::Box)];

/// `title`, `screen`, `below rule`, `box`, `last 8`.
fn region(f: &mut Fields<'_, '_>) -> Option<Region> {
    let text = f.needed("in")?;
    let last = text.strip_prefix("last ").and_then(|n| n.parse().ok()).filter(|n| (1..=100).contains(n));
    if let Some(lines) = last {
        return Some(Region::Last(lines));
    }
    let found = REGIONS.iter().find(|(word, _)| *word == text).map(|(_, region)| *region);
    if found.is_none() {
        f.lacks(&format!(
            "`in` is {text:?}: write \"title\", \"screen\", \"below rule\", \"box\", or \"last 8\" for the last 8 lines"
        ));
    }
    found
}

fn words(f: &mut Fields<'_, '_>) -> Words {
    Words { working: f.list("working"), waiting: f.list("waiting"), idle: f.list("idle") }
}

fn status_file(f: &mut Fields<'_, '_>) -> Option<StatusFile> {
    let path = f.needed("path");
    let mut text = |key| f.text(key).unwrap_or_default();
    let file = StatusFile {
        home_variable: text("home_variable"),
        home: text("home"),
        pid: text("pid"),
        start: text("start"),
        session: text("session"),
        status: text("status"),
        waiting_for: text("waiting_for"),
        since: text("since"),
        skip: f.list("skip"),
        words: words(f),
        path: path?,
    };
    if !file.path.contains("{pid}") {
        f.lacks("`path` must hold {pid}, which stands for the agent's process");
    }
    Some(file)
}

fn status_hook(f: &mut Fields<'_, '_>) -> Option<StatusHook> {
    let variable = f.needed("variable");
    let words = words(f);
    Some(StatusHook { variable: variable?, file: f.text("file"), words })
}

fn gentle(f: &mut Fields<'_, '_>) -> Gentle {
    const SIGNALS: [Signal; 4] = [Signal::Int, Signal::Term, Signal::Hup, Signal::Quit];
    let typed = f.text("type");
    let signal = match f.text("signal") {
        Some(_) => f.word("signal", &SIGNALS.map(Signal::as_str)).map(|n| SIGNALS[n]),
        None => None,
    };
    Gentle { typed, signal }
}

fn resume(f: &mut Fields<'_, '_>) -> Resume {
    let (session, last) = (f.text("session"), f.text("last"));
    if session.as_ref().is_some_and(|s| !s.contains("{session}")) {
        f.lacks("`session` must hold {session}, which stands for the conversation; a command without it is `last`");
    }
    Resume { session, last }
}
