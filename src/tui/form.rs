//! The form for a new session: three lines, what is wrong with them, and what they ask for.

use std::path::Path;

use super::line::Line;
use super::msg::Effect;
use crate::model::text::name_refusal;
use crate::model::words;

/// Where the cursor is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Field {
    #[default]
    Command,
    Name,
    Directory,
}

impl Field {
    pub const ALL: [Self; 3] = [Self::Command, Self::Name, Self::Directory];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Name => "name",
            Self::Directory => "directory",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Command => Self::Name,
            Self::Name => Self::Directory,
            Self::Directory => Self::Command,
        }
    }

    const fn previous(self) -> Self {
        self.next().next()
    }
}

/// What has been typed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pub command: Line,
    pub name: Line,
    pub directory: Line,
    pub field: Field,
    pub error: Option<String>,
    /// Directories that what is typed could become.
    pub offered: Vec<String>,
    /// Asked for, not yet answered.
    pub is_starting: bool,
}

impl Form {
    pub fn new(command: &str, directory: &str) -> Self {
        Self { command: Line::new(command), directory: Line::new(directory), ..Self::default() }
    }

    /// The same again, with another name.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { name: Line::default(), field: Field::Command, error: None, is_starting: false, ..self.clone() }
    }

    pub const fn line(&self, field: Field) -> &Line {
        match field {
            Field::Command => &self.command,
            Field::Name => &self.name,
            Field::Directory => &self.directory,
        }
    }

    pub const fn current(&mut self) -> &mut Line {
        match self.field {
            Field::Command => &mut self.command,
            Field::Name => &mut self.name,
            Field::Directory => &mut self.directory,
        }
    }

    pub const fn go_next(&mut self) {
        self.field = self.field.next();
    }

    pub const fn go_back(&mut self) {
        self.field = self.field.previous();
    }

    /// What is typed as a directory, and where to look for how it could go on.
    pub fn completing(&self, here: &str, home: Option<&str>) -> Option<(String, String)> {
        let typed = self.directory.text();
        let above = typed.rfind('/').map_or("", |at| &typed[..=at]);
        let place = resolved(above, here, home).ok()?;
        (typed != "~").then_some((typed, place))
    }

    /// Takes the names of the directories there; true when there was nothing to add.
    pub fn complete(&mut self, typed: &str, names: &[String]) -> bool {
        if self.directory.text() != typed || self.field != Field::Directory {
            return false;
        }
        let (above, part) = typed.rfind('/').map_or(("", typed), |at| typed.split_at(at + 1));
        let fits = |name: &&String| name.starts_with(part) && (!name.starts_with('.') || part.starts_with('.'));
        let fitting: Vec<&String> = names.iter().filter(fits).collect();
        let Some(first) = fitting.first() else { return true };
        let common = fitting.iter().fold(first.as_str(), |a, b| common(a, b));
        let slash = if fitting.len() == 1 { "/" } else { "" };
        if common.len() + slash.len() > part.len() {
            self.directory = Line::new(&format!("{above}{common}{slash}"));
        } else {
            self.offered = fitting.into_iter().cloned().collect();
        }
        false
    }

    /// The session asked for, or the field that is wrong and why. `here` and `home` resolve
    /// the directory.
    pub fn request(&self, here: &str, home: Option<&str>, size: (u16, u16)) -> Result<Effect, (Field, String)> {
        let command = words::split(&self.command.text()).map_err(|e| (Field::Command, e.to_string()))?;
        if command.first().is_none_or(String::is_empty) {
            return Err((Field::Command, "what should be started?".into()));
        }
        let name = self.name.text().trim().to_string();
        if let Some(why) = name_refusal(&name).filter(|_| !name.is_empty()) {
            return Err((Field::Name, why));
        }
        let workspace = resolved(self.directory.text().trim(), here, home).map_err(|why| (Field::Directory, why))?;
        Ok(Effect::Start { command, name: Some(name).filter(|n| !n.is_empty()), workspace, size })
    }
}

/// What both begin with.
fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let end =
        a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b).map_or(a.len().min(b.len()), |((at, _), _)| at);
    &a[..end]
}

fn resolved(directory: &str, here: &str, home: Option<&str>) -> Result<String, String> {
    let path = match (directory.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.into(),
        (Some(rest), Some(home)) if rest.starts_with('/') => format!("{home}{rest}"),
        _ if directory.is_empty() => here.into(),
        _ => Path::new(here).join(directory).to_string_lossy().into_owned(),
    };
    // None at all, where nothing is known of the other machine's.
    let is_left_open = path.is_empty() && here.is_empty();
    if path.starts_with('/') || is_left_open { Ok(path) } else { Err(format!("{path:?} is not an absolute path")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(command: &str, name: &str, directory: &str) -> Result<Effect, (Field, String)> {
        let form = Form { name: Line::new(name), ..Form::new(command, directory) };
        form.request("/srv/app", Some("/home/u"), (80, 24))
    }

    #[test]
    fn a_form_becomes_words_a_name_and_an_absolute_directory() {
        for (typed, expected) in
            [("", "/srv/app"), ("web", "/srv/app/web"), ("~/x", "/home/u/x"), ("~", "/home/u"), ("/tmp", "/tmp")]
        {
            let Ok(Effect::Start { command, name, workspace, .. }) = asked("claude -p 'fix it'", "", typed) else {
                panic!("{typed}")
            };
            assert_eq!((command.len(), name, workspace.as_str()), (3, None, expected));
        }
    }

    #[test]
    fn a_directory_is_completed_as_far_as_there_is_no_doubt() {
        let names = ["api", "app", "assets", ".git", "日本"].map(String::from);
        for (typed, becomes) in
            [("ap", "ap"), ("a", "a"), ("as", "assets/"), ("/x/app", "/x/app/"), (".g", ".git/"), ("日", "日本/")]
        {
            let mut form = Form { field: Field::Directory, ..Form::new("", typed) };
            let (asked, _) = form.completing("/srv", Some("/home/u")).unwrap();
            assert!(!form.complete(&asked, &names), "{typed}");
            assert_eq!(form.directory.text(), becomes);
        }
        let mut form = Form { field: Field::Directory, ..Form::new("", "zz") };
        assert!(form.complete("zz", &names) && !form.complete("other", &names));
        assert_eq!(form.completing("/srv", None), Some(("zz".into(), "/srv".into())));
        let form = Form::new("", "~/x/y");
        assert_eq!(form.completing("/srv", Some("/home/u")).unwrap().1, "/home/u/x/");
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        assert_eq!(asked("", "", "").unwrap_err().0, Field::Command);
        assert_eq!(asked("a 'b", "", "").unwrap_err().0, Field::Command);
        assert_eq!(asked("a", "two words", "").unwrap_err().0, Field::Name);
    }
}
