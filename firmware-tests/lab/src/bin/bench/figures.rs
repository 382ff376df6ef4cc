//! What was measured: single figures by name and program, their median, least and most.

use std::collections::BTreeMap;

/// What a figure counts; [`Unit::text`] gives it three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Seconds, printed as milliseconds where they are few.
    Seconds,
    /// Bytes, printed in MiB, as ps and Kubernetes do.
    Bytes,
    /// A plain number.
    Number,
    /// Hundredths of one processor core.
    PercentOfACore,
    /// Per minute.
    PerMinute,
    /// Per second.
    PerSecond,
}

impl Unit {
    /// The name in `bench.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Number => "number",
            Self::PercentOfACore => "% of a core",
            Self::PerMinute => "per minute",
            Self::PerSecond => "per second",
        }
    }

    /// A value for a person.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "never".to_owned(),
            Self::Seconds if value == 0.0 => "0 s".to_owned(),
            Self::Seconds if value < 0.995 => format!("{:.1} ms", value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::Bytes => format!("{:.2} MiB", value / f64::from(1 << 20)),
            Self::Number => format!("{value}"),
            Self::PercentOfACore => format!("{value:.3} %"),
            Self::PerMinute | Self::PerSecond => format!("{value:.1}"),
        }
    }
}

/// One thing that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What.
    pub(crate) name: String,
    /// What it counts.
    pub(crate) unit: Unit,
    /// Each single value, by program.
    pub(crate) values: BTreeMap<&'static str, Vec<f64>>,
}

/// Middle and ends of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The middle one; of an even number the mean of both.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) most: f64,
}

impl Figure {
    /// The spread of a program's values, if it has any.
    pub(crate) fn spread(&self, program: &str) -> Option<Spread> {
        let mut sorted = self.values.get(program)?.clone();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Spread { median, least, most })
    }
}

/// All figures, in the order in which they came up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Notes one value; infinity for what never happened.
    pub(crate) fn note(&mut self, program: &'static str, name: &str, unit: Unit, value: f64) {
        let place = self.0.iter().position(|figure| figure.name == name).unwrap_or_else(|| {
            self.0.push(Figure { name: name.to_owned(), unit, values: BTreeMap::new() });
            self.0.len() - 1
        });
        self.0[place].values.entry(program).or_default().push(value);
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle_and_never_is_the_most() {
        let mut figures = Figures::default();
        for value in [3.0, f64::INFINITY, 1.0, 2.0] {
            figures.note("viplet", "silence", Unit::Seconds, value);
        }
        let figure = figures.iter().next().unwrap();
        let spread = Spread { median: 2.5, least: 1.0, most: f64::INFINITY };
        assert_eq!(figure.spread("viplet"), Some(spread));
        assert_eq!(figure.spread("kube-vip"), None);
        assert_eq!(Unit::Seconds.text(spread.most), "never");
    }
}
