//! What a command line runs: through interpreters and launchers to the program itself. Knows how those are
//! called, and nothing about agents.
//!
//! Never by `comm`: it is cut at 15 bytes, and a thread name or a version may stand there.

/// A program named on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// As it stands there: a path, a name, a package or a module.
    pub word: String,
    /// All that follows it.
    pub args: Vec<String>,
    /// Not the first word, but what that one runs.
    pub launched: bool,
}

impl Program {
    fn new(words: &[String], launched: bool) -> Option<Self> {
        let (word, args) = words.split_first()?;
        Some(Self { word: word.clone(), args: args.to_vec(), launched })
    }

    /// The name without its directories; a login shell without its `-`.
    pub fn basename(&self) -> &str {
        let word = if self.launched { self.word.as_str() } else { self.word.strip_prefix('-').unwrap_or(&self.word) };
        basename(word)
    }

    /// What follows, as one text.
    pub fn arguments(&self) -> String {
        self.args.join(" ")
    }
}

pub(super) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A program that runs another one which its command line names.
#[derive(Default)]
struct Launcher {
    names: &'static [&'static str],
    /// One of these must come first, such as `exec` of npm.
    verbs: &'static [&'static str],
    /// One of these may come first, such as `run` of bun.
    may_verbs: &'static [&'static str],
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Options after which code stands and no program.
    inline: &'static [&'static str],
    /// Words before the program, such as the time of `timeout`.
    operands: usize,
    /// `-c` gives a command line as one text.
    command_text: bool,
}

const NONE: Launcher =
    Launcher { names: &[], verbs: &[], may_verbs: &[], valued: &[], inline: &[], operands: 0, command_text: false };

const UV_VALUED: &[&str] = &[
    "--with",
    "--from",
    "--python",
    "-p",
    "--directory",
    "--project",
    "--extra",
    "--group",
    "--env-file",
    "--index-url",
    "--with-requirements",
    "--with-editable",
];

const LAUNCHERS: &[Launcher] = &[
    Launcher {
        names: &["node", "nodejs"],
        valued: &["-r", "--require", "--import", "--loader", "--env-file", "-C", "--conditions", "--title"],
        inline: &["-e", "--eval", "-p", "--print"],
        ..NONE
    },
    Launcher {
        names: &["bun", "bunx"],
        may_verbs: &["run", "x"],
        valued: &["-r", "--preload", "--cwd", "-c"],
        inline: &["-e", "--eval", "-p", "--print"],
        ..NONE
    },
    Launcher { names: &["deno"], verbs: &["run"], valued: &["-c", "--config", "--import-map"], ..NONE },
    // `-m` needs no row: what follows it is the name of the program.
    Launcher { names: &["python", "pypy"], valued: &["-X", "-W"], inline: &["-c"], ..NONE },
    Launcher { names: &["uv"], verbs: &["run", "tool"], may_verbs: &["run"], valued: UV_VALUED, ..NONE },
    Launcher { names: &["uvx"], valued: UV_VALUED, ..NONE },
    Launcher { names: &["pipx"], verbs: &["run"], valued: &["--spec", "--python"], ..NONE },
    Launcher { names: &["npx"], valued: &["-p", "--package"], inline: &["-c", "--call"], ..NONE },
    Launcher { names: &["npm", "pnpm", "yarn"], verbs: &["exec", "x", "dlx"], valued: &["-p", "--package"], ..NONE },
    Launcher {
        names: &["sh", "bash", "dash", "zsh", "ksh", "fish"],
        valued: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        command_text: true,
        ..NONE
    },
    Launcher { names: &["script"], valued: &["-I", "-O", "-B", "-T", "-m", "-o", "-E"], command_text: true, ..NONE },
    Launcher { names: &["env"], valued: &["-u", "--unset", "-C", "--chdir"], ..NONE },
    Launcher { names: &["timeout"], valued: &["-k", "--kill-after", "-s", "--signal"], operands: 1, ..NONE },
    Launcher { names: &["nice", "ionice"], valued: &["-n", "-c", "--adjustment"], ..NONE },
    Launcher { names: &["stdbuf"], valued: &["-i", "-o", "-e"], ..NONE },
    Launcher { names: &["nohup", "setsid", "time"], ..NONE },
];

/// Launchers inside launchers; more are somebody's joke.
const DEEPEST: usize = 6;

/// The programs a command line names: the first word, then what each runs in turn.
pub(super) fn programs(argv: &[String]) -> Vec<Program> {
    let mut found: Vec<Program> = Program::new(argv, false).into_iter().collect();
    if let [only] = argv
        && found.iter().all(|p| launcher(p.basename()).is_none())
        && let [first, rest @ ..] = words(only).as_slice()
        && !rest.is_empty()
    {
        // A process that wrote a title over its arguments, as npm does.
        found.push(Program { word: first.clone(), args: rest.to_vec(), launched: false });
    }
    while let Some(last) = found.last()
        && found.len() < DEEPEST
        && let Some(next) = launcher(last.basename()).and_then(|l| l.launched(&last.args))
    {
        found.push(next);
    }
    found
}

fn launcher(name: &str) -> Option<&'static Launcher> {
    let versioned = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    LAUNCHERS.iter().find(|l| l.names.iter().any(|n| *n == name || *n == versioned))
}

impl Launcher {
    /// What it runs; `None` when it runs code, reads commands, or does something else altogether.
    fn launched(&self, args: &[String]) -> Option<Program> {
        let (mut at, mut operands) = (0, self.operands);
        if !self.verbs.is_empty() {
            if !self.verbs.contains(&args.first()?.as_str()) {
                return None;
            }
            at = 1;
        }
        if args.get(at).is_some_and(|a| self.may_verbs.contains(&a.as_str())) {
            at += 1;
        }
        while let Some(arg) = args.get(at).map(String::as_str) {
            match arg {
                "--" => return Program::new(&args[at + 1..], true),
                _ if self.inline.contains(&arg) => return None,
                _ if self.command_text && is_command_option(arg) => return text_of(args.get(at + 1)?),
                _ if self.valued.contains(&arg) => at += 2,
                _ if arg.starts_with('-') || is_assignment(arg) => at += 1,
                _ if operands > 0 => (at, operands) = (at + 1, operands - 1),
                // `script` is told the program by `-c` alone; what stands free is its output file.
                _ if self.names.contains(&"script") => at += 1,
                _ => return Program::new(&args[at..], true),
            }
        }
        None
    }
}

/// `-c`, `-lc`, `-qec`, `--command`.
fn is_command_option(arg: &str) -> bool {
    let letters = arg.strip_prefix('-').filter(|l| !l.starts_with('-'));
    letters.is_some_and(|l| l.contains('c') && l.chars().all(|c| c.is_ascii_alphabetic())) || arg == "--command"
}

fn is_assignment(arg: &str) -> bool {
    let name = arg.split_once('=').map(|(name, _)| name);
    name.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// The program of a command text, when that is plain words: shells have a language, which is not read here.
fn text_of(text: &str) -> Option<Program> {
    if text.contains(|c: char| "|&;<>()$`\\\"'{}*?[]#~!\n".contains(c)) {
        return None;
    }
    let words = words(text.trim_start().strip_prefix("exec ").unwrap_or(text));
    let start = words.iter().position(|w| !is_assignment(w))?;
    Program::new(&words[start..], true)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_looked_through() {
        for (line, expected) in [
            ("node --max-old-space-size=4096 -r x.js /a/cli.js --flag", "/a/cli.js"),
            ("node -e code", "node"),
            ("python3.12 -u -m aider --model x", "aider"),
            ("python -c import", "python"),
            ("uv tool run --from a aider", "aider"),
            ("uv pip install aider", "uv"),
            ("npm exec -- @openai/codex", "@openai/codex"),
            ("npm install codex", "npm"),
            ("env -i A=b -u C timeout -k 5 10m nice -n 5 bash -l x.sh y", "x.sh"),
            ("bash -l", "bash"),
            ("timeout 5", "timeout"),
            ("deno run -A npm:thing", "npm:thing"),
            ("bun x thing", "thing"),
        ] {
            let argv = words(line);
            assert_eq!(programs(&argv).last().unwrap().word, expected, "{line}");
        }
    }

    #[test]
    fn a_command_text_counts_when_it_is_plain_words() {
        let last = |argv: &[&str]| {
            let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
            programs(&argv).pop().unwrap().word
        };
        assert_eq!(last(&["sh", "-c", "exec A=b claude --resume x"]), "claude");
        assert_eq!(last(&["script", "-qec", "claude --verbose", "/tmp/out"]), "claude");
        assert_eq!(last(&["script", "/tmp/claude"]), "script");
        assert_eq!(last(&["bash", "-c", "echo 'claude' && claude"]), "bash");
        assert_eq!(last(&["npm exec @openai/codex"]), "@openai/codex");
        assert_eq!(last(&["-bash"]), "-bash");
    }
}
