//! Lists: whole, selected, in pages.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::objects::{config_map, lease, names};

crate::cases![
    a_list_holds_the_namespaces_objects_in_order,
    a_list_over_all_namespaces_holds_this_one,
    an_empty_list_has_a_version,
    a_list_in_pages_is_the_list,
    further_pages_do_not_show_what_came_in_between,
    a_continue_token_that_makes_no_sense_is_refused,
    a_field_selector_picks_one_object,
    a_label_selector_picks_by_equality_set_and_existence,
    a_selector_that_cannot_be_read_is_refused,
];

/// ConfigMaps a to e; a and b are red, c is blue, d and e have no colour.
fn five(bench: &Bench<'_>) -> String {
    let maps = bench.core("configmaps");
    for (name, labels) in [
        ("e", json!({})),
        ("c", json!({"colour": "blue"})),
        ("a", json!({"colour": "red"})),
        ("d", json!({"size": "big"})),
        ("b", json!({"colour": "red", "size": "big"})),
    ] {
        bench.stored(&maps, &config_map(name, &labels));
    }
    maps
}

fn a_list_holds_the_namespaces_objects_in_order(bench: &Bench<'_>) {
    let maps = five(bench);
    let list = bench.get(&maps).body;
    assert_eq!(names(&list), ["a", "b", "c", "d", "e"]);
    assert_eq!(list["kind"], "ConfigMapList");
    let latest = list["items"].as_array().unwrap().iter().map(number).max();
    assert!(number(&list) >= latest.unwrap());
}

fn number(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn a_list_over_all_namespaces_holds_this_one(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("a", "node-1"));
    let selector = format!("fieldSelector=metadata.namespace%3D{}", bench.space);
    let list = bench.get(&format!("/apis/coordination.k8s.io/v1/leases?{selector}")).body;
    assert_eq!(names(&list), ["a"]);
}

fn an_empty_list_has_a_version(bench: &Bench<'_>) {
    let list = bench.get(&bench.leases()).body;
    assert_eq!(list["items"], json!([]));
    assert!(number(&list) > 0);
}

fn a_list_in_pages_is_the_list(bench: &Bench<'_>) {
    let maps = five(bench);
    let first = bench.get(&format!("{maps}?limit=2")).body;
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a", "b"], &json!(3))
    );
    let second = next_page(bench, &maps, &first);
    assert_eq!(names(&second), ["c", "d"]);
    let third = next_page(bench, &maps, &second);
    assert_eq!(names(&third), ["e"]);
    assert!(third["metadata"].get("continue").is_none());
    assert_eq!(number(&third), number(&first));
}

fn next_page(bench: &Bench<'_>, path: &str, page: &Value) -> Value {
    let token = page["metadata"]["continue"].as_str().unwrap();
    let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
    bench.get(&format!("{path}?limit=2&continue={token}")).body
}

fn further_pages_do_not_show_what_came_in_between(bench: &Bench<'_>) {
    let maps = five(bench);
    let first = bench.get(&format!("{maps}?limit=2")).body;
    bench.stored(&maps, &config_map("bb", &json!({})));
    bench.delete(&format!("{maps}/c"));
    let second = next_page(bench, &maps, &first);
    assert_eq!(names(&second), ["c", "d"]);
}

fn a_continue_token_that_makes_no_sense_is_refused(bench: &Bench<'_>) {
    let refused = bench.get(&format!("{}?limit=2&continue=nonsense", bench.leases()));
    assert_eq!(refused.code, 400);
}

fn a_field_selector_picks_one_object(bench: &Bench<'_>) {
    let maps = five(bench);
    let picked = bench.get(&format!("{maps}?fieldSelector=metadata.name%3Dc")).body;
    assert_eq!(names(&picked), ["c"]);
    let others = bench.get(&format!("{maps}?fieldSelector=metadata.name%21%3Dc")).body;
    assert_eq!(names(&others), ["a", "b", "d", "e"]);
}

fn a_label_selector_picks_by_equality_set_and_existence(bench: &Bench<'_>) {
    let maps = five(bench);
    for (selector, picked) in [
        ("colour%3Dred", vec!["a", "b"]),
        ("colour%21%3Dred", vec!["c", "d", "e"]),
        ("colour+in+(red,blue),size%3Dbig", vec!["b"]),
        ("colour+notin+(red)", vec!["c", "d", "e"]),
        ("size", vec!["b", "d"]),
        ("%21size,colour", vec!["a", "c"]),
    ] {
        let list = bench.get(&format!("{maps}?labelSelector={selector}")).body;
        assert_eq!(names(&list), picked, "{selector}");
    }
}

fn a_selector_that_cannot_be_read_is_refused(bench: &Bench<'_>) {
    assert_eq!(bench.get(&format!("{}?fieldSelector=nonsense", bench.leases())).code, 400);
    assert_eq!(bench.get(&format!("{}?fieldSelector=spec.x%3Dy", bench.leases())).code, 400);
    assert_eq!(bench.get(&format!("{}?labelSelector=a+b+c", bench.leases())).code, 400);
}
