//! What a case works with: a namespace of its own on a server, and a record of the answers.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};
use viplet_kubeapi::client::{Answer, Client, Payload, Watching};

use crate::servers::Server;
use crate::shape::slim;

/// How long an event may take to come.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Bench<'a> {
    pub(crate) server: &'a Server,
    /// The case's namespace; also a name that no other case uses.
    pub(crate) space: String,
    client: Client,
    transcript: RefCell<Vec<Value>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(server: &'a Server, case: &str) -> Self {
        let space: String = case.replace('_', "-").chars().take(50).collect();
        let space = space.trim_end_matches('-').to_owned();
        let client = server.client();
        let made = client.create("/api/v1/namespaces", &json!({"metadata": {"name": space}}));
        assert_eq!(made.unwrap().code, 201, "the case's namespace");
        Self { server, space, client, transcript: RefCell::default() }
    }

    /// The path of the leases of the case's namespace.
    pub(crate) fn leases(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.space)
    }

    pub(crate) fn lease(&self, name: &str) -> String {
        format!("{}/{name}", self.leases())
    }

    /// The path of a resource of the core group in the case's namespace.
    pub(crate) fn core(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.space)
    }

    /// Sends a request; the answer becomes part of the record.
    pub(crate) fn call(&self, method: &str, path: &str, payload: Payload<'_>) -> Answer {
        let answer = self.client.call(method, path, payload).unwrap();
        let asked = format!("{method} {}", path.split('?').next().unwrap());
        let body = slim(&answer.body);
        self.note(json!({"asked": asked, "code": answer.code, "body": body}));
        answer
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Payload::None)
    }

    pub(crate) fn create(&self, path: &str, object: &Value) -> Answer {
        self.call("POST", path, Payload::Json(object))
    }

    pub(crate) fn update(&self, path: &str, object: &Value) -> Answer {
        self.call("PUT", path, Payload::Json(object))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, Payload::None)
    }

    /// Stores an object that must be new.
    pub(crate) fn stored(&self, path: &str, object: &Value) -> Value {
        let answer = self.create(path, object);
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.body
    }

    /// Opens a watch; `query` follows `?watch=true`.
    pub(crate) fn watch(&self, path: &str, query: &str) -> Watching {
        self.client.watch(&format!("{path}?watch=true{query}")).unwrap()
    }

    /// The next change of a watch, type and object; it becomes part of the record.
    pub(crate) fn change(&self, watching: &mut Watching) -> (String, Value) {
        let event = watching.next_change(SOON).unwrap();
        self.note(json!({"event": event["type"], "object": slim(&event["object"])}));
        (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
    }

    fn note(&self, entry: Value) {
        self.transcript.borrow_mut().push(entry);
    }

    pub(crate) fn transcript(self) -> Vec<Value> {
        self.transcript.into_inner()
    }
}
