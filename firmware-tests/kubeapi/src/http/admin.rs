//! Orders to the model server itself, under `/model/`: they are no part of the Kubernetes API.
//!
//! | request | what it does |
//! |---|---|
//! | `GET`, `PUT`, `DELETE /model/faults` | shows, replaces, removes the fault rules ([`super::faults`]) |
//! | `POST /model/compact` | forgets the log: lists and watches from older versions get 410 |
//! | `POST /model/watches/expire` | ends running watches with a 410 event |
//! | `POST /model/watches/cut` | closes running watches' connections |

use http::{Method, Response};
use serde_json::json;
use viplet_sim::api::ApiError;

use super::faults::Rule;
use super::model::{Ending, Model};
use super::serve::{Body, document};

/// Carries out an order.
pub(super) fn answer(model: &Model, method: &Method, path: &str, body: &[u8]) -> Response<Body> {
    match (method.as_str(), path) {
        ("GET", "/model/faults") => return document(200, &json!(model.lock().rules)),
        ("DELETE", "/model/faults") => model.lock().rules.clear(),
        ("PUT", "/model/faults") => match serde_json::from_slice::<Vec<Rule>>(body) {
            Ok(rules) => model.lock().rules = rules,
            Err(error) => {
                let error = ApiError::bad_request(format!("not a list of fault rules: {error}"));
                return document(400, &error.to_status());
            }
        },
        ("POST", "/model/compact") => model.change(|inner| inner.store.compact()),
        ("POST", "/model/watches/expire") => model.end_watches(Ending::Expired),
        ("POST", "/model/watches/cut") => model.end_watches(Ending::Cut),
        _ => return document(404, &ApiError::new(404, "NotFound", "no such order").to_status()),
    }
    document(200, &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
}
