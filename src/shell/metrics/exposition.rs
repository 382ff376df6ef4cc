//! Prometheus' text exposition format, version 0.0.4: families with HELP and TYPE, escaped label
//! values, no series twice (one duplicate makes Prometheus drop the whole scrape).

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Labels as they are written, and the value.
pub(super) struct Sample {
    labels: String,
    value: String,
}

/// One sample of a family.
pub(super) fn sample<const N: usize>(labels: [(&str, &str); N], value: impl Display) -> Sample {
    let mut text = String::new();
    for (name, value) in labels {
        text.push(if text.is_empty() { '{' } else { ',' });
        let _ = write!(text, "{name}=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    if !text.is_empty() {
        text.push('}');
    }
    Sample { labels: text, value: value.to_string() }
}

/// The document as it grows.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Adds a family: name, kind, help, and its samples. Of two with the same labels the first
    /// counts.
    pub(super) fn family(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        samples: impl IntoIterator<Item = Sample>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let mut seen = BTreeSet::new();
        for Sample { labels, value } in samples {
            if !seen.contains(&labels) {
                let _ = writeln!(self.text, "{name}{labels} {value}");
                seen.insert(labels);
            }
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}
