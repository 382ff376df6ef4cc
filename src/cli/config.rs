//! `viplet config`: the effective settings, or the reference page.

use std::fmt::Write;

use argh::FromArgs;

use super::surroundings::Surroundings;
use crate::config::table::{GROUPS, SURROUNDINGS};
use crate::config::{self, Effective, Gate, Kind, Problem, Role, Setting, Source, Unknown};
use crate::registry::FEATURES;

/// print the settings in effect and where each comes from
#[derive(FromArgs, Clone, Copy, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "config")]
pub struct ConfigCommand {
    /// print every setting there is, as Markdown
    #[argh(switch)]
    pub reference: bool,
}

impl ConfigCommand {
    /// What it prints on stdout.
    ///
    /// # Errors
    /// What is wrong with the settings, for stderr.
    pub fn text(self, surroundings: &Surroundings) -> Result<String, String> {
        if self.reference {
            return Ok(reference());
        }
        match config::load(&surroundings.inputs(), FEATURES) {
            Ok(loaded) => Ok(effective(&loaded.effective) + &warnings(&loaded.warnings)),
            Err(found) => Err(problems(&found)),
        }
    }
}

/// The settings in effect, one line each: `name = value   (source)`.
#[must_use]
pub fn effective(settings: &[Effective]) -> String {
    let names = settings.iter().map(|line| line.setting.len()).max().unwrap_or_default();
    let values = settings.iter().map(|line| line.value.chars().count()).filter(|n| *n <= 40);
    let values = values.max().unwrap_or_default();
    settings.iter().fold(String::new(), |mut text, line| {
        let Effective { setting, value, source } = line;
        let source = match source {
            Source::Environment(name) if name == setting => "environment".to_owned(),
            source => source.to_string(),
        };
        let _ = writeln!(text, "{setting:names$} = {value:values$}   ({source})");
        text
    })
}

/// All problems, one line each, with a closing line.
#[must_use]
pub fn problems(problems: &[Problem]) -> String {
    let mut text = problems.iter().fold(String::new(), |mut text, problem| {
        let _ = writeln!(text, "{problem}");
        text
    });
    let count = problems.len();
    let settings = if count == 1 { "1 problem" } else { &format!("{count} problems") };
    let _ =
        writeln!(text, "{settings} in the settings; `viplet config --reference` lists them all");
    text
}

/// The reference page, Markdown, from the table.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\nThe environment wins over a flag, a flag over the settings file, the file over \
         the default. File keys are read in any case; environment names are file keys too. An empty \
         value counts as not given, unless said otherwise.\n",
    );
    for group in GROUPS {
        let _ = write!(page, "\n## {}\n\n", group.title);
        page.push_str("| environment | flag | file key | type | default | feature | meaning |\n");
        page.push_str("|---|---|---|---|---|---|---|\n");
        group.settings.iter().for_each(|setting| row(&mut page, setting));
    }
    page.push_str("\n## From the surroundings\n\n| environment | meaning |\n|---|---|\n");
    for (name, meaning) in SURROUNDINGS {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page
}

/// What a person should know about them, after an empty line.
fn warnings(warnings: &[String]) -> String {
    let lines = warnings.iter().map(|warning| format!("\nwarning: {warning}"));
    let text: String = lines.collect();
    if text.is_empty() { text } else { text + "\n" }
}

fn row(page: &mut String, setting: &Setting) {
    let flag = |name: &&str| match name.len() {
        1 => format!("`-{name}`"),
        _ => format!("`--{name}`"),
    };
    let flags: Vec<String> = setting.flags.iter().map(flag).collect();
    let default = if setting.default.is_empty() { String::new() } else { code(setting.default) };
    let _ = writeln!(
        page,
        "| {} | {} | {} | {} | {} | {} | {} |",
        codes(setting.environment),
        flags.join(" "),
        codes(setting.file),
        kind(setting.kind),
        default,
        setting.feature,
        meaning(setting)
    );
}

fn codes(names: &[&str]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(" ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn meaning(setting: &Setting) -> String {
    let gate = match setting.gate {
        Gate::Always => String::new(),
        Gate::AnyOn(names) => format!(" (with {})", names.join(" or ")),
        Gate::Given(name) => format!(" (with {name})"),
        Gate::Is(name, value) => format!(" (with {name}={value})"),
    };
    let note = match setting.role {
        Role::Switch | Role::Parameter => String::new(),
        Role::NoEffect(why) => format!("; no effect: {why}"),
        Role::OlderName(newer) => format!("; no effect elsewhere: {newer} is its name"),
        Role::Removed(why) => format!("; refused: {why}"),
    };
    let beside = match setting.beside {
        "" => String::new(),
        name => format!("; the variable counts only beside {name}"),
    };
    let unread = match setting.unread {
        [] => String::new(),
        names => format!("; without effect: {}", codes(names)),
    };
    format!("{}{gate}{note}{beside}{unread}", setting.meaning).replace('|', "\\|")
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Bool => "boolean".into(),
        Kind::Integer(min, max) => format!("whole number, {min} to {max}"),
        Kind::HighPort => "0, or port from 1024".into(),
        Kind::AnnounceInterval => "milliseconds, from 500".into(),
        Kind::Duration => "duration (`300ms`, `1.5s`)".into(),
        Kind::Text => "text".into(),
        Kind::Secret => "text, never shown".into(),
        Kind::Interface => "interface".into(),
        Kind::InterfaceOrAuto => "interface or `auto`".into(),
        Kind::Targets => "IP addresses, DNS names".into(),
        Kind::Address => "IP address".into(),
        Kind::PrefixLengths => "prefix lengths".into(),
        Kind::Cidrs => "networks".into(),
        Kind::Lease => "`name` or `namespace/name`".into(),
        Kind::Namespace => "namespace".into(),
        Kind::TextMap => "JSON object of texts".into(),
        Kind::Url => "http or https URL".into(),
        Kind::Endpoint => "`host:port` or URL".into(),
        Kind::Listener => "`host:port`, `:port`".into(),
        Kind::Words(words, Unknown::Refused) => codes(words),
        Kind::Words(words, Unknown::Default) => format!("{} (others: the default)", codes(words)),
        Kind::Peers => "BGP peers".into(),
        Kind::List => "texts, comma separated".into(),
        Kind::InstanceName => "letters, digits, `.`, `-`, `_`".into(),
    }
}

#[cfg(test)]
mod tests;
