//! What holds for any input.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::config::setting::{Role, Setting};
use crate::config::table;
use crate::config::value::parse;
use crate::config::{Inputs, MASK, load, split_arguments};

use super::{FEATURES, Given};

/// Text that is near to what settings take.
fn text() -> impl Strategy<Value = String> {
    let near = "[0-9]{1,6}|-?[0-9.]{1,4}(ms|s|h|µs)|[a-f0-9:.]{0,16}|[0-9,/]{0,9}|auto(,auto)?|\
                true|f|[a-z]{1,4}/[a-z.-]{0,5}|\\{\"[a-z]\":\"[a-z]\"\\}|https?://[a-z:0-9]{0,6}|\
                :[0-9]{1,6}|[a-z0-9.,\\[\\]:;-]{0,20}";
    prop_oneof![near, any::<String>()]
}

fn setting() -> impl Strategy<Value = &'static Setting> {
    select(table::all().collect::<Vec<_>>())
}

/// Names and keys, known and unknown.
fn name() -> impl Strategy<Value = String> {
    let known = table::all()
        .flat_map(|setting| setting.environment.iter().chain(setting.file).chain(setting.flags))
        .map(|name| (*name).to_owned())
        .collect::<Vec<_>>();
    prop_oneof![4 => select(known), 1 => any::<String>()]
}

/// Values that usually load.
fn sensible() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let pick = |name: &'static str, texts: &'static [&'static str]| {
        proptest::option::of(select(texts)).prop_map(move |text| text.map(|t| (name, t.to_owned())))
    };
    let picks = vec![
        pick("address", &["192.0.2.1,2001:db8::1", "a.example.", "192.0.2.2"]).boxed(),
        pick("vip_subnet", &["24", "/24,64", "24, 64"]).boxed(),
        pick("vip_interface", &[" eth0", "lo"]).boxed(),
        pick("vip_leaseduration", &["20", "+30"]).boxed(),
        pick("vip_leasename", &["x", "y/x"]).boxed(),
        pick("vip_leaseannotations", &["{ \"a\": \"\\\"b|\" }", ""]).boxed(),
        pick("prometheus_server", &["", "localhost:1", "[::1]:2"]).boxed(),
        pick("health_check_port", &["0", "2000"]).boxed(),
        pick("vip_arpRate", &["1", "700"]).boxed(),
        pick("dns_mode", &["DUAL", "odd", "ipv6"]).boxed(),
        pick("vip_loseleadership", &["1", "F"]).boxed(),
        pick("svc_enable", &["true"]).boxed(),
        pick("svc_namespace", &["a"]).boxed(),
        pick("svc_leasename", &["x", "y/x"]).boxed(),
        pick("lb_class_name", &["", "x"]).boxed(),
        pick("lb_class_legacy_handling", &["false"]).boxed(),
        pick("vip_servicesinterface", &["auto", "eth1"]).boxed(),
        pick("instance_name", &["b"]).boxed(),
        pick("kubernetes_addr", &["https://a:1", "b"]).boxed(),
        pick("vip_loglevel", &["-4", "5"]).boxed(),
        pick("bgp_hold_time", &["9", "30"]).boxed(),
        pick("k8s_config_file", &["/x y/z"]).boxed(),
    ];
    picks.prop_map(|picks| picks.into_iter().flatten().collect())
}

/// A settings file with these values.
fn file(values: &[(&str, String)]) -> String {
    let map = values.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into()));
    serde_json::Value::Object(map.collect()).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_value_that_is_taken_reads_back_from_its_own_text(setting in setting(), text in text()) {
        if let Ok(parsed) = parse(setting, &text) {
            let again = parse(setting, &parsed.value.to_string());
            prop_assert_eq!(again.map(|again| again.value), Ok(parsed.value));
        }
    }

    #[test]
    fn no_input_makes_loading_panic_and_every_problem_names_its_setting(
        environment in btree_map(name(), text(), 0..12),
        arguments in vec(prop_oneof![name().prop_map(|n| format!("--{n}")), text()], 0..12),
        (extension, content) in (select(vec!["json", "yaml", "odd"]), any::<String>()),
        keys in btree_map(name(), text(), 0..6),
    ) {
        let (flags, rest) = split_arguments(&arguments);
        prop_assert!(flags.len() + rest.len() <= arguments.len());
        let mut environment = environment;
        environment.insert("config_file".to_owned(), format!("x.{extension}"));
        for content in [content, serde_json::to_string(&keys).expect("JSON")] {
            let inputs = Inputs {
                environment: environment.clone(),
                flags: flags.clone(),
                hostname: "h".to_owned(),
                service_account_namespace: None,
                read_file: &|_| Ok(content.clone()),
            };
            for problem in load(&inputs, FEATURES).err().into_iter().flatten() {
                prop_assert!(table::find(&problem.setting).is_some(), "{problem}");
                prop_assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }

    #[test]
    fn the_effective_settings_load_to_the_same_settings(values in sensible()) {
        let mut given = vec![
            ("vip_arp", "true".to_owned()),
            ("cp_enable", "T".to_owned()),
            ("vip_address", "192.0.2.77".to_owned()),
            ("vip_subnet", "32".to_owned()),
        ];
        given.extend(values);
        let first = Given::default().file("a.json", &file(&given)).loaded();
        let effective: Vec<(&str, String)> = first
            .effective
            .iter()
            .filter(|line| line.setting != "config_file" && !line.value.contains(MASK))
            .map(|line| (line.setting, line.value.clone()))
            .collect();
        let second = Given::default().file("a.json", &file(&renamed(effective))).loaded();
        prop_assert_eq!(&first.settings, &second.settings);
        let values = |loaded: &crate::config::Loaded| {
            loaded.effective.iter().map(|line| line.value.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(values(&first), values(&second));
    }
}

/// Under a key that the file knows: some settings have no variable.
fn renamed(values: Vec<(&str, String)>) -> Vec<(&'static str, String)> {
    let key = |name: &str| {
        let setting = table::find(name)?;
        let live = matches!(setting.role, Role::Switch | Role::Parameter);
        let key = setting.environment.first().or(setting.file.first()).filter(|_| live)?;
        (!key.contains('.')).then_some(*key)
    };
    values.into_iter().filter_map(|(name, text)| Some((key(name)?, text))).collect()
}
