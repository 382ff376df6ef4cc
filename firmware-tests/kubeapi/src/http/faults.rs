//! Faults on demand: what the model server does wrong, to which requests, how many times.
//!
//! `PUT /model/faults` with a JSON list of [`Rule`]s replaces them; `DELETE` removes them:
//!
//! ```json
//! [{"verb": "update", "resource": "leases", "times": 5, "effect": {"fail": 409}},
//!  {"client": "10.0.0.2", "effect": "hang"},
//!  {"effect": {"delay_ms": 300}}]
//! ```
//!
//! The first rule that matches and has turns left decides; delays add to what follows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use viplet_sim::api::{ApiError, Resource};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The request waits so many milliseconds, then goes on to the next rule.
    DelayMs(u64),
    /// It is refused with this HTTP status; nothing is stored.
    Fail(u16),
    /// It is never answered; nothing is stored.
    Hang,
    /// Its connection is closed without an answer; nothing is stored.
    Cut,
    /// It is carried out, but its connection is closed without an answer.
    LoseAnswer,
}

/// Which requests an effect strikes. A field that is left out matches every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The plural, such as `leases`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// How many requests more; left out: all until the rules are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

impl Rule {
    /// A rule for every request.
    #[must_use]
    pub fn always(effect: Effect) -> Self {
        Self { verb: None, resource: None, client: None, times: None, effect }
    }

    /// A rule for the next `times` requests of one verb and resource.
    #[must_use]
    pub fn next(times: u32, verb: &str, resource: &str, effect: Effect) -> Self {
        let (verb, resource) = (Some(verb.to_owned()), Some(resource.to_owned()));
        Self { verb, resource, client: None, times: Some(times), effect }
    }
}

/// A request as rules and counts see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) verb: &'static str,
    pub(super) resource: Resource,
    pub(super) client: IpAddr,
}

/// What the rules decided on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) delay_ms: u64,
    /// Never a delay.
    pub(super) then: Option<Effect>,
}

/// Takes a turn from each rule that strikes the request.
pub(super) fn judge(rules: &mut [Rule], asked: Asked) -> Verdict {
    let mut verdict = Verdict { delay_ms: 0, then: None };
    for rule in rules {
        let verb = rule.verb.as_ref().is_none_or(|verb| verb == asked.verb);
        let resource = rule.resource.as_ref().is_none_or(|r| r == asked.resource.plural());
        let client = rule.client.is_none_or(|client| client == asked.client);
        if !(verb && resource && client) || rule.times == Some(0) {
            continue;
        }
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        match rule.effect {
            Effect::DelayMs(more) => verdict.delay_ms += more,
            effect => {
                verdict.then = Some(effect);
                break;
            }
        }
    }
    verdict
}

/// The refusal with an HTTP status, with the reason that kube-apiserver gives.
pub(super) fn refusal(code: u16) -> ApiError {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden: a fault was asked for"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => (
            "Conflict",
            "Operation cannot be fulfilled: the object has been modified; please \
                             apply your changes to the latest version and try again",
        ),
        410 => ("Expired", "too old resource version: a fault was asked for"),
        429 => ("TooManyRequests", "Too many requests, please try again later."),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "request did not complete within the allotted timeout"),
        _ => ("InternalError", "Internal error occurred: a fault was asked for"),
    };
    ApiError::new(code, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update_of_a_lease() -> Asked {
        let client = IpAddr::from([10, 0, 0, 2]);
        Asked { verb: "update", resource: Resource::Leases, client }
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says() {
        let mut rules = vec![Rule::next(2, "update", "leases", Effect::Fail(409))];
        let mut then = || judge(&mut rules, update_of_a_lease()).then;
        assert_eq!(
            [then(), then(), then()],
            [Some(Effect::Fail(409)), Some(Effect::Fail(409)), None]
        );
    }

    #[test]
    fn a_rule_strikes_only_what_it_names() {
        let of_other = |rule: Rule| judge(&mut [rule], update_of_a_lease()).then;
        assert_eq!(of_other(Rule::next(1, "get", "leases", Effect::Hang)), None);
        assert_eq!(of_other(Rule::next(1, "update", "nodes", Effect::Hang)), None);
        let elsewhere = IpAddr::from([10, 0, 0, 3]);
        assert_eq!(of_other(Rule { client: Some(elsewhere), ..Rule::always(Effect::Hang) }), None);
        assert_eq!(of_other(Rule::always(Effect::Hang)), Some(Effect::Hang));
    }

    #[test]
    fn a_delay_adds_to_what_follows() {
        let mut rules = vec![
            Rule::always(Effect::DelayMs(100)),
            Rule::always(Effect::DelayMs(20)),
            Rule::always(Effect::Cut),
        ];
        let verdict = judge(&mut rules, update_of_a_lease());
        assert_eq!(verdict, Verdict { delay_ms: 120, then: Some(Effect::Cut) });
    }

    #[test]
    fn rules_read_as_the_documentation_writes_them() {
        let text = r#"[{"verb": "update", "resource": "leases", "times": 5, "effect": {"fail": 409}},
                       {"client": "10.0.0.2", "effect": "hang"}, {"effect": {"delay_ms": 300}}]"#;
        let rules: Vec<Rule> = serde_json::from_str(text).unwrap();
        assert_eq!(rules[0], Rule::next(5, "update", "leases", Effect::Fail(409)));
        assert_eq!(rules[2], Rule::always(Effect::DelayMs(300)));
    }
}
