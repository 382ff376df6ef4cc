//! The store: objects, their versions, and the log of changes that watches read.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::resource::{Collection, Key, Resource, Scope};
use super::{ApiError, Patch, meta};

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object: `status` stays as it was where it is a subresource.
    Main,
    /// The `status` subresource: `spec` stays as it was.
    Status,
}

/// What became of a PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// There was nothing (201).
    Created,
    /// There was something (200).
    Replaced,
}

/// One stored change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) before: Option<Value>,
    /// After a deletion: the last state, with the deletion's version.
    pub(super) after: After,
}

#[derive(Clone, Debug)]
pub(super) enum After {
    Stored(Value),
    Deleted(Value),
}

/// The objects of a cluster.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) objects: BTreeMap<Key, Value>,
    pub(super) version: u64,
    pub(super) log: VecDeque<Change>,
    /// Changes up to and including this version are no longer in the log.
    pub(super) forgotten: u64,
    log_bound: usize,
    created: u64,
}

impl Store {
    /// A store with the namespaces that every cluster has, and a log of `log_bound` changes.
    /// `now` (RFC 3339) becomes their `creationTimestamp`.
    #[must_use]
    pub fn new(log_bound: usize, now: &str) -> Self {
        let mut store = Self {
            objects: BTreeMap::new(),
            version: 0,
            log: VecDeque::new(),
            forgotten: 0,
            log_bound,
            created: 0,
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let body = json!({"metadata": {"name": name}, "status": {"phase": "Active"}});
            let added = store.create(&Collection::all(Resource::Namespaces), body, now);
            debug_assert!(added.is_ok(), "a new store takes its namespaces");
        }
        store
    }

    /// `resourceVersion` of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Moves the version on, for an object that is kept elsewhere: all share one counter.
    pub fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Drops the log: every watch that is not at the present, and every older list, gets 410
    /// (what etcd's compaction does).
    pub fn compact(&mut self) {
        self.log.clear();
        self.forgotten = self.version;
    }

    /// One object.
    ///
    /// # Errors
    /// 404.
    pub fn get(&self, key: &Key) -> Result<Value, ApiError> {
        self.objects.get(key).cloned().ok_or_else(|| ApiError::not_found(key))
    }

    /// Stores a new object; the name comes from `metadata.name` or `metadata.generateName`.
    ///
    /// # Errors
    /// 400, 404 (namespace), 405, 409 (`AlreadyExists`), 422.
    pub fn create(&mut self, at: &Collection, body: Value, now: &str) -> Result<Value, ApiError> {
        let mut body = body;
        let resource = at.resource;
        meta::shape(resource, &mut body)?;
        let namespace = at.creation_namespace()?;
        if !meta::text(&body, "resourceVersion").is_empty() {
            // kube-apiserver calls it its own fault, and gives no reason.
            let text = "resourceVersion should not be set on objects to be created";
            return Err(ApiError::new(500, "", text));
        }
        let name = match (meta::text(&body, "name"), meta::text(&body, "generateName")) {
            ("", "") => {
                let why = "Required value: name or generateName is required";
                return Err(ApiError::invalid(resource, "", "metadata.name", why));
            }
            ("", prefix) => format!("{prefix}{}", meta::suffix(self.created)),
            (name, _) => name.to_owned(),
        };
        let key = Key::new(resource, namespace, &name);
        meta::place(&key, &mut body)?;
        meta::validate(&key, &body)?;
        if self.objects.contains_key(&key) {
            return Err(ApiError::already_exists(&key));
        }
        let space = Key::new(Resource::Namespaces, "", namespace);
        if resource.scope() == Scope::Namespaced && !self.objects.contains_key(&space) {
            return Err(ApiError::not_found(&space));
        }
        match resource {
            Resource::Services => body["status"] = json!({"loadBalancer": {}}),
            Resource::Pods => body["status"] = json!({}),
            _ => {}
        }
        self.created += 1;
        body["metadata"]["uid"] = json!(meta::uid(self.created));
        body["metadata"]["creationTimestamp"] = json!(now);
        Ok(self.put(key, body))
    }

    /// Replaces an object, or its status. With `metadata.resourceVersion` in the body: only if
    /// that is still the current one.
    ///
    /// # Errors
    /// 400, 404, 409 (`Conflict`), 422 (a Lease must name its version).
    pub fn update(&mut self, key: &Key, part: Part, body: Value) -> Result<Value, ApiError> {
        let mut body = body;
        meta::shape(key.resource, &mut body)?;
        meta::place(key, &mut body)?;
        let old = self.get(key)?;
        if part == Part::Status && !key.resource.has_status() {
            return Err(ApiError::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            ));
        }
        let given = meta::text(&body, "uid");
        if !given.is_empty() && given != meta::text(&old, "uid") {
            return Err(ApiError::conflict(
                key,
                "Precondition failed: UID in precondition differs",
            ));
        }
        match meta::text(&body, "resourceVersion") {
            "" | "0" if key.resource == Resource::Leases => {
                return Err(ApiError::unversioned(key));
            }
            "" | "0" => {}
            given if given == meta::text(&old, "resourceVersion") => {}
            _ => {
                let why = "the object has been modified; please apply your changes to the latest \
                           version and try again";
                return Err(ApiError::conflict(key, why));
            }
        }
        self.replace(key, part, old, body)
    }

    /// What PUT does: [`Store::update`], but some resources (Leases, Services, Endpoints, Events)
    /// are created where there is nothing to replace, whatever version the body names; with a
    /// `metadata.uid` in it, it is a conflict. kube-apiserver does so.
    ///
    /// # Errors
    /// As [`Store::update`] and [`Store::create`].
    pub fn update_or_create(
        &mut self,
        key: &Key,
        part: Part,
        body: Value,
        now: &str,
    ) -> Result<(Written, Value), ApiError> {
        let missing = part == Part::Main && !self.objects.contains_key(key);
        if !missing || !key.resource.is_created_by_update() {
            return Ok((Written::Replaced, self.update(key, part, body)?));
        }
        let mut body = body;
        meta::shape(key.resource, &mut body)?;
        meta::place(key, &mut body)?;
        if !meta::text(&body, "uid").is_empty() {
            let why = "Precondition failed: the object with this UID is gone";
            return Err(ApiError::conflict(key, why));
        }
        if let Some(metadata) = body["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        let at = Collection { resource: key.resource, namespace: Some(key.namespace.clone()) };
        Ok((Written::Created, self.create(&at, body, now)?))
    }

    /// Patches an object, or its status.
    ///
    /// # Errors
    /// 400, 404, 409 (the patch names an older version), 422.
    pub fn patch(&mut self, key: &Key, part: Part, patch: &Patch) -> Result<Value, ApiError> {
        let patched = patch.apply(&self.get(key)?)?;
        self.update(key, part, patched)
    }

    /// Deletes an object; with finalizers it is only marked, and goes with the last of them.
    /// `options` is the request's `DeleteOptions` (its preconditions count), or null.
    ///
    /// # Errors
    /// 404, 409 (preconditions).
    pub fn delete(&mut self, key: &Key, options: &Value, now: &str) -> Result<Value, ApiError> {
        let mut object = self.get(key)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = options["preconditions"][field].as_str();
            if wanted.is_some_and(|wanted| wanted != meta::text(&object, field)) {
                return Err(ApiError::precondition_failed(key, field));
            }
        }
        if meta::has_finalizers(&object) {
            if meta::text(&object, "deletionTimestamp").is_empty() {
                object["metadata"]["deletionTimestamp"] = json!(now);
                object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
                object = self.put(key.clone(), object);
            }
            return Ok(object);
        }
        let mut details = json!({"name": key.name, "kind": key.resource.plural()});
        details["uid"] = object["metadata"]["uid"].clone();
        if !key.resource.group().is_empty() {
            details["group"] = json!(key.resource.group());
        }
        self.forget(key);
        if key.resource == Resource::Services {
            return Ok(object); // kube-apiserver gives back what it was, only of these
        }
        Ok(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details,
        }))
    }

    fn replace(
        &mut self,
        key: &Key,
        part: Part,
        old: Value,
        new: Value,
    ) -> Result<Value, ApiError> {
        let mut new = new;
        let kept = match part {
            Part::Status => Some("spec"),
            Part::Main if key.resource.has_status() => Some("status"),
            Part::Main => None,
        };
        if let (Some(kept), Some(new)) = (kept, new.as_object_mut()) {
            match old.get(kept) {
                Some(value) => new.insert(kept.to_owned(), value.clone()),
                None => new.remove(kept),
            };
        }
        if let Some(metadata) = new["metadata"].as_object_mut() {
            let owned = ["uid", "creationTimestamp", "resourceVersion", "deletionTimestamp"];
            for field in owned.into_iter().chain(["deletionGracePeriodSeconds"]) {
                match old["metadata"].get(field) {
                    Some(value) => metadata.insert(field.to_owned(), value.clone()),
                    None => metadata.remove(field),
                };
            }
        }
        meta::validate(key, &new)?;
        meta::default(key.resource, &mut new);
        if new == old {
            return Ok(old); // as etcd3's store: equal bytes are not written again
        }
        let dying = !meta::text(&new, "deletionTimestamp").is_empty();
        if dying && !meta::has_finalizers(&new) {
            self.forget(key);
            return Ok(new);
        }
        Ok(self.put(key.clone(), new))
    }

    fn put(&mut self, key: Key, object: Value) -> Value {
        let mut object = object;
        meta::default(key.resource, &mut object);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let before = self.objects.insert(key.clone(), object.clone());
        self.record(key, before, After::Stored(object.clone()));
        object
    }

    fn forget(&mut self, key: &Key) {
        let Some(object) = self.objects.remove(key) else { return };
        self.version += 1;
        let mut last = object.clone();
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.record(key.clone(), Some(object), After::Deleted(last));
    }

    fn record(&mut self, key: Key, before: Option<Value>, after: After) {
        self.log.push_back(Change { version: self.version, key, before, after });
        while self.log.len() > self.log_bound {
            if let Some(oldest) = self.log.pop_front() {
                self.forgotten = oldest.version;
            }
        }
    }
}
