//! The check of an API server by its URL, as nobody in particular (CP-8).

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Uri};
use smol::LocalExecutor;

use super::access::{Access, Credential, NameCheck, Origin, Trust, Way};
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::kubeconfig::read_bounded;
use super::tls::SYSTEM_AUTHORITIES;
use super::transport::Api;

/// The authority of the cluster's own API servers, in a pod.
const OF_THE_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// A URL that is asked again and again over one connection.
#[derive(Debug)]
pub struct Probe {
    connection: Connection,
    path: String,
}

impl Probe {
    /// For `url`; `authority` is a file with certificates that are trusted beside the system's
    /// and the cluster's.
    ///
    /// # Errors
    /// What cannot be used, for a person.
    pub fn new(
        url: &str,
        authority: Option<&Path>,
        executor: &Rc<LocalExecutor<'static>>,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url} is no URL: {error}"))?;
        let (scheme, host) = (uri.scheme_str().unwrap_or("https"), uri.authority());
        let host = host.ok_or_else(|| format!("{url} names no host"))?;
        let access = Access {
            origin: Origin::File(authority.map_or_else(PathBuf::new, Path::to_path_buf)),
            endpoint: Endpoint::parse(&format!("{scheme}://{host}"))?,
            trust: trust(authority)?,
            name_check: NameCheck::Endpoint,
            identity: None,
            credential: Credential::Nothing,
            way: Way::Direct,
        };
        let api = Api::with_access(access, executor).map_err(|error| error.to_string())?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { connection: api.connection(), path })
    }

    /// Asks once: 200 is healthy, everything else is not.
    ///
    /// # Errors
    /// What was answered, or why nothing was.
    pub async fn check(&mut self, within: Duration) -> Result<(), String> {
        let request = Request::get(&self.path).body(Vec::new()).map_err(|e| e.to_string())?;
        match self.connection.call(request, within).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("{} was answered with {}", self.path, answer.status)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// All authorities that there are; a file that was named has to be there.
fn trust(named: Option<&Path>) -> Result<Trust, String> {
    let mut pem = Vec::new();
    if let Some(path) = named {
        pem = read_bounded(path).map_err(|error| {
            format!("control_plane_health_check_ca_path: {}: {error}", path.display())
        })?;
    }
    for path in SYSTEM_AUTHORITIES.iter().chain([&OF_THE_CLUSTER]) {
        if let Ok(more) = read_bounded(Path::new(path)) {
            pem.push(b'\n');
            pem.extend(more);
        }
    }
    Ok(if pem.is_empty() { Trust::System } else { Trust::Authority(pem) })
}
