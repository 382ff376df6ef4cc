//! The table itself.

use std::collections::BTreeSet;

use crate::cli::config::reference;
use crate::config::setting::{Gate, Kind, Role, Setting};
use crate::config::table::{all, find};
use crate::config::value::parse;

#[test]
fn every_row_has_a_meaning_and_names_that_no_other_row_has() {
    let mut names = BTreeSet::new();
    let mut variables = BTreeSet::new();
    let mut flags = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for setting in all() {
        assert!(!setting.name.is_empty() && setting.meaning.len() > 5, "{setting:?}");
        assert!(names.insert(setting.name), "{}", setting.name);
        for name in setting.environment {
            assert!(variables.insert(*name), "{name}");
        }
        for flag in setting.flags {
            assert!(flags.insert(*flag), "{flag}");
        }
        // Variables are keys too, and keys have no case.
        let own: BTreeSet<String> = setting
            .file
            .iter()
            .chain(setting.environment)
            .map(|key| key.to_ascii_lowercase())
            .collect();
        for key in own {
            assert!(keys.insert(key.clone()), "{key}");
        }
    }
    assert!(names.len() > 100, "{}", names.len());
}

#[test]
fn every_default_is_a_value_of_its_kind_and_written_as_it_is_shown() {
    for setting in all() {
        let parsed = parse(setting, setting.default).expect(setting.name);
        assert_eq!(parsed.value.to_string(), setting.default, "{}", setting.name);
        assert_eq!(parsed.warning, None, "{}", setting.name);
    }
}

#[test]
fn every_gate_is_a_setting_and_no_gate_leads_back_to_itself() {
    fn depth(setting: &Setting, left: usize) {
        assert!(left > 0, "{} is behind itself", setting.name);
        let gates: &[&str] = match &setting.gate {
            Gate::Always => &[],
            Gate::AnyOn(names) => names,
            Gate::Given(name) | Gate::Is(name, _) => std::slice::from_ref(name),
        };
        for gate in gates {
            let next = find(gate).unwrap_or_else(|| panic!("{gate} of {}", setting.name));
            let switch = matches!(setting.gate, Gate::AnyOn(_));
            assert!(!switch || next.kind == Kind::Bool, "{gate} of {}", setting.name);
            depth(next, left - 1);
        }
    }
    all().for_each(|setting| depth(setting, 8));
}

#[test]
fn every_switch_names_its_feature() {
    for setting in all().filter(|setting| setting.role == Role::Switch) {
        assert!(!setting.feature.is_empty(), "{}", setting.name);
    }
}

#[test]
fn the_reference_page_has_every_name_and_every_row_seven_columns() {
    let page = reference();
    for setting in all() {
        let flags = setting.flags.iter().map(|flag| match flag.len() {
            1 => format!("`-{flag}`"),
            _ => format!("`--{flag}`"),
        });
        let names = setting.environment.iter().chain(setting.file).map(|name| format!("`{name}`"));
        for name in flags.chain(names) {
            assert!(page.contains(&name), "{name}");
        }
        assert!(page.contains(setting.meaning), "{}", setting.name);
    }
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.contains("kubelet")) {
        let columns = line.replace("\\|", "").matches('|').count() - 1;
        assert!(columns == 7 || line.contains("HOME") || columns == 2, "{line}");
    }
}
