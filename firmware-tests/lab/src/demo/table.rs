//! The live table as lines of text: facts in, lines out, none wider than the terminal.

use std::time::Duration;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// As it should be.
    Good,
    /// Broken.
    Bad,
    /// Of less importance.
    Dim,
}

/// One line on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Without a line end and without control characters.
    pub(super) text: String,
    /// How it looks.
    pub(super) ink: Ink,
}

impl Line {
    /// A line.
    pub(super) fn new(ink: Ink, text: impl Into<String>) -> Self {
        Self { text: text.into(), ink }
    }
}

/// What was done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// viplet runs.
    Running,
    /// It was asked to stop.
    Stopped,
    /// It was killed.
    Killed,
    /// It is frozen.
    Frozen,
    /// The node has no power.
    NoPower,
    /// It ended and should not have.
    Ended,
    /// Not started yet.
    Off,
}

impl Condition {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::NoPower => "no power",
            Self::Ended => "ended",
            Self::Off => "not started",
        }
    }
}

/// Whether a node's kernel has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has.
    Here,
    /// It has not.
    NotHere,
}

/// A node's line.
#[derive(Clone, Debug)]
pub(super) struct NodeRow {
    /// `n1`, …
    pub(super) name: String,
    /// What was done to it.
    pub(super) condition: Condition,
    /// From its kernel.
    pub(super) address: Presence,
    /// Its role, from `/status`; none when it does not answer.
    pub(super) role: Option<String>,
    /// How long its hold still lasts.
    pub(super) held_for: Option<Duration>,
    /// Why, from `/status`.
    pub(super) reason: String,
}

/// The client's lines.
#[derive(Clone, Debug)]
pub(super) struct ClientRow {
    /// The hardware address that it sends to, and whose that is.
    pub(super) believes: Option<(String, Option<String>)>,
    /// Pings answered.
    pub(super) answered: usize,
    /// Since the last answer.
    pub(super) silence: Duration,
    /// The longest silence since the last event.
    pub(super) longest: Duration,
}

/// All that the table shows.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The virtual address.
    pub(super) address: String,
    /// Since the demo began.
    pub(super) elapsed: Duration,
    /// The nodes.
    pub(super) nodes: Vec<NodeRow>,
    /// The client.
    pub(super) client: ClientRow,
}

/// The table, no line wider than `width`.
pub(super) fn lines(frame: &Frame, width: usize) -> Vec<Line> {
    let seconds = format!(" {:.0} s ", frame.elapsed.as_secs_f64().floor());
    let rule = "-".repeat(width.saturating_sub(seconds.len() + 4));
    let mut lines = vec![
        Line::new(Ink::Dim, format!("{rule}{seconds}----")),
        Line::new(Ink::Bold, row(["node", "viplet", &frame.address, "says of itself", "because"])),
    ];
    lines.extend(frame.nodes.iter().map(node));
    lines.extend(client(&frame.client).map(|text| Line::new(Ink::Plain, text)));
    for line in &mut lines {
        line.text = fit(&line.text, width);
    }
    lines
}

fn row([name, process, address, says, why]: [&str; 5]) -> String {
    format!("{name:<5} {process:<11} {address:<12} {says:<20} {why}").trim_end().to_owned()
}

fn node(node: &NodeRow) -> Line {
    let address = match node.address {
        Presence::Here => "HAS IT",
        Presence::NotHere => "-",
    };
    let says = match (&node.role, node.held_for) {
        (None, _) => "(no answer)".to_owned(),
        (Some(role), Some(left)) => format!("{role}, {:.1} s left", left.as_secs_f64()),
        (Some(role), None) => role.clone(),
    };
    let ink = match (node.condition, node.address) {
        (Condition::Running, Presence::Here) => Ink::Good,
        (Condition::Running | Condition::Off, _) => Ink::Plain,
        _ => Ink::Bad,
    };
    Line::new(ink, row([&node.name, node.condition.word(), address, &says, &node.reason]))
}

fn client(client: &ClientRow) -> [String; 2] {
    let believes = match &client.believes {
        None => "knows no node that has the address".to_owned(),
        Some((hardware, Some(node))) => format!("sends to {hardware}, that is {node}"),
        Some((hardware, None)) => format!("sends to {hardware}, which is no node"),
    };
    [
        format!("client {believes}"),
        format!(
            "       {} pings answered; silence now {:.2} s, longest of this event {:.2} s",
            client.answered,
            client.silence.as_secs_f64(),
            client.longest.as_secs_f64()
        ),
    ]
}

/// `text`, cut to `width` columns; what was cut off shows as "...".
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars().take(width)).collect()
}

/// `text` in lines of at most `width` columns, broken between words, each but the first indented.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{}{word}", " ".repeat(indent))),
            None => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| fit(line, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let node = |name: &str, condition, address, held_for| NodeRow {
            name: name.to_owned(),
            condition,
            address,
            role: Some("holding".to_owned()),
            held_for,
            reason: "a request failed, and the reason for that is long ".repeat(4),
        };
        Frame {
            address: "10.77.0.100".to_owned(),
            elapsed: Duration::from_millis(12_900),
            nodes: vec![
                node("n1", Condition::Running, Presence::Here, Some(Duration::from_millis(2_340))),
                node("n2", Condition::Frozen, Presence::NotHere, None),
            ],
            client: ClientRow {
                believes: Some(("02:00:00:00:00:11".to_owned(), Some("n1".to_owned()))),
                answered: 1_234,
                silence: Duration::from_millis(10),
                longest: Duration::from_millis(1_500),
            },
        }
    }

    #[test]
    fn no_line_of_the_table_is_wider_than_the_terminal() {
        for width in 20..200 {
            for line in lines(&frame(), width) {
                assert!(line.text.chars().count() <= width, "{width}: {:?}", line.text);
            }
        }
    }

    #[test]
    fn the_table_says_who_has_the_address_for_how_long_and_what_the_client_sees() {
        let lines = lines(&frame(), 119);
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert!(text[0].ends_with("- 12 s ----"), "{}", text[0]);
        let first = "n1    running     HAS IT       holding, 2.3 s left  a request failed";
        assert!(text[2].starts_with(first), "{}", text[2]);
        assert!(text[3].starts_with("n2    frozen      -            holding"), "{}", text[3]);
        assert_eq!(text[4], "client sends to 02:00:00:00:00:11, that is n1");
        let pings = "1234 pings answered; silence now 0.01 s, longest of this event 1.50 s";
        assert_eq!(text[5].trim_start(), pings);
        assert_eq!([lines[2].ink, lines[3].ink], [Ink::Good, Ink::Bad]);
    }

    #[test]
    fn a_sentence_is_broken_between_words_and_its_further_lines_are_indented() {
        assert_eq!(wrap("one two three four", 10, 2), ["one two", "  three", "  four"]);
        assert_eq!(wrap("incomprehensible", 10, 2), ["incompr..."]);
    }
}
