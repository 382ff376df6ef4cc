//! The end: one line per event, and whether the address behaved.

use std::time::Duration;

use super::stage::Ending;
use super::table::{Ink, Line};

/// What an event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What was done to the holder.
    pub(super) event: &'static str,
    /// Who held the address before.
    pub(super) old: String,
    /// Who held it afterwards; none when nobody did.
    pub(super) new: Option<String>,
    /// The client's longest time without an answer.
    pub(super) silence: Duration,
    /// The most nodes that had the address at one instant.
    pub(super) at_most: usize,
}

/// How the whole demo went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One holder at most, and always one again.
    Good,
    /// Why not.
    Bad(String),
}

impl Verdict {
    /// Judges the whole; `at_most` nodes had the address at one instant between all events, too.
    pub(super) fn of(outcomes: &[Outcome], ending: &Result<(), Ending>, at_most: usize) -> Self {
        let at_most = outcomes.iter().map(|one| one.at_most).max().unwrap_or(0).max(at_most);
        if at_most > 1 {
            return Self::Bad(format!("the address was on {at_most} nodes at once."));
        }
        if let Some(lost) = outcomes.iter().find(|one| one.new.is_none()) {
            return Self::Bad(format!("the address did not come back after: {}.", lost.event));
        }
        match ending {
            Ok(()) => Self::Good,
            Err(Ending::Failed(what)) => Self::Bad(format!("{what}.")),
            Err(Ending::Interrupted) => Self::Bad("it was interrupted.".to_owned()),
        }
    }

    /// Whether it is good.
    pub(super) fn is_good(&self) -> bool {
        *self == Self::Good
    }
}

/// The closing table, narrower than 80 columns; nothing when nothing happened.
pub(super) fn lines(outcomes: &[Outcome]) -> Vec<Line> {
    if outcomes.is_empty() {
        return Vec::new();
    }
    let row = |[event, holder, silence, nodes]: [&str; 4]| {
        format!("{event:<28} {holder:<10} {silence:<16} {nodes}")
    };
    let heads = [
        row(["", "holder", "client without", "nodes with the"]),
        row(["what happened", "old → new", "an answer for", "address, at most"]),
    ];
    let mut lines: Vec<Line> =
        heads.iter().map(|head| Line::new(Ink::Bold, head.trim_end())).collect();
    for one in outcomes {
        let new = one.new.as_deref().unwrap_or("none");
        let ink = if one.new.is_some() && one.at_most == 1 { Ink::Good } else { Ink::Bad };
        let silence = format!("{:.2} s", one.silence.as_secs_f64());
        let nodes = one.at_most.to_string();
        let holder = format!("{} → {new}", one.old);
        lines.push(Line::new(ink, row([one.event, &holder, &silence, &nodes])));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(new: Option<&str>, at_most: usize) -> Outcome {
        let new = new.map(str::to_owned);
        let silence = Duration::from_millis(1_234);
        Outcome { event: "killed (kill -9)", old: "n1".to_owned(), new, silence, at_most }
    }

    #[test]
    fn the_summary_says_who_took_over_and_how_long_the_client_heard_nothing() {
        let lines = lines(&[outcome(Some("n2"), 1), outcome(None, 1)]);
        let good = "killed (kill -9)             n1 → n2    1.23 s           1";
        assert_eq!(lines[2], Line::new(Ink::Good, good));
        assert!(lines[3].text.contains("n1 → none"), "{}", lines[3].text);
        assert_eq!(lines[3].ink, Ink::Bad);
        assert!(lines.iter().all(|line| line.text.chars().count() < 80));
    }

    #[test]
    fn the_demo_fails_when_two_nodes_had_the_address_or_it_did_not_come_back() {
        let fine = outcome(Some("n2"), 1);
        assert_eq!(Verdict::of(std::slice::from_ref(&fine), &Ok(()), 1), Verdict::Good);
        assert!(!Verdict::of(std::slice::from_ref(&fine), &Ok(()), 2).is_good());
        assert!(!Verdict::of(&[fine.clone(), outcome(Some("n2"), 2)], &Ok(()), 1).is_good());
        assert!(!Verdict::of(&[outcome(None, 1)], &Ok(()), 1).is_good());
        let ending = Err(Ending::Failed("viplet on n1 ended by itself".to_owned()));
        assert!(!Verdict::of(&[fine], &ending, 1).is_good());
    }
}
