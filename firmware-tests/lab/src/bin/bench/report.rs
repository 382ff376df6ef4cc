//! The table for a person and the file for a program.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use crate::figures::{Figure, Figures, Spread, Unit};
use crate::machine;
use crate::rig::Contender;

/// The lines above the table.
pub(crate) fn heading(conditions: &Value) -> String {
    let part = |name: &str| conditions[name].as_str().unwrap_or_default().to_owned();
    format!(
        "commit {}, {}\n{} cores of {}, {}, Linux {}; load {}",
        part("commit"),
        part("date"),
        conditions["cores"],
        part("processor"),
        part("memory"),
        part("kernel"),
        part("load_before"),
    )
}

/// A Markdown table: each figure's median, with least and most where they differ.
pub(crate) fn table(figures: &Figures, contenders: &[Contender]) -> String {
    let mut rows = vec![vec!["what".to_owned()]];
    rows[0].extend(contenders.iter().map(|one| one.name.to_owned()));
    if contenders.len() > 1 {
        rows[0].push("ratio".to_owned());
    }
    rows.extend(figures.iter().map(|figure| row(figure, contenders)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    rows.insert(1, rule);
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} |"));
        format!("|{}\n", cells.collect::<String>())
    };
    rows.iter().map(line).collect()
}

fn row(figure: &Figure, contenders: &[Contender]) -> Vec<String> {
    let spreads: Vec<Option<Spread>> =
        contenders.iter().map(|one| figure.spread(one.name)).collect();
    let mut cells = vec![figure.name.clone()];
    cells.extend(
        spreads.iter().map(|spread| spread.map_or(String::new(), |s| text(figure.unit, s))),
    );
    if let [ours, Some(theirs)] = spreads[..] {
        cells.push(ours.map_or(String::new(), |ours| ratio(ours.median, theirs.median)));
    } else if contenders.len() > 1 {
        cells.push(String::new());
    }
    cells
}

fn text(unit: Unit, spread: Spread) -> String {
    let Spread { median, least, most } = spread;
    let show = |value| unit.text(value);
    match (show(least), show(most)) {
        (least, most) if least == most => most,
        (least, most) => format!("{} ({least} – {most})", show(median)),
    }
}

/// How many times theirs is ours.
fn ratio(ours: f64, theirs: f64) -> String {
    let ratio = theirs / ours;
    match ratio {
        _ if !ratio.is_finite() => String::new(),
        _ if ratio >= 10.0 => format!("{ratio:.0}"),
        _ => format!("{ratio:.2}"),
    }
}

/// Writes everything: conditions, and each figure with its spread and single values.
pub(crate) fn write(file: &Path, figures: &Figures, conditions: &Value) -> io::Result<()> {
    let figures: Vec<Value> = figures.iter().map(entry).collect();
    let document = json!({
        "conditions": conditions,
        "load_after": machine::load(),
        "figures": figures,
    });
    fs::write(file, format!("{document:#}\n"))
}

/// What never happened is null.
fn entry(figure: &Figure) -> Value {
    let programs: serde_json::Map<String, Value> = figure
        .values
        .iter()
        .filter_map(|(program, values)| {
            let Spread { median, least, most } = figure.spread(program)?;
            let all = json!({"median": median, "min": least, "max": most, "values": values});
            Some(((*program).to_owned(), all))
        })
        .collect();
    json!({"name": figure.name, "unit": figure.unit.name(), "programs": programs})
}
