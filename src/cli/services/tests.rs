//! Tests of the table of Services.

use proptest::prelude::*;

use super::*;
use crate::shell::source::fixture::service;

fn named(name: &str, state: ServiceState, reason: &str) -> ServiceStatus {
    ServiceStatus { reason: reason.into(), ..service(name, state) }
}

#[test]
fn services_are_a_table_under_their_counts() {
    let mut dual = named("web/two", ServiceState::Held, "this node holds the lease");
    dual.addresses = vec!["192.0.2.11".parse().unwrap(), "2001:db8::11".parse().unwrap()];
    let mut nothing = named("default/none", ServiceState::Waiting, "no address is given");
    nothing.addresses.clear();
    nothing.holder.clear();
    let far = "node-b holds the lease default/kubevip-there";
    let long = "192.0.2.11 is asked for by web/two too, and both have the port 443/TCP: give \
                one of the two another address or another port";
    let services = [
        nothing,
        named("default/there", ServiceState::Elsewhere, far),
        dual,
        named("web/three", ServiceState::Refused, long),
    ];
    assert_eq!(
        table(&services, Listing::Troubled),
        "\
Services: 4 (1 held, 1 elsewhere, 1 waiting, 1 REFUSED)
NAMESPACE/NAME  STATE      ADDRESSES     HOLDER  WHY
default/none    waiting    -             -       no address is given
default/there   elsewhere  192.0.2.20    node-b
web/two         held       192.0.2.11    node-b  this node holds the lease
                           2001:db8::11
web/three       REFUSED    192.0.2.20    node-b
    192.0.2.11 is asked for by web/two too, and both have the port 443/TCP: give
    one of the two another address or another port
"
    );
}

#[test]
fn of_many_services_only_those_in_trouble_are_listed_unless_all_are_asked_for() {
    let name = |n: usize| format!("default/s-{n}");
    let mut services: Vec<ServiceStatus> =
        (0..50).map(|n| service(&name(n), ServiceState::Elsewhere)).collect();
    assert!(table(&services, Listing::Troubled).contains("\ndefault/s-49 "));
    services.push(named("default/trouble", ServiceState::Pending, "link eth0 is down"));
    let brief = table(&services, Listing::Troubled);
    assert!(brief.starts_with("Services: 51 (1 PENDING, 50 elsewhere)\n"), "{brief}");
    assert!(brief.contains("\ndefault/trouble ") && !brief.contains("s-49"), "{brief}");
    assert!(brief.contains("viplet status --all"), "{brief}");
    let all = table(&services, Listing::All);
    assert!(all.contains("\ndefault/s-49 ") && !all.contains("--all"), "{all}");
    services.pop();
    services.push(service("default/fine", ServiceState::Held));
    assert!(!table(&services, Listing::Troubled).contains("NAMESPACE"));
}

proptest! {
    #[test]
    fn no_line_is_wider_than_a_terminal_and_nothing_is_cut(
        name in "[a-z]{1,20}/[a-z]{1,50}",
        holder in "[a-z.]{0,70}",
        reason in "([a-z]{1,12} ){0,30}",
        literals in proptest::collection::vec(any::<std::net::IpAddr>(), 0..4),
    ) {
        let mut one = named(&name, ServiceState::Pending, reason.trim());
        one.addresses = literals;
        one.holder = holder;
        let text = table(&[one.clone(), service("a/b", ServiceState::Held)], Listing::All);
        for line in text.lines() {
            prop_assert!(line.chars().count() <= WIDTH, "{line}");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let literals = addresses(&one);
        let wanted = reason.split_whitespace().chain([name.as_str()]);
        for wanted in wanted.chain(literals.iter().map(String::as_str)) {
            prop_assert!(words.contains(&wanted), "{wanted} is missing in\n{text}");
        }
    }
}
