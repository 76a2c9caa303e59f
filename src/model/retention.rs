//! Whose recordings go: those past their time, and the oldest while all together are too large.

use std::time::Duration;

/// What is kept of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub id: String,
    /// Seconds since its end; `None` while it lives.
    pub ended: Option<f64>,
    pub bytes: u64,
}

/// How much may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub keep: Duration,
    pub total: u64,
}

/// The sessions to forget, the longest ended first. Live ones count and are never among them.
pub fn overdue(kept: &[Kept], bounds: Bounds) -> Vec<String> {
    let mut total: u64 = kept.iter().map(|k| k.bytes).sum();
    let mut ended: Vec<(f64, &Kept)> = kept.iter().filter_map(|k| Some((k.ended?, k))).collect();
    ended.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.id.cmp(&other.id)));
    let mut overdue = Vec::new();
    for (age, one) in ended {
        if age <= bounds.keep.as_secs_f64() && total <= bounds.total {
            // All that follow are younger.
            break;
        }
        total -= one.bytes;
        overdue.push(one.id.clone());
    }
    overdue
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(id: &str, ended: Option<f64>, bytes: u64) -> Kept {
        Kept { id: id.into(), ended, bytes }
    }

    const BOUNDS: Bounds = Bounds { keep: Duration::from_secs(100), total: 50 };

    #[test]
    fn what_is_too_old_goes_and_then_the_oldest_until_the_rest_fits() {
        let all = [
            kept("live", None, 20),
            kept("new", Some(1.0), 20),
            kept("mid", Some(50.0), 20),
            kept("old", Some(101.0), 0),
        ];
        assert_eq!(overdue(&all, BOUNDS), ["old", "mid"]);
        assert_eq!(overdue(&all[..2], BOUNDS), Vec::<String>::new());
    }

    #[test]
    fn a_live_session_stays_however_large() {
        assert_eq!(overdue(&[kept("live", None, 1000), kept("ended", Some(0.0), 1)], BOUNDS), ["ended"]);
    }

    proptest! {
        #[test]
        fn what_remains_is_young_and_fits_or_is_alive(all in prop::collection::vec((prop::option::of(0.0..200.0), 0u64..40), 0..20)) {
            let all: Vec<Kept> = all.iter().enumerate().map(|(n, (ended, bytes))| kept(&n.to_string(), *ended, *bytes)).collect();
            let gone = overdue(&all, BOUNDS);
            let rest: Vec<&Kept> = all.iter().filter(|k| !gone.contains(&k.id)).collect();
            let ended: Vec<f64> = rest.iter().filter_map(|k| k.ended).collect();
            prop_assert_eq!(rest.iter().filter(|k| k.ended.is_none()).count(), all.iter().filter(|k| k.ended.is_none()).count());
            prop_assert!(ended.iter().all(|age| *age <= 100.0));
            prop_assert!(ended.is_empty() || rest.iter().map(|k| k.bytes).sum::<u64>() <= 50);
            // Nothing younger went before something older.
            let oldest = ended.iter().copied().fold(0.0, f64::max);
            prop_assert!(all.iter().filter(|k| gone.contains(&k.id)).all(|k| k.ended.unwrap() >= oldest));
        }
    }
}
