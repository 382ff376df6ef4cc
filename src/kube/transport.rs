//! [`Api`]: one API server and our credentials for it, shared by all connections to it.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_rustls::rustls::ClientConfig;
use http::HeaderValue;
use smol::LocalExecutor;

use super::access::{self, Access, AccessError, AccessSettings, Credential, Places};
use super::connection::Connection;
use super::endpoint::Scheme;
use super::kubeconfig::read_bounded;
use super::tls;

/// A token file is read again after this time; the kubelet renews it well before it expires.
const TOKEN_AGE: Duration = Duration::from_secs(60);

/// One API server and our credentials for it. A clone is the same one.
#[derive(Clone)]
pub struct Api {
    shared: Rc<Shared>,
}

struct Shared {
    executor: Rc<LocalExecutor<'static>>,
    /// Where the access is found; `None`: it was given.
    search: Option<(AccessSettings, Places)>,
    state: RefCell<State>,
}

struct State {
    access: Access,
    tls: Option<Arc<ClientConfig>>,
    /// Counts the changes of `access`.
    generation: u64,
    token: Option<Token>,
}

struct Token {
    header: HeaderValue,
    /// `None`: to be read again.
    read_at: Option<Instant>,
}

/// What a [`Api::reload`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// All is as before.
    Same,
    /// Server or credentials changed; connections are opened anew at their next use.
    Changed,
}

/// What a connection needs to be opened.
pub(crate) struct Dial {
    pub(crate) access: Access,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) generation: u64,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api({:?})", self.shared.state.borrow().access)
    }
}

impl Api {
    /// Finds the access and reads all its files. Connections run on `executor`.
    ///
    /// # Errors
    /// As [`access::find`], and certificates or keys that make no sense.
    pub fn new(
        settings: AccessSettings,
        places: Places,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Result<Self, AccessError> {
        let access = access::find(&settings, &places)?;
        Self::build(access, Some((settings, places)), executor)
    }

    /// With an access that stays as it is.
    ///
    /// # Errors
    /// Certificates or keys that make no sense.
    pub(super) fn with_access(
        access: Access,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Result<Self, AccessError> {
        Self::build(access, None, executor)
    }

    fn build(
        access: Access,
        search: Option<(AccessSettings, Places)>,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Result<Self, AccessError> {
        let tls = tls_for(&access)?;
        let state = RefCell::new(State { access, tls, generation: 0, token: None });
        let shared = Shared { executor: Rc::clone(executor), search, state };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// A connection of the caller's own; opened at its first use.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection::new(self.clone())
    }

    /// The server's URL.
    #[must_use]
    pub fn server(&self) -> String {
        self.shared.state.borrow().access.endpoint.to_string()
    }

    /// Where the access comes from, for the log.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shared.state.borrow().access.origin.to_string()
    }

    /// Reads all files again (SIGHUP, 401, no connection). On an error what was read before stays.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub fn reload(&self) -> Result<Reloaded, AccessError> {
        let Some((settings, places)) = &self.shared.search else { return Ok(Reloaded::Same) };
        let access = access::find(settings, places)?;
        let mut state = self.shared.state.borrow_mut();
        if let Some(token) = &mut state.token {
            token.read_at = None;
        }
        if access == state.access {
            return Ok(Reloaded::Same);
        }
        let tls = tls_for(&access)?;
        state.token = None;
        state.access = access;
        state.tls = tls;
        state.generation += 1;
        Ok(Reloaded::Changed)
    }

    /// Whether the server is, by its name or address, what this node is to hold itself.
    #[must_use]
    pub fn is_circular(&self) -> bool {
        let state = self.shared.state.borrow();
        state.access.way.avoids(&state.access.endpoint.host, &[])
    }

    pub(crate) fn executor(&self) -> &LocalExecutor<'static> {
        &self.shared.executor
    }

    pub(crate) fn generation(&self) -> u64 {
        self.shared.state.borrow().generation
    }

    pub(crate) fn dial(&self) -> Dial {
        let state = self.shared.state.borrow();
        Dial { access: state.access.clone(), tls: state.tls.clone(), generation: state.generation }
    }

    /// Host header and path prefix for requests.
    pub(crate) fn address(&self) -> (String, String) {
        let state = self.shared.state.borrow();
        (state.access.endpoint.authority(), state.access.endpoint.prefix.clone())
    }

    /// The `Authorization` header. A token file that cannot be read leaves the last token in use.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, AccessError> {
        let state = self.shared.state.borrow();
        let setting = |name| move |text| AccessError::Setting { name, text };
        let path = match &state.access.credential {
            Credential::Nothing => return Ok(None),
            Credential::Token(token) => {
                return secret(&format!("Bearer {token}")).map(Some).map_err(setting("token"));
            }
            Credential::Basic { username, password } => {
                let pair = STANDARD.encode(format!("{username}:{password}"));
                return secret(&format!("Basic {pair}")).map(Some).map_err(setting("username"));
            }
            Credential::TokenFile(path) => path.clone(),
        };
        drop(state);
        self.token_of(&path).map(Some)
    }

    fn token_of(&self, path: &Path) -> Result<HeaderValue, AccessError> {
        let known = &mut self.shared.state.borrow_mut().token;
        let fresh = |token: &Token| token.read_at.is_some_and(|at| at.elapsed() < TOKEN_AGE);
        let header = match known.take() {
            Some(token) if fresh(&token) => {
                let header = token.header.clone();
                *known = Some(token);
                return Ok(header);
            }
            None => read_token(path)?,
            Some(token) => read_token(path).unwrap_or_else(|error| {
                log::warn!("{error}; the token that was read before stays in use");
                token.header
            }),
        };
        *known = Some(Token { header: header.clone(), read_at: Some(Instant::now()) });
        Ok(header)
    }
}

fn tls_for(access: &Access) -> Result<Option<Arc<ClientConfig>>, AccessError> {
    match access.endpoint.scheme {
        Scheme::Http => Ok(None),
        Scheme::Https => tls::client_config(access).map(Some),
    }
}

fn read_token(path: &Path) -> Result<HeaderValue, AccessError> {
    let bytes = read_bounded(path)?;
    let malformed = |text: &str| AccessError::Malformed {
        path: path.to_owned(),
        field: String::new(),
        text: text.to_owned(),
    };
    let text = String::from_utf8(bytes).map_err(|_| malformed("it is no token"))?;
    match text.trim() {
        "" => Err(malformed("it is empty, and should hold a token")),
        token => secret(&format!("Bearer {token}")).map_err(|text| malformed(&text)),
    }
}

fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut header = HeaderValue::from_str(text)
        .map_err(|_| "it has characters that no HTTP header may have".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
