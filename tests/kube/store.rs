//! Leases in memory with versions and watches: just enough of an API server.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::server::{Seen, Step, Steps, answer, chunked};

#[derive(Default)]
pub struct Store {
    pub version: u64,
    pub objects: BTreeMap<String, Value>,
    pub history: Vec<(u64, Value)>,
    watches: Vec<smol::channel::Sender<Vec<u8>>>,
}

pub type Shared = Rc<RefCell<Store>>;

pub fn status(code: u16, reason: &str) -> Steps {
    let text = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": format!("told so: {reason}")});
    answer(code, &text.to_string())
}

impl Store {
    pub fn put(&mut self, name: &str, mut object: Value, kind: &str) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(name.to_owned(), object.clone());
        self.tell(kind, object.clone());
        object
    }

    pub fn delete(&mut self, name: &str) {
        self.version += 1;
        let mut object = self.objects.remove(name).unwrap();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell("DELETED", object);
    }

    fn tell(&mut self, kind: &str, object: Value) {
        let event = json!({"type": kind, "object": object});
        self.history.push((self.version, event.clone()));
        let line = format!("{event}\n").into_bytes();
        self.watches.retain(|watch| watch.try_send(line.clone()).is_ok());
    }

    pub fn handle(&mut self, seen: &Seen) -> Steps {
        let name = seen.path.split('/').nth(7).unwrap_or_default().to_owned();
        match (seen.method.as_str(), name.as_str()) {
            ("GET", "") if seen.is_watch() => {
                let from: u64 = query(seen, "resourceVersion").parse().unwrap();
                let (sender, receiver) = smol::channel::unbounded();
                for (version, event) in &self.history {
                    if *version > from {
                        sender.try_send(format!("{event}\n").into_bytes()).unwrap();
                    }
                }
                self.watches.push(sender);
                chunked(vec![Step::Chunks(receiver), Step::End])
            }
            ("GET", "") => {
                let items: Vec<&Value> = self.objects.values().collect();
                let list = json!({"kind": "LeaseList", "items": items,
                    "metadata": {"resourceVersion": self.version.to_string()}});
                answer(200, &list.to_string())
            }
            ("GET", name) => match self.objects.get(name) {
                Some(object) => answer(200, &object.to_string()),
                None => status(404, "NotFound"),
            },
            ("POST", _) => {
                let object = seen.json();
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                if self.objects.contains_key(&name) {
                    return status(409, "AlreadyExists");
                }
                answer(201, &self.put(&name, object, "ADDED").to_string())
            }
            ("PUT", name) => {
                let object = seen.json();
                let Some(old) = self.objects.get(name) else { return status(404, "NotFound") };
                if old["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                    return status(409, "Conflict");
                }
                answer(200, &self.put(name, object, "MODIFIED").to_string())
            }
            _ => status(405, "MethodNotAllowed"),
        }
    }
}

pub fn query(seen: &Seen, name: &str) -> String {
    let pairs = seen.query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .next()
        .unwrap_or_default()
}

/// A server's handler on a shared store.
pub fn handler(store: &Shared) -> impl FnMut(&Seen) -> Steps + 'static {
    let store = Rc::clone(store);
    move |seen| store.borrow_mut().handle(seen)
}
