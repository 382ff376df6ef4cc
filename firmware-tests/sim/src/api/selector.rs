//! Field and label selectors of lists and watches.

use serde_json::Value;

use super::ApiError;
use super::resource::{Key, Resource};

/// Which objects of a collection are meant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selectors {
    fields: Vec<FieldTerm>,
    labels: Vec<LabelTerm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    /// `spec.type`, which only Services can be selected by.
    Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Is,
    IsNot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldTerm {
    field: Field,
    sense: Sense,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelTerm {
    Exists(String),
    Lacks(String),
    In(String, Vec<String>),
    /// True as well when the label is absent.
    NotIn(String, Vec<String>),
}

impl Selectors {
    /// Reads `fieldSelector` and `labelSelector` (empty: everything).
    ///
    /// # Errors
    /// 400 for a field that cannot be selected by, or a term that cannot be read.
    pub fn parse(fields: &str, labels: &str) -> Result<Self, ApiError> {
        Ok(Self {
            fields: terms(fields).map(field_term).collect::<Result<_, _>>()?,
            labels: terms(labels).map(label_term).collect::<Result<_, _>>()?,
        })
    }

    /// The same, if objects of this resource can be selected by it.
    ///
    /// # Errors
    /// 400 for a field that only others have.
    pub fn of(self, resource: Resource) -> Result<Self, ApiError> {
        let foreign = |term: &FieldTerm| term.field == Field::Type;
        if resource != Resource::Services && self.fields.iter().any(foreign) {
            return Err(ApiError::bad_request("field label not supported: spec.type"));
        }
        Ok(self)
    }

    /// Whether anything is selected by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.labels.is_empty()
    }

    /// Whether the object is meant.
    #[must_use]
    pub fn matches(&self, key: &Key, object: &Value) -> bool {
        let field = |term: &FieldTerm| {
            let value = match term.field {
                Field::Name => &key.name,
                Field::Namespace => &key.namespace,
                Field::Type => object["spec"]["type"].as_str().unwrap_or("ClusterIP"),
            };
            (value == term.value) == (term.sense == Sense::Is)
        };
        let labels = &object["metadata"]["labels"];
        self.fields.iter().all(field) && self.labels.iter().all(|term| term.matches(labels))
    }
}

impl LabelTerm {
    fn matches(&self, labels: &Value) -> bool {
        let label = |name: &str| labels.get(name).and_then(Value::as_str);
        match self {
            Self::Exists(name) => label(name).is_some(),
            Self::Lacks(name) => label(name).is_none(),
            Self::In(name, values) => label(name).is_some_and(|v| values.iter().any(|x| x == v)),
            Self::NotIn(name, values) => label(name).is_none_or(|v| values.iter().all(|x| x != v)),
        }
    }
}

/// Splits at commas that are not inside parentheses.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let split = move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(split).map(str::trim).filter(|term| !term.is_empty())
}

/// `name != value`, `name == value`, `name = value`.
fn equality(term: &str) -> Option<(&str, Sense, &str)> {
    let (name, sense, value) = if let Some((name, value)) = term.split_once("!=") {
        (name, Sense::IsNot, value)
    } else if let Some((name, value)) = term.split_once("==") {
        (name, Sense::Is, value)
    } else {
        let (name, value) = term.split_once('=')?;
        (name, Sense::Is, value)
    };
    Some((name.trim(), sense, value.trim()))
}

fn field_term(term: &str) -> Result<FieldTerm, ApiError> {
    let (name, sense, value) = equality(term)
        .ok_or_else(|| ApiError::bad_request(format!("invalid field selector: '{term}'")))?;
    let field = match name {
        "metadata.name" => Field::Name,
        "metadata.namespace" => Field::Namespace,
        "spec.type" => Field::Type,
        _ => {
            return Err(ApiError::bad_request(format!("field label not supported: {name}")));
        }
    };
    Ok(FieldTerm { field, sense, value: value.to_owned() })
}

fn label_term(term: &str) -> Result<LabelTerm, ApiError> {
    let bad = || ApiError::bad_request(format!("unable to parse requirement: '{term}'"));
    if let Some((head, values)) = term.split_once('(') {
        let values = values.strip_suffix(')').ok_or_else(bad)?;
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        let words: Vec<&str> = head.split_whitespace().collect();
        return match words.as_slice() {
            [name, "in"] => Ok(LabelTerm::In((*name).to_owned(), values)),
            [name, "notin"] => Ok(LabelTerm::NotIn((*name).to_owned(), values)),
            _ => Err(bad()),
        };
    }
    if let Some((name, sense, value)) = equality(term) {
        let (name, values) = (name.to_owned(), vec![value.to_owned()]);
        return Ok(match sense {
            Sense::Is => LabelTerm::In(name, values),
            Sense::IsNot => LabelTerm::NotIn(name, values),
        });
    }
    if term.contains(char::is_whitespace) {
        return Err(bad());
    }
    Ok(match term.strip_prefix('!') {
        Some(name) => LabelTerm::Lacks(name.trim().to_owned()),
        None => LabelTerm::Exists(term.to_owned()),
    })
}
