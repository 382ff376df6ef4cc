//! Tests of what `viplet config` prints.

use super::*;
use crate::config::table::find;

#[test]
fn the_settings_in_effect_stand_in_columns_with_their_sources() {
    let line =
        |setting, value: &str, source| Effective { setting, value: value.to_owned(), source };
    let lines = [
        line("vip_arp", "true", Source::Environment("vip_arp".to_owned())),
        line("port", "6443", Source::Default),
        line("instance_name", "a", Source::Environment("INSTANCE_NAME".to_owned())),
        line("address", "192.0.2.1", Source::Flag("--address".to_owned())),
        line("vip_subnet", "", Source::File("a.yaml".to_owned(), "vipSubnet".to_owned())),
    ];
    let wanted = "\
vip_arp       = true        (environment)
port          = 6443        (default)
instance_name = a           (environment INSTANCE_NAME)
address       = 192.0.2.1   (flag --address)
vip_subnet    =             (vipSubnet in a.yaml)
";
    assert_eq!(effective(&lines), wanted);
}

#[test]
fn warnings_follow_the_settings() {
    assert_eq!(warnings(&[]), "");
    let texts = ["one".to_owned(), "two".to_owned()];
    assert_eq!(warnings(&texts), "\nwarning: one\nwarning: two\n");
}

#[test]
fn problems_are_counted() {
    let problem = Problem::new(find("port").expect("a row"), "x", &Source::Default, "why");
    let text = problems(std::slice::from_ref(&problem));
    assert!(text.starts_with("port=x (default): why\n1 problem in the settings;"), "{text}");
    assert!(problems(&[problem.clone(), problem]).contains("\n2 problems in the settings;"));
}
