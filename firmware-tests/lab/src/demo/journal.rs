//! What changed between two looks, one line each: who got or lost the address, whom the client
//! sends to, and when it hears nothing.

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The nodes whose kernels have the address.
    pub(super) holders: Vec<String>,
    /// The node that the client sends to.
    pub(super) believed: Option<String>,
    /// Whether the client hears the address.
    pub(super) hearing: Hearing,
}

/// Whether the client hears the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hearing {
    /// Its pings are answered.
    Answers,
    /// They are not.
    #[default]
    Silence,
}

/// What is different now, in the order in which it must have happened.
pub(super) fn changes(before: &Look, now: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    for node in without(&before.holders, &now.holders) {
        lines.push(format!("{node} no longer has the address"));
    }
    if now.hearing == Hearing::Silence && before.hearing == Hearing::Answers {
        lines.push("the client hears nothing".to_owned());
    }
    for node in without(&now.holders, &before.holders) {
        lines.push(format!("{node} has the address"));
    }
    match &now.believed {
        Some(node) if before.believed.as_ref() != Some(node) => {
            lines.push(format!("the client sends to {node} from now on"));
        }
        _ => {}
    }
    if now.hearing == Hearing::Answers && before.hearing == Hearing::Silence {
        lines.push("the client is answered".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(holders: &[&str], believed: &str, hearing: Hearing) -> Look {
        let holders = holders.iter().map(ToString::to_string).collect();
        Look { holders, believed: Some(believed.to_owned()), hearing }
    }

    #[test]
    fn a_move_is_told_in_the_order_gone_there_heard() {
        let steps = [
            look(&["n1"], "n1", Hearing::Answers),
            look(&[], "n1", Hearing::Silence),
            look(&["n2"], "n2", Hearing::Answers),
        ];
        let gone = ["n1 no longer has the address", "the client hears nothing"];
        assert_eq!(changes(&steps[0], &steps[1]), gone);
        let there =
            ["n2 has the address", "the client sends to n2 from now on", "the client is answered"];
        assert_eq!(changes(&steps[1], &steps[2]), there);
        assert_eq!(changes(&steps[2], &steps[2]), Vec::<String>::new());
    }
}
