//! Whether a process is an agent, one of its helpers, or only looks like one. Says by which rule.

use super::argv::{Program, basename, programs};
use super::pattern::Pattern;
use super::{Profile, Profiles};

/// Which programs a rule is about; either list is enough.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Who {
    /// Names without directories.
    pub programs: Vec<String>,
    /// Patterns on the whole word: paths, packages, modules.
    pub paths: Vec<Pattern>,
}

/// How the agent itself is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recognition {
    pub who: Who,
    /// Names under which the same executable is something else, such as a tool it carries.
    pub other_names: Vec<String>,
}

/// What looks like the agent and is no session of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exclude {
    pub rule: String,
    /// Empty: the agent's own programs.
    pub who: Who,
    pub args: Option<Pattern>,
    /// Holds where this is *not* in the arguments.
    pub without: Option<Pattern>,
    /// For people.
    pub why: String,
}

/// What an agent starts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HelperKind {
    /// A server of the model context protocol.
    Mcp,
    /// A shell that runs one command of the agent.
    Shell,
    /// Outlives the session that started it, and serves others as well.
    Daemon,
}

/// How one kind of helper is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Helper {
    pub rule: String,
    pub kind: HelperKind,
    /// Speaks over its standard input and output, so that it is of no use once both ends are gone.
    pub stdio: bool,
    /// Empty: the agent's own programs.
    pub who: Who,
    pub args: Option<Pattern>,
    pub without: Option<Pattern>,
}

/// What a process is, as far as the profiles can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    Agent { name: String, rule: String },
    Helper { agent: String, kind: HelperKind, stdio: bool, rule: String },
    Excluded { agent: String, rule: String, why: String },
    Nothing,
}

impl Who {
    fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.paths.is_empty()
    }

    /// What of the program fits.
    fn fits(&self, program: &Program) -> Option<String> {
        let base = program.basename();
        if self.programs.iter().any(|p| p == base) {
            return Some(format!("its name is {base}"));
        }
        let path = self.paths.iter().find(|p| p.is_match(&program.word))?;
        Some(format!("its path matches {}", path.as_str()))
    }
}

fn arguments_fit(arguments: &str, args: Option<&Pattern>, without: Option<&Pattern>) -> bool {
    args.is_none_or(|p| p.is_match(arguments)) && !without.is_some_and(|p| p.is_match(arguments))
}

impl Profiles {
    /// What the process with this command line is; `exe` is asked where the command line says nothing.
    pub fn recognise(&self, argv: &[String], exe: Option<&str>) -> Match {
        match (self.named(argv), exe) {
            (Match::Nothing, Some(exe)) => self.executing(argv, exe),
            (found, _) => found,
        }
    }

    /// The kind of session a command line starts: a profile's name, or `other`.
    pub fn kind_of(&self, argv: &[String]) -> String {
        match self.named(argv) {
            Match::Agent { name, .. } => name,
            Match::Helper { .. } | Match::Excluded { .. } | Match::Nothing => "other".into(),
        }
    }

    /// The first agent or helper counts; what is excluded only if nothing behind it says more: a shell that
    /// runs a script is no shell at its prompt, yet the script may be an agent.
    fn named(&self, argv: &[String]) -> Match {
        let mut excluded = Match::Nothing;
        for program in programs(argv) {
            match self.one(&program) {
                found @ Match::Excluded { .. } if excluded == Match::Nothing => excluded = found,
                Match::Excluded { .. } | Match::Nothing => {}
                found @ (Match::Agent { .. } | Match::Helper { .. }) => return found,
            }
        }
        excluded
    }

    /// As if the executable itself stood on the command line, where a process has renamed itself.
    fn executing(&self, argv: &[String], exe: &str) -> Match {
        let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
        let called = argv.first().map_or("", |a| basename(a));
        let rest = argv.iter().skip(1).cloned();
        let found = self.named(&std::iter::once(exe.to_string()).chain(rest).collect::<Vec<_>>());
        let Match::Agent { name, rule } = found else { return found };
        let other = self.by_name(&name).is_some_and(|p| p.recognition.other_names.iter().any(|n| n == called));
        if other {
            let why = format!("the executable of {name} called as another tool");
            return Match::Excluded { agent: name, rule: called.into(), why };
        }
        Match::Agent { name, rule: format!("of its executable, {rule}") }
    }

    fn one(&self, program: &Program) -> Match {
        self.all().iter().map(|p| p.judge(program)).find(|m| *m != Match::Nothing).unwrap_or(Match::Nothing)
    }
}

impl Profile {
    fn judge(&self, program: &Program) -> Match {
        let own = self.recognition.who.fits(program);
        let concerned = |who: &Who| if who.is_empty() { own.is_some() } else { who.fits(program).is_some() };
        let needs_arguments = own.is_some()
            || self.helpers.iter().any(|h| concerned(&h.who))
            || self.excludes.iter().any(|e| concerned(&e.who));
        // Arguments can be long, and most processes are of no concern.
        if !needs_arguments {
            return Match::Nothing;
        }
        let arguments = program.arguments();
        let fits = |args: &Option<Pattern>, without: &Option<Pattern>| {
            arguments_fit(&arguments, args.as_ref(), without.as_ref())
        };
        let agent = self.name.clone();
        if let Some(h) = self.helpers.iter().find(|h| concerned(&h.who) && fits(&h.args, &h.without)) {
            return Match::Helper { agent, kind: h.kind, stdio: h.stdio, rule: h.rule.clone() };
        }
        if let Some(e) = self.excludes.iter().find(|e| concerned(&e.who) && fits(&e.args, &e.without)) {
            return Match::Excluded { agent, rule: e.rule.clone(), why: e.why.clone() };
        }
        own.map_or(Match::Nothing, |rule| Match::Agent { name: agent, rule })
    }
}
