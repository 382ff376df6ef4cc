//! What is said of JSON that makes no sense.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer {
    #[serde(rename = "spec")]
    _spec: Option<Inner>,
}

#[derive(Debug, Deserialize)]
struct Inner {
    #[serde(default, rename = "ports")]
    _ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(rename = "port")]
    _port: u16,
}

#[test]
fn what_is_wrong_is_said_with_the_path_of_the_field() {
    for (json, said) in [
        (
            r#"{"x":{"a\"}":[1]},"spec":{"ports":[{"port":1},{"port":"web"}]}}"#,
            "spec.ports[1].port: invalid type: string \"web\", expected u16",
        ),
        (
            r#"{"spec":{"ports":[{"port":70000}]}}"#,
            "spec.ports[0].port: invalid value: integer `70000`, expected u16",
        ),
        (
            "{\n \"spec\": {\n \"ports\": [\n {\"port\": {}}]}}",
            "spec.ports[0].port: invalid type: map, expected u16",
        ),
        (
            r#"{"spec":{"ports":[{"port":1},{"prt":1}],"z":1}}"#,
            "spec.ports[1]: missing field `port`",
        ),
        (r#"{"spec":{"ports":[null]}}"#, "spec.ports[0]: invalid type: null, expected struct Port"),
        (r#"{"spec":7}"#, "spec: invalid type: integer `7`, expected struct Inner"),
        ("7", "invalid type: integer `7`, expected struct Outer"),
    ] {
        assert_eq!(read_json::<Outer>(json).unwrap_err(), said, "{json}");
    }
}

#[test]
fn a_value_of_any_length_is_quoted_briefly_and_between_characters() {
    let json = format!(r#"{{"spec":{{"ports":"{}"}}}}"#, "\u{e9}".repeat(10_000));
    let said = read_json::<Outer>(&json).unwrap_err();
    assert!(said.starts_with("spec.ports: invalid type: string \"\u{e9}"), "{said}");
    assert!(said.len() < 2 * LONGEST_REASON, "{}", said.len());
}

#[test]
fn an_object_is_named_as_far_as_it_has_a_name() {
    assert_eq!(name_of(r#"{"metadata":{"name":"n","namespace":"s"}}"#), "s/n");
    assert_eq!(name_of(r#"{"metadata":{"name":"n","namespace":5}}"#), "n");
    assert_eq!(name_of(r#"{"metadata":[]}"#), "an object without a name");
    assert_eq!(name_of("null"), "an object without a name");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(json in "[\\[\\]{}\",:a1 \\\\\n]{0,60}") {
        let _ = read_json::<Outer>(&json);
        let _ = read_json::<Fields<'_>>(&json);
        let _ = name_of(&json);
    }
}
