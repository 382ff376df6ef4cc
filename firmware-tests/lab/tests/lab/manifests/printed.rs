//! What viplet prints, and what it says of the settings that a manifest's container is told.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use viplet_lab::binaries::viplet;

/// What viplet prints for these arguments.
#[track_caller]
pub(super) fn printed(environment: &[(&str, &str)], arguments: &str) -> String {
    let output = Command::new(viplet())
        .args(arguments.split_whitespace())
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert!(output.status.success(), "{arguments}: {}", err.unwrap());
    out.unwrap()
}

/// What `viplet config` says of the settings that a workload's container is told: names and values.
#[track_caller]
pub(super) fn read_back(workload: &Value, what: &str) -> BTreeMap<String, String> {
    let spec = match workload["kind"] == "Pod" {
        true => &workload["spec"],
        false => &workload["spec"]["template"]["spec"],
    };
    let container = &spec["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    assert_eq!(arguments[0], "manager");
    let variables = container["env"].as_array().unwrap().iter().map(|variable| {
        // The API server leaves an empty value out.
        let from_node = variable["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName";
        let value = if from_node { "node-a" } else { variable["value"].as_str().unwrap_or("") };
        (variable["name"].as_str().unwrap(), value)
    });
    settings(&variables.collect::<Vec<_>>(), &arguments[1..], what)
}

#[track_caller]
pub(super) fn settings(
    environment: &[(&str, &str)],
    arguments: &[&str],
    what: &str,
) -> BTreeMap<String, String> {
    let output = Command::new(viplet())
        .arg("config")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{what}: {said}");
    assert!(!text.contains("warning:"), "{what}: {text}");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let value = |text: &str| text.rsplit_once("   (").unwrap().0.trim().to_owned();
    lines.map(|(name, rest)| (name.trim().to_owned(), value(rest))).collect()
}
