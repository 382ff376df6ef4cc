//! The model API server: what a Kubernetes API server does with the objects that we touch, as a
//! pure store. No clock (the caller gives times), no I/O (others serve it).
//!
//! Start with [`Store`]: [`Store::get`], [`Store::list`], [`Store::create`], [`Store::update`],
//! [`Store::patch`], [`Store::delete`], and [`Store::watch`] with [`Store::events`].
//! Whatever is refused is an [`ApiError`], which becomes a `Status` object.

mod error;
mod list;
mod meta;
mod patch;
mod resource;
mod selector;
mod store;
#[cfg(test)]
mod tests;
mod watch;

pub use error::ApiError;
pub use list::ListQuery;
pub use patch::Patch;
pub use resource::{Collection, Key, Resource, Scope};
pub use selector::Selectors;
pub use store::{Part, Store, Written};
pub use watch::{Bookmarks, Watch};
