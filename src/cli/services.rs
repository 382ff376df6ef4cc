//! The part of `viplet status` about Services of type LoadBalancer: a summary, and a table that
//! fits a terminal of 80 columns.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::core::status::{ServiceState, ServiceStatus};

/// More than these are not listed unasked.
const MANY: usize = 50;
/// The width of a terminal that nobody has made wider.
const WIDTH: usize = 80;
/// What does not fit on a row goes below it, this far to the right.
const INDENT: usize = 4;
/// No column but the last is wider than this.
const WIDEST: [usize; 4] = [30, 9, 23, 14];
const HEADINGS: [&str; 5] = ["NAMESPACE/NAME", "STATE", "ADDRESSES", "HOLDER", "WHY"];

/// Which Services are listed below the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// All of them.
    All,
    /// Where there are many: those that somebody may have to do something about.
    Troubled,
    /// None, and no summary either.
    Without,
}

/// The summary and, below it, the table.
#[must_use]
pub fn table(services: &[ServiceStatus], listing: Listing) -> String {
    let mut out = summary(services);
    let brief = services.len() > MANY && listing != Listing::All;
    let listed: Vec<&ServiceStatus> =
        services.iter().filter(|service| !brief || is_troubled(service.state)).collect();
    if brief {
        out.push_str("Held and elsewhere are not listed; all: viplet status --all\n");
    }
    if listed.is_empty() {
        return out;
    }
    let starts = columns(&listed);
    let mut heading = Row::new(starts);
    HEADINGS.iter().enumerate().for_each(|(column, text)| heading.cell(column, text));
    out.push_str(&heading.finish());
    listed.iter().for_each(|service| out.push_str(&row(service, starts)));
    out
}

/// What a person reads for a state; trouble is in capitals.
#[must_use]
pub const fn word(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Held => "held",
        ServiceState::Pending => "PENDING",
        ServiceState::Elsewhere => "elsewhere",
        ServiceState::Waiting => "waiting",
        ServiceState::Refused => "REFUSED",
        ServiceState::Ignored => "ignored",
    }
}

/// `Services: 12: 9 elsewhere, 2 held, 1 refused`.
fn summary(services: &[ServiceStatus]) -> String {
    let mut counts: BTreeMap<ServiceState, usize> = BTreeMap::new();
    for service in services {
        *counts.entry(service.state).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(state, count)| format!("{count} {}", word(*state))).collect();
    format!("Services: {} ({})\n", services.len(), counts.join(", "))
}

const fn is_troubled(state: ServiceState) -> bool {
    !matches!(state, ServiceState::Held | ServiceState::Elsewhere)
}

fn addresses(service: &ServiceStatus) -> Vec<String> {
    service.addresses.iter().map(ToString::to_string).collect()
}

/// Where each column starts.
fn columns(services: &[&ServiceStatus]) -> [usize; 5] {
    let mut widths = [0; 4];
    for service in services {
        let longest = addresses(service).iter().map(String::len).max().unwrap_or_default();
        let cells =
            [service.service.len(), word(service.state).len(), longest, service.holder.len()];
        widths.iter_mut().zip(cells).for_each(|(width, cell)| *width = cell.max(*width));
    }
    let mut start = 0;
    let mut starts = [0; 5];
    let columns = widths.into_iter().zip(WIDEST).zip(HEADINGS);
    for (next, ((width, widest), heading)) in starts.iter_mut().skip(1).zip(columns) {
        start += width.min(widest).max(heading.len()) + 2;
        *next = start;
    }
    starts
}

fn row(service: &ServiceStatus, starts: [usize; 5]) -> String {
    let mut row = Row::new(starts);
    let addresses = addresses(service);
    row.cell(0, &service.service);
    row.cell(1, word(service.state));
    row.cell(2, addresses.first().map_or("-", String::as_str));
    row.cell(3, if service.holder.is_empty() { "-" } else { &service.holder });
    let whole = row.fits(4, &service.reason);
    if whole {
        row.cell(4, &service.reason);
    }
    for address in addresses.iter().skip(1) {
        row.wrap();
        row.cell(2, address);
    }
    // Nobody has to do anything about a Service that is held: its reason is left out if it is long.
    if !whole && is_troubled(service.state) {
        row.below(&service.reason);
    }
    row.finish()
}

/// Lines of a table; what does not fit goes to a further line, nothing is cut.
struct Row {
    starts: [usize; 5],
    done: String,
    line: String,
}

impl Row {
    const fn new(starts: [usize; 5]) -> Self {
        Self { starts, done: String::new(), line: String::new() }
    }

    /// How far the line goes.
    fn end(&self) -> usize {
        self.line.chars().count()
    }

    fn start(&self, column: usize) -> usize {
        self.starts.get(column).copied().unwrap_or_default()
    }

    fn fits(&self, column: usize, text: &str) -> bool {
        let start = self.start(column);
        (self.end() < start || start == 0) && start + text.chars().count() <= WIDTH
    }

    fn cell(&mut self, column: usize, text: &str) {
        if self.end() >= self.start(column) && column > 0 {
            self.wrap();
        }
        let start = if self.fits(column, text) {
            self.start(column)
        } else {
            if column > 0 {
                self.wrap();
            }
            INDENT.min(self.start(column))
        };
        self.write(start, text);
    }

    fn write(&mut self, start: usize, text: &str) {
        let gap = start.saturating_sub(self.end());
        // Writing to a String cannot fail.
        let _ = write!(self.line, "{:gap$}{text}", "");
    }

    fn wrap(&mut self) {
        if !self.line.is_empty() {
            self.done.push_str(&self.line);
            self.done.push('\n');
            self.line.clear();
        }
    }

    /// A text of its own below the row, as many lines as it needs.
    fn below(&mut self, text: &str) {
        self.wrap();
        for word in text.split_whitespace() {
            if self.end() > INDENT && self.end() + 1 + word.chars().count() > WIDTH {
                self.wrap();
            }
            let start = if self.line.is_empty() { INDENT } else { self.end() + 1 };
            self.write(start, word);
        }
    }

    fn finish(mut self) -> String {
        self.wrap();
        self.done
    }
}

#[cfg(test)]
mod tests;
