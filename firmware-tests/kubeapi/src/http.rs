//! The model API server over HTTP: the simulator's store behind the Kubernetes REST paths.
//!
//! It starts in a millisecond, needs nothing installed, forgets everything when it stops, asks
//! nobody who they are, and can be told to misbehave ([`Rule`], [`ModelServer::end_watches`]).
//! Another process orders the same over HTTP under `/model/` (see `admin.rs`).

mod admin;
mod faults;
mod model;
mod serve;
mod stream;
mod target;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_lite::{AsyncRead, AsyncWrite, FutureExt as _};
use futures_rustls::TlsAcceptor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::{Async, Executor, channel};
use smol_hyper::rt::FuturesIo;

pub use faults::{Effect, Rule};
pub use model::Ending;
use model::Model;

/// How many changes the log keeps by default: older versions get 410.
pub const LOG_BOUND: usize = 10_000;

/// How a model server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A folder with `tls.crt` and `tls.key` (PEM): HTTPS; `None`: plain HTTP.
    pub tls: Option<PathBuf>,
    /// How many changes the log keeps.
    pub log_bound: usize,
}

impl ModelOptions {
    /// Plain HTTP at `listen`.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self { listen, tls: None, log_bound: LOG_BOUND }
    }
}

/// A running model API server, on a thread of its own. Dropping it stops it and closes its
/// connections.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    scheme: &'static str,
    model: Arc<Model>,
    /// Closed to stop the thread.
    stop: channel::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// Starts a plain HTTP server, in the network namespace of the calling thread. It listens
    /// when this returns.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(listen: SocketAddr) -> io::Result<Self> {
        Self::start_with(&ModelOptions::at(listen))
    }

    /// Starts a server.
    ///
    /// # Errors
    /// The address cannot be bound, or the certificate cannot be used.
    pub fn start_with(options: &ModelOptions) -> io::Result<Self> {
        let acceptor = options.tls.as_deref().map(tls::acceptor).transpose()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let listener = Async::new(TcpListener::bind(options.listen)?)?;
        let address = listener.get_ref().local_addr()?;
        let model = Arc::new(Model::new(options.log_bound));
        let (stop, stopped) = channel::bounded::<()>(1);
        let served = Arc::clone(&model);
        let thread =
            std::thread::Builder::new().name("model-apiserver".to_owned()).spawn(move || {
                let executor = Executor::new();
                let serving = accept(&executor, &listener, acceptor, served);
                smol::block_on(executor.run(serving.or(async {
                    let _ = stopped.recv().await;
                })));
            })?;
        Ok(Self { address, scheme, model, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// A kubeconfig (JSON, which YAML readers read) that leads to it over plain HTTP.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "model",
            "clusters": [{"name": "model", "cluster": {"server": self.url()}}],
            "users": [{"name": "model", "user": {}}],
            "contexts": [{"name": "model", "context": {"cluster": "model", "user": "model"}}],
        });
        format!("{kubeconfig:#}")
    }

    /// Replaces the fault rules.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        self.model.lock().rules = rules;
    }

    /// Forgets the log: lists and watches from older versions get 410 (etcd's compaction).
    pub fn compact(&self) {
        self.model.change(|inner| inner.store.compact());
    }

    /// Ends all running watches.
    pub fn end_watches(&self, how: Ending) {
        self.model.end_watches(how);
    }

    /// Waits for ever: the server's thread only ends when it is dropped.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(
    executor: &Executor<'_>,
    listener: &Async<TcpListener>,
    acceptor: Option<TlsAcceptor>,
    model: Arc<Model>,
) {
    loop {
        // A failed accept is about one connection, or about descriptors that others will free.
        let Ok((stream, peer)) = listener.accept().await else {
            smol::Timer::after(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.get_ref().set_nodelay(true);
        let (acceptor, model, client) = (acceptor.clone(), Arc::clone(&model), peer.ip());
        let connection = async move {
            match acceptor {
                None => converse(stream, model, client).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, model, client).await;
                    }
                }
            }
        };
        executor.spawn(connection).detach();
    }
}

async fn converse<S>(stream: S, model: Arc<Model>, client: IpAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| serve::answer(Arc::clone(&model), request, client));
    // It ends with an error when its client goes or a rule cuts it: neither is news.
    let _ = http1::Builder::new().serve_connection(FuturesIo::new(stream), service).await;
}
