//! Settings of a backend that are in the annotations of this node's Node object.

use std::collections::BTreeMap;

/// A backend some of whose settings are in this node's annotations.
pub trait NodeSettings {
    /// The prefix of the annotations that matter, without a slash at its end.
    fn prefix(&self) -> &str;

    /// This node's annotations, at first and whenever they change.
    fn annotated(&mut self, annotations: &BTreeMap<String, String>);
}
