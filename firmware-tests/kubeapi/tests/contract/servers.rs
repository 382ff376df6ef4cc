//! The servers under test.

use std::path::PathBuf;
use std::sync::OnceLock;

use libtest_mimic::Failed;
use viplet_kubeapi::client::Client;
use viplet_kubeapi::http::ModelServer;
use viplet_kubeapi::real::{Program, RealOptions, RealServer};

use crate::Wanted;

/// A server and its administrator.
pub(crate) struct Server {
    kind: Kind,
    kubeconfig: PathBuf,
}

enum Kind {
    Model(ModelServer),
    Real(Box<std::sync::Mutex<RealServer>>, Client),
}

impl Server {
    pub(crate) fn model() -> Self {
        let server = ModelServer::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = server.address().port();
        let name = format!("viplet-contract-{}-{port}.kubeconfig", std::process::id());
        let kubeconfig = std::env::temp_dir().join(name);
        std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
        Self { kind: Kind::Model(server), kubeconfig }
    }

    fn real() -> Result<Self, String> {
        let options = RealOptions::at("127.0.0.1:0".parse().unwrap());
        let server = RealServer::start(&options).map_err(|error| error.to_string())?;
        let admin = server.admin().clone();
        let kubeconfig = server.kubeconfig("tester", &["system:masters"], None).unwrap();
        Ok(Self { kind: Kind::Real(Box::new(server.into()), admin), kubeconfig })
    }

    pub(crate) fn client(&self) -> Client {
        match &self.kind {
            Kind::Model(server) => Client::plain(server.address()),
            Kind::Real(_, client) => client.clone(),
        }
    }

    pub(crate) fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// Makes it forget which changes led to the present: the model drops its log, the real one
    /// starts again with an empty watch cache. Running watches may break.
    pub(crate) fn forget(&self) {
        match &self.kind {
            Kind::Model(server) => server.compact(),
            Kind::Real(server, _) => {
                let mut server = server.lock().unwrap();
                server.kill();
                server.start_again().unwrap();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

/// The real servers of a run: one for most cases, started by the first that needs it.
#[derive(Default)]
pub(crate) struct RealServers {
    shared: OnceLock<Result<Server, String>>,
}

impl RealServers {
    /// Why there can be none; `None`: there can.
    pub(crate) fn missing() -> Option<String> {
        Program::find().err()
    }

    pub(crate) fn with<T>(
        &self,
        wanted: Wanted,
        work: impl FnOnce(&Server) -> T,
    ) -> Result<T, Failed> {
        match wanted {
            Wanted::OfItsOwn => Ok(work(&Server::real()?)),
            Wanted::Shared => match self.shared.get_or_init(Server::real) {
                Ok(server) => Ok(work(server)),
                Err(why) => Err(Failed::from(why.clone())),
            },
        }
    }
}
