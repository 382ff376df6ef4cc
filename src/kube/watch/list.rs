//! The list that a watch begins with: page after page, each read and let go before the next.

use ::kube::core::Request;
use ::kube::core::params::ListParams;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::connection::Answer;
use super::super::error::{ApiError, Kind};
use super::frame::unreadable;
use super::{Event, Watch, Watched, stream_error};
use crate::core::cluster::record::Unreadable;

/// More objects than this are no list: no cluster has so many.
const MOST_OBJECTS: usize = 1_000_000;

impl Watch {
    /// Tells every object there is, and returns the version of the list. It is begun anew once when
    /// its version expires under way.
    pub(super) async fn list<T: Watched>(
        &mut self,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) -> Result<String, ApiError> {
        let listed = match self.pages::<T>().await {
            Err(error) if matches!(error.kind, Kind::Gone(_)) => self.pages::<T>().await?,
            listed => listed?,
        };
        for reason in listed.nameless {
            sink(Event::Rejected(reason)).await;
        }
        sink(match listed.unreadable {
            none if none.is_empty() => Event::Replaced(listed.objects),
            some => Event::ReplacedExcept(listed.objects, some),
        })
        .await;
        sink(Event::Reached(listed.version.clone())).await;
        Ok(listed.version)
    }

    async fn pages<T: Watched>(&mut self) -> Result<Listed<T>, ApiError> {
        let mut listed = Listed::nothing();
        let mut params = ListParams {
            label_selector: self.scope.labels.clone(),
            field_selector: self.scope.fields.clone(),
            limit: Some(self.scope.page),
            ..ListParams::default()
        };
        while listed.seen < MOST_OBJECTS {
            let answer = self.page(&mut params).await?;
            let page: Page<'_> = serde_json::from_slice(&answer.body)
                .map_err(|error| self.no_list(&error.to_string()))?;
            listed.take(&page.items.unwrap_or_default());
            listed.version = page.metadata.resource_version;
            match page.metadata.r#continue.filter(|token| !token.is_empty()) {
                None => return Ok(listed),
                next if next == params.continue_token => {
                    return Err(self.no_list("a list whose next page is the same again"));
                }
                next => params.continue_token = next,
            }
        }
        Err(self.no_list(&format!("a list of more than {MOST_OBJECTS} objects")))
    }

    fn no_list(&self, why: &str) -> ApiError {
        stream_error(&self.connection, &self.scope, Kind::Malformed(why.to_owned()))
    }

    /// The next page, with fewer objects where as many as usual are too large for one answer.
    async fn page(&mut self, params: &mut ListParams) -> Result<Answer, ApiError> {
        loop {
            let request = Request::new(self.scope.path.clone())
                .list(params)
                .map_err(|error| self.local(&error))?;
            match (self.connection.call(request, self.pace.answer).await, params.limit) {
                (Err(ApiError { kind: Kind::TooLarge(_), .. }), Some(limit @ 2..)) => {
                    params.limit = Some(limit / 2);
                }
                (outcome, _) => return outcome,
            }
        }
    }
}

/// What a list has brought so far.
struct Listed<T: Watched> {
    objects: Vec<T>,
    unreadable: Vec<Unreadable<T::Key>>,
    /// Why an object was left out of which not even the name could be read.
    nameless: Vec<String>,
    version: String,
    /// Objects that were looked at; a page without any counts as one.
    seen: usize,
}

impl<T: Watched> Listed<T> {
    const fn nothing() -> Self {
        Self {
            objects: Vec::new(),
            unreadable: Vec::new(),
            nameless: Vec::new(),
            version: String::new(),
            seen: 0,
        }
    }

    /// One object of many that makes no sense must not cost the others: they are read one by one.
    fn take(&mut self, items: &[&RawValue]) {
        self.seen += items.len().max(1);
        for item in items {
            match T::read(item.get()) {
                Ok(object) => self.objects.extend(object),
                Err(reason) => match unreadable::<T>(item.get(), &reason) {
                    Ok(known) => self.unreadable.extend(known),
                    Err(nameless) => self.nameless.push(nameless),
                },
            }
        }
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    r#continue: Option<String>,
}
