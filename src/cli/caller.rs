//! What the caller's shell hands down to a session: environment, directory, umask and limits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::exit::Failure;
use super::print;
use crate::api::types::Limit;
use crate::sys::inherit;

/// Where the caller finds its daemon, and what it shows there: not for the agents it starts, who would speak to that
/// daemon as somebody from outside.
const OURS: [&str; 3] = ["BEADLE_HOST", "BEADLE_TOKEN", "BEADLE_SERVER__TOKEN"];

/// The caller's whole environment, but for what is beadle's own. What is not UTF-8 cannot travel: it is left out, and
/// said so.
pub fn environment() -> BTreeMap<String, String> {
    let (mut env, skipped) = in_utf8(std::env::vars_os());
    env.retain(|name, _| !OURS.contains(&name.as_str()));
    for name in skipped {
        print::complain(&format!("the variable {name} is not UTF-8 and is left out"));
    }
    env
}

fn in_utf8(vars: impl Iterator<Item = (OsString, OsString)>) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut env, mut skipped) = (BTreeMap::new(), Vec::new());
    for (name, value) in vars {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                env.insert(name, value);
            }
            (Ok(name), Err(_)) => skipped.push(name),
            (Err(name), _) => skipped.push(name.to_string_lossy().into_owned()),
        }
    }
    (env, skipped)
}

/// Adds what `--env` says: `K=V` sets, `K` insists that it is set already.
pub fn add(env: &mut BTreeMap<String, String>, words: &[String]) -> Result<(), Failure> {
    for word in words {
        match word.split_once('=') {
            Some(("", _)) => return Err(Failure::Usage(format!("--env {word}: a variable needs a name"))),
            Some((name, value)) => {
                env.insert(name.into(), value.into());
            }
            None if env.contains_key(word) => {}
            None => return Err(Failure::Usage(format!("--env {word}: it is not set here; give it as {word}=VALUE"))),
        }
    }
    Ok(())
}

/// What `--env` says to a machine elsewhere: `K=V` sets, `K` takes the caller's value along.
pub fn named(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut env = BTreeMap::new();
    for word in words.iter().filter(|word| !word.contains('=')) {
        env.extend(std::env::var(word).ok().map(|value| (word.clone(), value)));
    }
    add(&mut env, words)?;
    Ok(env)
}

/// A directory of another machine, which knows whether it is there.
pub fn far_directory(dir: &Path) -> Result<String, Failure> {
    let wrong = |what| Failure::Usage(format!("--cwd {}: {what}", print::printable(&dir.display().to_string())));
    let text = dir.to_str().ok_or_else(|| wrong("its name is not UTF-8"))?;
    if dir.is_absolute() { Ok(text.into()) } else { Err(wrong("it is on the other machine: write it whole, from /")) }
}

/// An absolute path of an existing directory: `dir`, or the current one.
pub fn directory(dir: Option<&Path>) -> Result<String, Failure> {
    let shown = dir.unwrap_or(Path::new("."));
    let wrong = |what: &str| Failure::Local(format!("failed to use the directory {}: {what}", shown.display()));
    let here = || std::env::current_dir().map_err(|e| wrong(&e.to_string()));
    let path = match dir {
        Some(dir) if dir.is_absolute() => dir.to_path_buf(),
        Some(dir) => here()?.join(dir).components().collect(),
        None => here()?,
    };
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_dir() => return Err(wrong("it is not a directory")),
        Ok(_) => {}
        Err(e) => return Err(wrong(&e.to_string())),
    }
    path.into_os_string().into_string().map_err(|_| wrong("its name is not UTF-8"))
}

pub fn umask() -> u32 {
    inherit::umask()
}

pub fn limits() -> Vec<Limit> {
    inherit::limits().into_iter().map(|(resource, soft, hard)| Limit { resource, soft, hard }).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_variable_that_is_not_utf8_is_left_out_by_name() {
        let bad = OsString::from_vec(vec![0xff]);
        let (env, skipped) = in_utf8([("A".into(), "1".into()), ("B".into(), bad)].into_iter());
        assert_eq!(env.into_iter().collect::<Vec<_>>(), [("A".to_string(), "1".to_string())]);
        assert_eq!(skipped, ["B"]);
    }

    #[test]
    fn a_variable_is_set_or_must_be_there() {
        let mut env = BTreeMap::from([("HOME".to_string(), "/h".to_string())]);
        add(&mut env, &["A=b=c".into(), "HOME".into(), "EMPTY=".into()]).unwrap();
        assert_eq!((env["A"].as_str(), env["HOME"].as_str(), env["EMPTY"].as_str()), ("b=c", "/h", ""));
        assert_eq!(add(&mut env, &["NOT_SET".into()]).unwrap_err().status(), 2);
        assert_eq!(add(&mut env, &["=x".into()]).unwrap_err().status(), 2);
    }

    #[test]
    fn a_directory_must_be_one() {
        assert_eq!(directory(Some(Path::new("/"))).unwrap(), "/");
        assert!(directory(Some(Path::new("/nowhere-at-all"))).is_err());
        assert!(directory(Some(Path::new("/etc/hostname"))).is_err());
    }
}
