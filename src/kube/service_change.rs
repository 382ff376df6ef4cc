//! What viplet changes in a Service, applied to the object as the API server gave it: everything
//! else stays as it was, entries and fields of others and their order included.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::core::cluster::record::{CONDITION, Condition, Ingress, Protocol, Served, ServicePort};
use crate::core::input::{ConditionChange, HostChange, IngressChange, ServiceUpdate};
use crate::core::uid::Uid;

const HOST: &str = "kube-vip.io/vipHost";

/// Whether an object is another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was as asked already: nothing is to be written.
    Unchanged,
    /// It is to be written.
    Changed,
}

/// Why a change was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotApplied {
    /// It is another Service of the same name.
    AnotherUid,
    /// The field that makes no sense.
    Malformed(String),
}

impl Applied {
    fn and(self, other: Self) -> Self {
        if self == Self::Changed { self } else { other }
    }
}

/// Applies `update` to `object`; a condition that changes says that it did so at `now` (RFC 3339).
///
/// # Errors
/// Where it cannot be applied; what `object` is then is not told.
pub fn apply_to_service(
    object: &mut Value,
    update: &ServiceUpdate,
    now: &str,
) -> Result<Applied, NotApplied> {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if Uid::from(uid) != update.uid {
        return Err(NotApplied::AnotherUid);
    }
    let malformed = |field: &str| NotApplied::Malformed(format!("{field} makes no sense"));
    let host = change_host(object, &update.host).map_err(malformed)?;
    let ingress = change_ingress(object, &update.ingress).map_err(malformed)?;
    let condition = change_condition(object, &update.condition, now).map_err(malformed)?;
    Ok(host.and(ingress).and(condition))
}

/// The object at `path`, made where there is none.
fn descend<'a>(
    object: &'a mut Value,
    path: &[&'static str],
) -> Result<&'a mut Map<String, Value>, &'static str> {
    let mut here = object;
    let mut name = "the object";
    for step in path {
        let map = here.as_object_mut().ok_or(name)?;
        name = step;
        here = map.entry(*step).or_insert(Value::Null);
        if here.is_null() {
            *here = json!({});
        }
    }
    here.as_object_mut().ok_or(name)
}

fn change_host(object: &mut Value, change: &HostChange) -> Result<Applied, &'static str> {
    let annotations = object.pointer("/metadata/annotations");
    let current = annotations.and_then(|all| all.get(HOST)).and_then(Value::as_str);
    match change {
        HostChange::Keep => return Ok(Applied::Unchanged),
        HostChange::Set(node) if current == Some(node) => return Ok(Applied::Unchanged),
        HostChange::Remove(node) if current != Some(node) => return Ok(Applied::Unchanged),
        HostChange::Set(node) => {
            let annotations = descend(object, &["metadata", "annotations"])?;
            annotations.insert(HOST.to_owned(), json!(node));
        }
        HostChange::Remove(_) => {
            let annotations = descend(object, &["metadata", "annotations"])?;
            annotations.remove(HOST);
            if annotations.is_empty() {
                descend(object, &["metadata"])?.remove("annotations");
            }
        }
    }
    Ok(Applied::Changed)
}

fn change_ingress(object: &mut Value, change: &IngressChange) -> Result<Applied, &'static str> {
    let old = match object.pointer("/status/loadBalancer/ingress") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        Some(_) => return Err("status.loadBalancer.ingress"),
    };
    let new = merged(&old, change);
    if new == old {
        return Ok(Applied::Unchanged);
    }
    store(descend(object, &["status", "loadBalancer"])?, "ingress", new);
    Ok(Applied::Changed)
}

/// A list, or nothing instead of an empty one.
fn store(parent: &mut Map<String, Value>, field: &str, list: Vec<Value>) {
    if list.is_empty() {
        parent.remove(field);
    } else {
        parent.insert(field.to_owned(), list.into());
    }
}

fn merged(old: &[Value], change: &IngressChange) -> Vec<Value> {
    let mut new: Vec<Value> = change.put.iter().filter_map(|wanted| entry(old, wanted)).collect();
    let goes = |there: &Value| {
        let dropped = address_of(there).is_some_and(|address| change.drop.contains(&address));
        dropped || change.put.iter().any(|wanted| is_same(there, wanted))
    };
    new.extend(old.iter().filter(|there| !goes(there)).cloned());
    new
}

/// The entry to have. What others wrote into one for the same address stays (`ipMode`).
fn entry(old: &[Value], wanted: &Ingress) -> Option<Value> {
    let there = old.iter().find(|there| is_same(there, wanted)).and_then(Value::as_object);
    let mut entry = there.cloned().unwrap_or_default();
    if there.is_none() {
        match (wanted.address, &wanted.hostname) {
            (Some(address), _) => entry.insert("ip".to_owned(), json!(address)),
            (None, Some(_)) => None,
            (None, None) => return None,
        };
    }
    match &wanted.hostname {
        Some(hostname) => entry.insert("hostname".to_owned(), json!(hostname)),
        None => entry.remove("hostname"),
    };
    if ports_of(&entry).as_deref() != Some(&*wanted.ports) {
        store(&mut entry, "ports", wanted.ports.iter().map(port).collect());
    }
    Some(entry.into())
}

fn address_of(entry: &Value) -> Option<IpAddr> {
    entry.get("ip")?.as_str()?.trim().parse().ok()
}

fn is_same(there: &Value, wanted: &Ingress) -> bool {
    match (wanted.address, &wanted.hostname) {
        (Some(address), _) => address_of(there) == Some(address),
        (None, Some(hostname)) => {
            let named = there.get("hostname").and_then(Value::as_str) == Some(hostname);
            named && address_of(there).is_none()
        }
        (None, None) => false,
    }
}

fn port(port: &ServicePort) -> Value {
    json!({"port": port.port, "protocol": port.protocol.to_string()})
}

/// The entry's ports as a record holds them: without those that have errors.
fn ports_of(entry: &Map<String, Value>) -> Option<Vec<ServicePort>> {
    let all = match entry.get("ports") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(ports) => ports.as_array()?,
    };
    let works =
        |port: &&Value| port.get("error").and_then(Value::as_str).unwrap_or_default().is_empty();
    // Nor does it hold those whose protocol is of a later Kubernetes.
    let known = |port: &&Value| protocol(port).is_some();
    all.iter().filter(works).filter(known).map(port_of).collect()
}

fn port_of(value: &Value) -> Option<ServicePort> {
    let port = value.get("port")?.as_u64().and_then(|port| u16::try_from(port).ok())?;
    Some(ServicePort { port, protocol: protocol(value)? })
}

fn protocol(port: &Value) -> Option<Protocol> {
    match port.get("protocol").and_then(Value::as_str) {
        Some("TCP" | "") | None => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}

fn change_condition(
    object: &mut Value,
    change: &ConditionChange,
    now: &str,
) -> Result<Applied, &'static str> {
    let mut all = match object.pointer("/status/conditions") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(conditions)) => conditions.clone(),
        Some(_) => return Err("status.conditions"),
    };
    let is_ours = |one: &Value| one.get("type").and_then(Value::as_str) == Some(CONDITION);
    match change {
        ConditionChange::Keep => return Ok(Applied::Unchanged),
        ConditionChange::Remove if !all.iter().any(is_ours) => return Ok(Applied::Unchanged),
        ConditionChange::Remove => all.retain(|one| !is_ours(one)),
        ConditionChange::Set(wanted) => match all.iter_mut().find(|one| is_ours(one)) {
            Some(there) if says(there, wanted) => return Ok(Applied::Unchanged),
            Some(there) => set_condition(there, wanted, now)?,
            None => {
                let mut new = json!({"type": CONDITION});
                set_condition(&mut new, wanted, now)?;
                all.push(new);
            }
        },
    }
    store(descend(object, &["status"])?, "conditions", all);
    Ok(Applied::Changed)
}

const fn word(served: Served) -> &'static str {
    match served {
        Served::Yes => "True",
        Served::No => "False",
    }
}

fn says(there: &Value, wanted: &Condition) -> bool {
    let field = |name: &str| there.get(name).and_then(Value::as_str).unwrap_or_default();
    field("status") == word(wanted.served)
        && *field("reason") == *wanted.reason
        && *field("message") == *wanted.message
}

fn set_condition(there: &mut Value, wanted: &Condition, now: &str) -> Result<(), &'static str> {
    let there = there.as_object_mut().ok_or("status.conditions")?;
    for (field, text) in [
        ("status", word(wanted.served)),
        ("reason", &*wanted.reason),
        ("message", &*wanted.message),
        ("lastTransitionTime", now),
    ] {
        there.insert(field.to_owned(), json!(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
