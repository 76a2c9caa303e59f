//! Rules that hold between settings. A setting alone is judged where it is read.

use super::Config;
use super::value::{show_duration, show_size};

/// Section and name of a key.
pub(super) type KeyName = (&'static str, &'static str);

/// A rule that does not hold.
pub(super) struct Broken {
    /// Whom it concerns, the one to complain about first.
    pub keys: &'static [KeyName],
    /// The end of a sentence that begins with the key.
    pub message: String,
}

/// The shortest token, in characters.
const TOKEN: usize = 32;

/// Every rule that does not hold.
pub(super) fn broken(config: &Config) -> Vec<Broken> {
    [
        orphaned_before_stuck(config),
        most_below_base(config),
        total_below_one(config),
        listening_without_a_token(config),
        listening_to_all(config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn orphaned_before_stuck(config: &Config) -> Option<Broken> {
    let (stuck, orphaned) = (config.health.stuck_after, config.health.orphaned_after);
    (orphaned < stuck).then(|| Broken {
        keys: &[("health", "orphaned_after"), ("health", "stuck_after")],
        message: format!(
            "`orphaned_after` ({}) is below `stuck_after` ({}), so that no session could ever be stuck: raise the one or lower the other",
            show_duration(orphaned),
            show_duration(stuck)
        ),
    })
}

fn most_below_base(config: &Config) -> Option<Broken> {
    let (base, most) = (config.restart.base, config.restart.most);
    (most < base).then(|| Broken {
        keys: &[("restart", "most"), ("restart", "base")],
        message: format!(
            "`most` ({}) is below `base` ({}): raise the one or lower the other",
            show_duration(most),
            show_duration(base)
        ),
    })
}

fn total_below_one(config: &Config) -> Option<Broken> {
    let (one, all) = (config.record.per_session, config.record.total);
    (all < one).then(|| Broken {
        keys: &[("record", "total"), ("record", "per_session")],
        message: format!(
            "`total` ({}) is below `per_session` ({}): raise the one or lower the other",
            show_size(all),
            show_size(one)
        ),
    })
}

fn listening_without_a_token(config: &Config) -> Option<Broken> {
    config.server.listen?;
    let how = format!("write one of {TOKEN} or more characters, such as from `openssl rand -hex 32`");
    let length = config.server.token.as_ref().map(|token| token.as_str().len());
    match length {
        Some(n) if n >= TOKEN => None,
        Some(n) => Some(Broken {
            keys: &[("server", "token"), ("server", "listen")],
            message: format!("`token` has {n} characters: {how}"),
        }),
        None => Some(Broken {
            keys: &[("server", "listen"), ("server", "token")],
            message: format!("`listen` needs a `token`: {how}"),
        }),
    }
}

fn listening_to_all(config: &Config) -> Option<Broken> {
    let listen = config.server.listen?;
    (!listen.ip().is_loopback() && !config.server.insecure).then(|| Broken {
        keys: &[("server", "listen"), ("server", "insecure")],
        message: format!(
            "{:?} can be reached from other machines, and nothing on the way is encrypted: listen on 127.0.0.1, or write `insecure = true`",
            listen.to_string()
        ),
    })
}
