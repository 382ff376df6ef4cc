//! The four sources: what each takes, and who wins.

use std::collections::BTreeMap;

use crate::config::gather::gather;
use crate::config::setting::{Empty, Kind, Role, Setting};
use crate::config::table;
use crate::config::{GivenFlag, Inputs, Source};

use super::{Given, least, value};

type Read = dyn Fn(&std::path::Path) -> Result<String, String>;

/// Two values of this setting that differ; the first is not the default.
fn samples(setting: &Setting) -> [&'static str; 2] {
    match (setting.name, setting.kind) {
        (_, Kind::Bool) if setting.default == "true" => ["false", "true"],
        (_, Kind::Bool) => ["true", "false"],
        (_, Kind::Integer(..)) => ["7", "8"],
        (_, Kind::HighPort) => ["2000", "3000"],
        (_, Kind::AnnounceInterval) => ["700", "800"],
        (_, Kind::Duration) => ["1s", "2s"],
        (_, Kind::Interface | Kind::InterfaceOrAuto) => ["eth8", "eth9"],
        (_, Kind::Targets | Kind::Address) => ["192.0.2.8", "192.0.2.9"],
        (_, Kind::PrefixLengths) => ["24,64", "25,65"],
        (_, Kind::Cidrs) => ["192.0.2.0/24", "198.51.100.0/24"],
        (_, Kind::TextMap) => [r#"{"a":"b"}"#, r#"{"c":"d"}"#],
        (_, Kind::Url) => ["http://a/", "http://b/"],
        (_, Kind::Endpoint) => ["a:1", "b:2"],
        (_, Kind::Listener) => [":8080", ":9090"],
        (_, Kind::Words([first, second, ..], _)) if setting.default == *first => [second, first],
        (_, Kind::Words([first, second, ..], _)) => [first, second],
        _ => ["one", "two"],
    }
}

fn inputs<'a>(
    environment: Option<(&str, &str)>,
    flag: Option<GivenFlag>,
    file: Option<&'a Read>,
) -> Inputs<'a> {
    let mut map: BTreeMap<String, String> =
        environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    if file.is_some() {
        map.insert("config_file".to_owned(), "x.json".to_owned());
    }
    Inputs {
        environment: map,
        flags: flag.into_iter().collect(),
        hostname: "h".to_owned(),
        service_account_namespace: None,
        read_file: file.unwrap_or(&|_| Err("no file".to_owned())),
    }
}

/// Every source of every live setting, alone and against all lower ones.
#[test]
fn environment_beats_flag_beats_file_beats_default_for_every_setting() {
    let live = |setting: &&Setting| matches!(setting.role, Role::Switch | Role::Parameter);
    for setting in table::all().filter(live).filter(|setting| setting.name != "config_file") {
        let [winner, loser] = samples(setting);
        let keys = setting.file.iter().chain(setting.environment).copied();
        let sources = setting.environment.iter().map(|name| (0, *name));
        let sources = sources.chain(setting.flags.iter().map(|flag| (1, *flag)));
        for (rank, name) in sources.chain(keys.map(|key| (2, key))) {
            let text = |own: u8| if own == rank { winner } else { loser };
            let spelt = |own: u8, usual: Option<&&'static str>| match own == rank {
                true => Some(name),
                false => usual.copied().filter(|_| own > rank),
            };
            let environment = spelt(0, setting.environment.first()).map(|name| (name, text(0)));
            let flag = spelt(1, setting.flags.first()).map(|flag| GivenFlag {
                flag: format!("--{flag}"),
                setting: setting.name,
                value: Some(text(1).to_owned()),
            });
            let key = spelt(2, setting.file.first().or(setting.environment.first()));
            let content = key.map(|key| document(key, text(2)));
            let read = move |_: &std::path::Path| Ok(content.clone().unwrap_or_default());
            let file = key.map(|_| &read as &Read);
            let mut inputs = inputs(environment, flag, file);
            if rank == 0 && !setting.beside.is_empty() {
                inputs.environment.insert(setting.beside.to_owned(), "true".to_owned());
            }
            let gathered = gather(&inputs);
            let found = gathered.find(setting.name).expect("a value");
            assert_eq!(found.value.to_string(), winner, "{} by {name}", setting.name);
            let source = match &found.source {
                Source::Environment(_) => 0,
                Source::Flag(_) => 1,
                Source::File(..) => 2,
                Source::Default => 3,
            };
            assert_eq!(source, rank, "{} by {name}", setting.name);
            assert!(gathered.problems.is_empty(), "{:?}", gathered.problems);
        }
        let gathered = gather(&inputs(None, None, None));
        let found = gathered.find(setting.name).expect("a value");
        assert_eq!(found.value.to_string(), setting.default, "{}", setting.name);
        assert_eq!(found.source, Source::Default);
    }
}

/// A JSON file with this one key, which may nest.
fn document(key: &str, text: &str) -> String {
    match key.split_once('.') {
        Some((group, key)) => serde_json::json!({ group: { key: text } }).to_string(),
        None => serde_json::json!({ key: text }).to_string(),
    }
}

#[test]
fn booleans_are_gos() {
    for text in ["1", "t", "T", "TRUE", "true", "True", " true "] {
        assert_eq!(value(&least().env(&[("vip_skipdad", text)]).loaded(), "vip_skipdad"), "true");
    }
    for text in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(value(&least().env(&[("vip_skipdad", text)]).loaded(), "vip_skipdad"), "false");
    }
    for text in ["yes", "on", "tRUE", "2", "no"] {
        assert!(least().env(&[("vip_skipdad", text)]).refused().contains("accepted: true, false"));
    }
}

#[test]
fn an_empty_value_is_not_given_except_where_it_means_something() {
    let loaded = least().env(&[("port", ""), ("vip_leasename", "  ")]).loaded();
    assert_eq!(value(&loaded, "port"), "6443");
    assert_eq!(value(&loaded, "vip_leasename"), "plndr-cp-lock");
    let loaded = least().env(&[("svc_enable", "true"), ("lb_class_name", "")]).loaded();
    assert_eq!(value(&loaded, "lb_class_name"), "");
    assert!(least().env(&[("prometheus_server", "")]).loaded().settings.metrics.is_some());
    let flag = least().args(&["--prometheusHTTPServer", ""]).loaded();
    assert_eq!(flag.settings.metrics, None);
    assert_eq!(least().args(&["--prometheusHTTPServer="]).loaded().settings.metrics, None);
    assert_eq!(table::find("lb_class_name").map(|s| s.empty), Some(Empty::Value));
}

#[test]
fn spaces_around_a_value_do_not_count() {
    let loaded =
        least().env(&[("vip_interface", " eth0 "), ("address", " 192.0.2.1 , a.b ")]).loaded();
    assert_eq!(value(&loaded, "vip_interface"), "eth0");
    assert_eq!(value(&loaded, "address"), "192.0.2.1,a.b");
}

#[test]
fn flags_take_their_value_in_every_form_of_kube_vip() {
    for arguments in [
        &["--namespace", "x"][..],
        &["--namespace=x"],
        &["-n", "x"],
        &["-n=x"],
        &["-nx"],
        &["--namespace", "y", "--namespace", "x"],
    ] {
        let namespace = value(&least().args(arguments).loaded(), "cp_namespace").to_owned();
        assert_eq!(namespace, "x", "{arguments:?}");
    }
    assert!(least().args(&["--arp=maybe"]).loaded().warnings.is_empty(), "the environment wins");
    let refused = Given::default().args(&["--arp=maybe"]).refused();
    assert!(refused.contains("vip_arp=maybe (flag --arp): neither true nor false"));
    assert!(least().args(&["--namespace"]).refused().contains("needs a value"));
}

#[test]
fn a_file_is_json_or_yaml_with_kube_vips_keys_in_any_case_or_our_names() {
    let yaml = "Interface: eth0\nVIPSUBNET: '24'\nvip_retryperiod: 3\nenableNodeLabeling: true\n\
                bgpConfig:\n  routerid: 192.0.2.4\n  peers:\n  - {address: '2001:db8::9', as: 65001, \
                password: hush, multiHop: true}\n  - address: 192.0.2.9\n    as: 65002\n\
                leaseAnnotations: {a: b}\naddress: [192.0.2.3, c.d]";
    let json: serde_json::Value = serde_yaml_ng::from_str(yaml).expect("YAML");
    for (path, text) in
        [("a.yaml", yaml.to_owned()), ("a.YML", yaml.to_owned()), ("a.json", json.to_string())]
    {
        let mut given = least().file(path, &text);
        given.environment.remove("address");
        let loaded = given.loaded();
        for (setting, wanted) in [
            ("vip_interface", "eth0"),
            ("vip_subnet", "24"),
            ("vip_retryperiod", "3"),
            ("enable_node_labeling", "true"),
            ("bgp_routerid", "192.0.2.4"),
            ("bgp_peers", "[2001:db8::9]:65001:********,192.0.2.9:65002"),
            ("vip_leaseannotations", r#"{"a":"b"}"#),
            ("address", "192.0.2.3,c.d"),
        ] {
            assert_eq!(value(&loaded, setting), wanted, "{path} {setting}");
        }
    }
}

#[test]
fn an_unknown_key_is_pointed_at_with_the_nearest_known_one() {
    let loaded =
        least().file("a.json", r#"{"intreface": "eth0", "qqqqqqqqqq": 1, "x": {}}"#).loaded();
    assert_eq!(
        loaded.warnings,
        [
            "a.json: intreface is not a known key and has no effect; did you mean Interface?",
            "a.json: qqqqqqqqqq is not a known key and has no effect",
            "a.json: x is not a known key and has no effect",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_used_is_an_error() {
    let refused = |path: &'static str, text: &str| least().file(path, text).refused();
    assert!(refused("a.toml", "").contains("unsupported config file format"));
    assert!(refused("a", "").contains("accepted: .json, .yaml, .yml"));
    assert!(refused("a.json", "{").contains("failed to parse JSON config file"));
    assert!(refused("a.yaml", "{").contains("failed to parse YAML config file"));
    assert!(refused("a.yaml", "- a").contains("accepted is one object"));
    let missing = least().args(&["--config-file", "b.yaml"]).refused();
    assert_eq!(missing, "config_file=b.yaml (flag --config-file): config file does not exist\n");
    least().file("a.yaml", "").loaded();
}

#[test]
fn a_value_of_the_wrong_type_in_the_file_is_an_error_that_names_the_key() {
    let refused = least().file("a.yaml", "port: {a: b}\nleaseDuration: [1, 2]").refused();
    assert!(refused.contains("port={\"a\":\"b\"} (port in a.yaml): not a whole number"));
    assert!(refused.contains("vip_leaseduration=1,2 (leaseDuration in a.yaml)"));
}

#[test]
fn misspelt_variables_are_pointed_at() {
    let given = least().env(&[
        ("vip_leasduration", "9"),
        ("enableARP", "true"),
        ("interface", "eth0"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(
        given.loaded().warnings,
        [
            "enableARP in the environment has no effect; its name there is vip_arp",
            "vip_leasduration in the environment is not a setting; did you mean vip_leaseduration?",
        ]
    );
}

#[test]
fn a_hostile_file_is_an_error_and_costs_little() {
    let deep = |open: &str| open.repeat(100_000);
    let bomb = (0..40).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        format!("{text}a{}: &a{} [*a{n}, *a{n}]\n", n + 1, n + 1)
    });
    for (path, text) in [
        ("a.json", deep("[")),
        ("a.json", deep("{\"a\":")),
        ("a.yaml", deep("[")),
        ("a.yaml", bomb),
    ] {
        let refused = least().file(path, &text).refused();
        assert!(
            refused.starts_with(&format!("config_file={path} (flag --config-file): failed to"))
        );
    }
}
