//! Lists: a collection at one version, whole or in pages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resource::{Collection, Key};
use super::store::Store;
use super::{ApiError, Selectors};

/// What a list asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Which objects.
    pub selectors: Selectors,
    /// `limit`: at most so many per page; `None`: all.
    pub limit: Option<usize>,
    /// `continue`: where the last page ended; empty: from the beginning.
    pub from: String,
}

impl Store {
    /// The objects of a collection, as a `...List` object with `metadata.resourceVersion`.
    /// Further pages show the state at the first page's version.
    ///
    /// # Errors
    /// 400 for a token that cannot be read, 410 for one whose version is forgotten.
    pub fn list(&self, of: &Collection, query: &ListQuery) -> Result<Value, ApiError> {
        let (version, after) = match query.from.as_str() {
            "" => (self.version, None),
            token => read_token(of, token)?,
        };
        let past = self.at(version)?;
        let chosen = |(key, object): &(&Key, &Value)| {
            let next = after.as_ref().is_none_or(|last| *key > last);
            next && of.contains(key) && query.selectors.matches(key, object)
        };
        let all: Vec<_> = past.into_iter().filter(chosen).collect();
        let limit = query.limit.filter(|limit| *limit > 0).unwrap_or(all.len());
        let page = all.get(..limit).unwrap_or(&all);
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let (Some((last, _)), true) = (page.last(), page.len() < all.len()) {
            metadata["continue"] = json!(format!("{version}/{}/{}", last.namespace, last.name));
            if query.selectors.is_empty() {
                metadata["remainingItemCount"] = json!(all.len() - page.len());
            }
        }
        let items: Vec<Value> = page.iter().map(|(_, object)| item(object)).collect();
        Ok(json!({
            "kind": format!("{}List", of.resource.kind()),
            "apiVersion": of.resource.api_version(),
            "metadata": metadata,
            "items": items,
        }))
    }

    /// All objects as they were at `version`.
    fn at(&self, version: u64) -> Result<BTreeMap<&Key, &Value>, ApiError> {
        if version < self.forgotten {
            let message = "The provided continue parameter is too old to display a consistent \
                           list result.";
            return Err(ApiError::new(410, "Expired", message));
        }
        let mut objects: BTreeMap<&Key, &Value> = self.objects.iter().collect();
        for change in self.log.iter().rev().take_while(|change| change.version > version) {
            match &change.before {
                Some(object) => objects.insert(&change.key, object),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }
}

/// An object as a list holds it: the list says what it is.
fn item(object: &Value) -> Value {
    let mut item = object.clone();
    if let Some(map) = item.as_object_mut() {
        map.remove("kind");
        map.remove("apiVersion");
    }
    item
}

fn read_token(of: &Collection, token: &str) -> Result<(u64, Option<Key>), ApiError> {
    let bad = || ApiError::bad_request("continue key is not valid");
    let mut parts = token.splitn(3, '/');
    let mut part = || parts.next().ok_or_else(bad);
    let version = part()?.parse().map_err(|_| bad())?;
    let (namespace, name) = (part()?, part()?);
    Ok((version, Some(Key::new(of.resource, namespace, name))))
}
