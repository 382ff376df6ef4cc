//! The real kube-apiserver: found by `scripts/kube-apiserver`, started with certificates of its
//! own in a temporary folder, gone with the value that holds it.
//!
//! It lives in the network namespace of the thread that starts it. That namespace needs `lo` up
//! (etcd listens there) and the listening address on some link; neither a default route nor DNS,
//! because `--advertise-address` names the address that kube-apiserver would otherwise look up.
//! Requests from here ([`RealServer::admin`]) must come from a thread in the same namespace.

mod authority;
mod kubeconfig;
mod processes;
mod program;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use authority::Authority;
pub use authority::Identity;
use kubeconfig::Proof;
use processes::Processes;
pub use program::{Program, find_candidate, find_renderer};

/// How long a start may take; 4 s are usual.
const READY_WITHIN: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How a real server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Further addresses under which it is reached, such as virtual ones (for its certificate,
    /// which always holds `listen`, loopback and the name `kubernetes`).
    pub addresses: Vec<IpAddr>,
    /// The user whose every request is noted in [`RealServer::audit`].
    pub audited: Option<String>,
    /// Who comes to it.
    pub clients: Clients,
}

/// Who comes to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// The programs of a test.
    Programs,
    /// A whole cluster: pods get the token of their ServiceAccount, the Service `kubernetes` leads
    /// here, kubelets are confined to their nodes.
    Cluster,
}

impl RealOptions {
    /// A server at `listen` with no further addresses.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self { listen, addresses: Vec::new(), audited: None, clients: Clients::Programs }
    }

    /// For a whole cluster.
    #[must_use]
    pub fn for_cluster(mut self) -> Self {
        self.clients = Clients::Cluster;
        self
    }

    /// With every request of this user noted.
    #[must_use]
    pub fn audited(mut self, user: &str) -> Self {
        self.audited = Some(user.to_owned());
        self
    }
}

/// Why there is no server.
#[derive(Debug)]
pub enum RealError {
    /// There is no program on this machine; the text says how to get one.
    Unavailable(String),
    /// It was started and did not become ready, or its files could not be written.
    Failed(String),
}

impl fmt::Display for RealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for RealError {}

impl From<io::Error> for RealError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A running kube-apiserver. Dropping it kills it and removes its files.
pub struct RealServer {
    address: SocketAddr,
    authority: Authority,
    admin: Client,
    processes: Processes,
    folder: Folder,
}

impl RealServer {
    /// Starts one and waits until it is ready and `kube-system` exists (about 4 s).
    ///
    /// # Errors
    /// See [`RealError`].
    pub fn start(options: &RealOptions) -> Result<Self, RealError> {
        let program = Program::find().map_err(RealError::Unavailable)?;
        let address = with_port(options.listen)?;
        let folder = Folder::new()?;
        let authority = Authority::new(folder.path())?;
        let loopback = [IpAddr::from([127, 0, 0, 1]), "::1".parse().expect("an address")];
        let addresses = [&[address.ip()], &loopback[..], &options.addresses].concat();
        let server = authority.server(&addresses, &["kubernetes", "localhost"])?;
        authority::write_token_keys(folder.path())?;
        let admin = authority.user("admin", &["system:masters"])?;
        let ca = authority.certificate();
        let admin = Client::tls(address, &ca, Some((&admin.certificate, &admin.key)))?;
        let mut flags = flags(address, folder.path(), &server);
        flags.extend(flags_for(options.clients).map(str::to_owned));
        if let Some(user) = &options.audited {
            flags.extend(audit_flags(folder.path(), user)?);
        }
        let processes = Processes::start(program, folder.path(), &flags)?;
        let mut started = Self { address, authority, admin, processes, folder };
        started.wait_until_ready()?;
        Ok(started)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A client that may do everything. Use it from a thread in the server's namespace.
    #[must_use]
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// The authority's certificate (PEM).
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.authority.certificate()
    }

    /// The key that signs ServiceAccounts' tokens (PEM), for a controller manager.
    #[must_use]
    pub fn token_key(&self) -> PathBuf {
        self.folder.path().join("service-accounts.key")
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the audited user asked for, oldest first (`audit.k8s.io/v1` Events; empty without
    /// [`RealOptions::audited`]).
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The id of its process, to stop and continue it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.processes.pid()
    }

    /// Writes a kubeconfig with a client certificate for a user in groups (`system:masters` may
    /// do everything). `server`: the URL in it, `None` for [`RealServer::url`].
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn kubeconfig(
        &self,
        user: &str,
        groups: &[&str],
        server: Option<&str>,
    ) -> io::Result<PathBuf> {
        let identity = self.authority.user(user, groups)?;
        self.write_kubeconfig(user, server, &Proof::Certificate(&identity))
    }

    /// Writes a kubeconfig with a token for a ServiceAccount, as [`RealServer::token`] gives it.
    ///
    /// # Errors
    /// The server refuses, or a file cannot be written.
    pub fn token_kubeconfig(
        &self,
        namespace: &str,
        account: &str,
        server: Option<&str>,
    ) -> io::Result<PathBuf> {
        let token = self.token(namespace, account)?;
        self.write_kubeconfig(&format!("{namespace}-{account}"), server, &Proof::Token(&token))
    }

    /// A token for a ServiceAccount (TokenRequest), which is made if it does not exist. What it
    /// may do is for RBAC objects to say.
    ///
    /// # Errors
    /// The server refuses.
    pub fn token(&self, namespace: &str, account: &str) -> io::Result<String> {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let made = self.admin.create(&accounts, &json!({"metadata": {"name": account}}))?;
        if !matches!(made.code, 201 | 409) {
            return Err(io::Error::other(made.text));
        }
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let answer = self.admin.create(&format!("{accounts}/{account}/token"), &request)?;
        let token = answer.body["status"]["token"].as_str();
        token.map(str::to_owned).ok_or_else(|| io::Error::other(answer.text.clone()))
    }

    /// Kills it; its data stays for [`RealServer::start_again`].
    pub fn kill(&mut self) {
        self.processes.kill();
    }

    /// Starts it again after [`RealServer::kill`], at the same address with the same data, and
    /// waits until it is ready. Call it from a thread in the same namespace as before.
    ///
    /// # Errors
    /// As [`RealServer::start`].
    pub fn start_again(&mut self) -> Result<(), RealError> {
        self.processes.start_again()?;
        self.wait_until_ready()
    }

    fn write_kubeconfig(
        &self,
        name: &str,
        server: Option<&str>,
        proof: &Proof<'_>,
    ) -> io::Result<PathBuf> {
        let url = self.url();
        let file = self.folder.path().join(format!("{}.kubeconfig", authority::file_name(name)));
        kubeconfig::write(&file, server.unwrap_or(&url), &self.ca(), proof)?;
        Ok(file)
    }

    fn wait_until_ready(&mut self) -> Result<(), RealError> {
        let deadline = Instant::now() + READY_WITHIN;
        let ready = |path: &str| self.admin.get(path).is_ok_and(|answer| answer.code == 200);
        // It makes its namespaces itself, shortly after it is ready.
        while !(ready("/readyz") && ready("/api/v1/namespaces/kube-system")) {
            let problem = if self.processes.has_ended() {
                "ended"
            } else if Instant::now() > deadline {
                "is not ready in time"
            } else {
                std::thread::sleep(LOOK_AGAIN);
                continue;
            };
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            let from = log.lines().count().saturating_sub(15);
            let tail: Vec<&str> = log.lines().skip(from).collect();
            let text = format!("kube-apiserver {problem}; its last words:\n{}", tail.join("\n"));
            return Err(RealError::Failed(text));
        }
        Ok(())
    }
}

fn flags(address: SocketAddr, folder: &Path, server: &Identity) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let range = match address.is_ipv4() {
        true => "10.96.0.0/16,fd00:96::/112",
        false => "fd00:96::/112,10.96.0.0/16",
    };
    vec![
        format!("--bind-address={}", address.ip()),
        format!("--advertise-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
        format!("--tls-cert-file={}", server.certificate.display()),
        format!("--tls-private-key-file={}", server.key.display()),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-cluster-ip-range={range}"),
        "--allow-privileged=true".to_owned(),
    ]
}

fn flags_for(clients: Clients) -> impl Iterator<Item = &'static str> {
    let flags: &[_] = match clients {
        Clients::Programs => &[
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
        ],
        Clients::Cluster => {
            &["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]
        }
    };
    flags.iter().copied()
}

/// Notes each request of one user when it is answered, and nothing else.
fn audit_flags(folder: &Path, user: &str) -> io::Result<[String; 2]> {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [user]}, {"level": "None"}],
    });
    let file = folder.join("audit-policy");
    std::fs::write(&file, policy.to_string())?;
    let log = folder.join("audit");
    Ok([
        format!("--audit-policy-file={}", file.display()),
        format!("--audit-log-path={}", log.display()),
    ])
}

/// A free port where none is named.
fn with_port(listen: SocketAddr) -> io::Result<SocketAddr> {
    match listen.port() {
        0 => TcpListener::bind(listen)?.local_addr(),
        _ => Ok(listen),
    }
}

/// A folder that is removed with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("viplet-kubeapi-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl fmt::Debug for RealServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealServer at {}", self.address)
    }
}
