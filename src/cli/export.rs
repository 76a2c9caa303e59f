//! `export`: all that is kept of a session, into a directory of its own or a tar.

use std::io::{self, Write};
use std::path::Path;

use super::args::{Export, Globals};
use super::exit::{DONE, Ended, Failure};
use super::{connect, print};
use crate::api::tar;
use crate::sys::dirs;

pub async fn run(globals: &Globals, args: &Export) -> Ended {
    let target = &args.output;
    // Before anything is asked for; looked at again when it is made.
    let is_tar = target.extension().is_some_and(|end| end == "tar");
    if is_tar {
        absent(target)?;
    } else {
        empty(target)?;
    }
    let bytes = connect::client(globals).await?.export(&args.id).await?;
    if is_tar {
        write_new(target, &bytes)?;
    } else {
        let parts =
            tar::unpack(&bytes).ok_or_else(|| Failure::Local("the daemon sent half of it: try again".into()))?;
        if !target.is_dir() {
            dirs::ensure_private(target).map_err(|e| Failure::Local(e.to_string()))?;
        }
        for (name, content) in &parts {
            write_new(&target.join(name), content)?;
        }
    }
    print::line(&print::printable(&target.display().to_string()))?;
    Ok(DONE)
}

fn absent(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() { Err(in_the_way(path)) } else { Ok(()) }
}

fn empty(path: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(path) {
        Ok(mut inside) => inside.next().map_or(Ok(()), |_| Err(in_the_way(path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Failure::Read { path: path.into(), source }),
    }
}

fn in_the_way(path: &Path) -> Failure {
    Failure::Local(format!("{} is there already and would be overwritten: name another", path.display()))
}

/// Nothing that is there is replaced.
fn write_new(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::Local(format!("failed to write {}: {e}", path.display()));
    dirs::new_private_file(path).and_then(|mut file| file.write_all(content)).map_err(failed)
}
