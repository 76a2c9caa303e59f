//! `completions` and `man`: what is made from the definition of the command line itself.

use clap::CommandFactory;

use super::args::{Beadle, Completions, Man};
use super::exit::{DONE, Ended, Failure};
use super::print;

pub fn completions(args: &Completions) -> Ended {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Beadle::command(), "beadle", &mut out);
    print::raw(&String::from_utf8_lossy(&out))?;
    Ok(DONE)
}

pub fn man(args: &Man) -> Ended {
    let command = match &args.verb {
        None => Beadle::command(),
        Some(verb) => page_of(verb)?,
    };
    let mut out = Vec::new();
    clap_mangen::Man::new(command).render(&mut out).map_err(Failure::Output)?;
    print::raw(&String::from_utf8_lossy(&out))?;
    Ok(DONE)
}

fn page_of(verb: &str) -> Result<clap::Command, Failure> {
    let mut whole = Beadle::command();
    whole.build();
    let found = whole.find_subcommand(verb).cloned();
    found.ok_or_else(|| Failure::Usage(format!("no verb {verb:?} (`beadle --help` lists them)")))
}
