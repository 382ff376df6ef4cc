//! Where the API server and our credentials for it come from, in kube-vip's order (K8S-1, K8S-2):
//! an explicit kubeconfig, kubeadm's `admin.conf`, the home folder's, the pod's service account.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::endpoint::{Endpoint, Host, Scheme};
use super::kubeconfig;
use crate::core::settings::Target;

/// kubeadm's kubeconfig, also the default of `k8s_config_file`.
const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
/// Where the kubelet puts a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What the settings say about reaching the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// `k8s_config_file`.
    pub kubeconfig: Option<PathBuf>,
    /// `kubernetes_addr`: `host:port` or a URL.
    pub server_override: Option<String>,
    /// `cp_detect`.
    pub detect_control_plane: Detect,
    /// `port`: the API server's own.
    pub port: u16,
    /// `cp_enable`.
    pub control_plane: ControlPlane,
    /// The control plane's own addresses and names (`address`), where it is held from here: nobody
    /// holds them before one node has reached an API server by another way.
    pub virtual_addresses: Vec<Target>,
}

/// `cp_detect`: whether to use the API server of this very node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detect {
    /// No: by the name `kubernetes`, or as the kubeconfig says.
    Off,
    /// Yes: on loopback.
    On,
}

/// `cp_enable`: whether the control plane's address is held from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlPlane {
    /// No.
    Off,
    /// Yes: then `admin.conf` must not lead to that very address.
    On,
}

/// How to reach the API server, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// Where it all comes from.
    pub origin: Origin,
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// Which certificates are believed.
    pub trust: Trust,
    /// Which name the server's certificate must carry.
    pub name_check: NameCheck,
    /// Our client certificate.
    pub identity: Option<Identity>,
    /// Our token or password.
    pub credential: Credential,
    /// Whether the way to the server leads over what this node is to hold itself.
    pub way: Way,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the endpoint's host.
    Direct,
    /// By the endpoint's host; but where that is one of these, or resolves to one, an API server
    /// on this node is tried first.
    NotBy(Vec<Target>),
}

impl Way {
    /// Whether the way leads over what this node is to hold itself: by `host`, or by `resolved`,
    /// its addresses.
    pub(crate) fn avoids(&self, host: &Host, resolved: &[IpAddr]) -> bool {
        let Self::NotBy(targets) = self else { return false };
        targets.iter().any(|target| match (target, host) {
            (Target::Address(virtual_address), Host::Address(address)) => {
                virtual_address == address
            }
            (Target::Name(virtual_name), Host::Name(name)) => {
                virtual_name.eq_ignore_ascii_case(name)
            }
            (Target::Address(virtual_address), Host::Name(_)) => resolved.contains(virtual_address),
            (_, Host::Loopback) | (Target::Name(_), Host::Address(_)) => false,
        })
    }
}

impl fmt::Debug for Access {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.endpoint, self.origin)
    }
}

/// Where the access comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A kubeconfig.
    File(PathBuf),
    /// The pod's service account.
    ServiceAccount(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::ServiceAccount(path) => write!(f, "service account {}", path.display()),
        }
    }
}

/// Which server certificates are believed.
#[derive(Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that these authorities (PEM) signed.
    Authority(Vec<u8>),
    /// Those that the system's authorities signed.
    System,
    /// `insecure-skip-tls-verify`.
    Anything,
}

/// Which name the server's certificate must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameCheck {
    /// The endpoint's host.
    Endpoint,
    /// This one (`tls-server-name`).
    Named(String),
    /// Any: the server is this node's own, and the authority is checked all the same.
    Any,
    /// One of these: this node's own server is asked instead of the control plane's address.
    OneOf(Vec<String>),
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM, leaf first.
    pub chain: Vec<u8>,
    /// PEM.
    pub key: Vec<u8>,
}

/// What goes into the `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// No header.
    Nothing,
    /// A bearer token.
    Token(String),
    /// A file with a bearer token, which somebody renews.
    TokenFile(PathBuf),
    /// User name and password.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: String,
    },
}

/// Why there is no access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// A file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        text: String,
    },
    /// A file makes no sense.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The field, empty when the text says where.
        field: String,
        /// What is wrong.
        text: String,
    },
    /// A file asks for what we cannot do.
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The entry and its field.
        field: String,
        /// What to do instead.
        text: String,
    },
    /// A setting makes no sense.
    Setting {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        text: String,
    },
    /// No source is there.
    Nowhere {
        /// What was looked for.
        tried: Vec<String>,
    },
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, text } => write!(f, "{}: {text}", path.display()),
            Self::Malformed { path, field, text } if field.is_empty() => {
                write!(f, "{}: {text}", path.display())
            }
            Self::Malformed { path, field, text } | Self::Unsupported { path, field, text } => {
                write!(f, "{}: {field}: {text}", path.display())
            }
            Self::Setting { name, text } => write!(f, "{name}: {text}"),
            Self::Nowhere { tried } => write!(
                f,
                "no way to the API server: none of these is there: {}; set k8s_config_file to a kubeconfig, or run in a pod with a service account",
                tried.join(", ")
            ),
        }
    }
}

impl std::error::Error for AccessError {}

/// The places where access is looked for. [`Places::of_this_system`] outside tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// kubeadm's kubeconfig.
    pub admin_conf: PathBuf,
    /// `$HOME/.kube/config`.
    pub home: Option<PathBuf>,
    /// The folder with `token`, `ca.crt` and `namespace`.
    pub service_account: PathBuf,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    pub service: Option<(String, String)>,
}

impl Places {
    /// What the environment says, and the paths that kubeadm and the kubelet use.
    #[must_use]
    pub fn of_this_system() -> Self {
        let environment =
            |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let host = environment("KUBERNETES_SERVICE_HOST");
        let port = environment("KUBERNETES_SERVICE_PORT")
            .or_else(|| environment("KUBERNETES_SERVICE_PORT_HTTPS"));
        Self {
            admin_conf: PathBuf::from(ADMIN_CONF),
            home: std::env::home_dir().map(|home| home.join(".kube/config")),
            service_account: PathBuf::from(SERVICE_ACCOUNT),
            service: host.zip(port),
        }
    }

    /// The pod's own namespace, which the kubelet writes (ELE-3).
    #[must_use]
    pub fn namespace(&self) -> Option<String> {
        let bytes = kubeconfig::read_bounded(&self.service_account.join("namespace")).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        Some(text.trim().to_owned()).filter(|namespace| !namespace.is_empty())
    }
}

/// Finds the access: the first source that is there is the one, and must make sense.
///
/// # Errors
/// Names the file or setting that makes no sense, or all places when nothing is there.
pub fn find(settings: &AccessSettings, places: &Places) -> Result<Access, AccessError> {
    let mut access = source(settings, places)?;
    let own_server = matches!(&access.origin, Origin::File(path) if *path == places.admin_conf)
        && settings.control_plane == ControlPlane::On;
    match (&settings.server_override, own_server, settings.detect_control_plane) {
        (Some(server), _, _) => {
            access.endpoint = Endpoint::parse(server)
                .map_err(|text| AccessError::Setting { name: "kubernetes_addr", text })?;
        }
        (None, true, Detect::On) => {
            access.endpoint = own_endpoint(Host::Loopback, settings.port);
            access.name_check = NameCheck::Any;
        }
        (None, true, Detect::Off) => {
            access.endpoint = own_endpoint(Host::Name("kubernetes".to_owned()), settings.port);
        }
        (None, false, _) => {}
    }
    if settings.control_plane == ControlPlane::On {
        avoid_circle(&mut access, &settings.virtual_addresses);
    }
    Ok(access)
}

/// A server that is the control plane's own address cannot be what lets this node hold it.
fn avoid_circle(access: &mut Access, virtual_addresses: &[Target]) {
    access.way = Way::NotBy(virtual_addresses.to_vec());
    if let (Host::Address(address), NameCheck::Endpoint) =
        (&access.endpoint.host, &access.name_check)
        && access.way.avoids(&access.endpoint.host, &[])
    {
        // Every API server's certificate carries the second name, whether or not it carries the
        // address.
        access.name_check = NameCheck::OneOf(vec![address.to_string(), "kubernetes".to_owned()]);
    }
}

fn own_endpoint(host: Host, port: u16) -> Endpoint {
    Endpoint { scheme: Scheme::Https, host, port, prefix: String::new() }
}

fn source(settings: &AccessSettings, places: &Places) -> Result<Access, AccessError> {
    let mut tried = Vec::new();
    let explicit = settings.kubeconfig.iter().filter(|file| Some(*file) != places.home.as_ref());
    let files = explicit.chain([&places.admin_conf]).chain(&places.home);
    for file in files.filter(|file| !file.as_os_str().is_empty()) {
        if is_there(file) {
            return kubeconfig::load(file);
        }
        let name = file.display().to_string();
        if !tried.contains(&name) {
            tried.push(name);
        }
    }
    let Some((host, port)) = &places.service else {
        tried.push("a service account (KUBERNETES_SERVICE_HOST is not set)".to_owned());
        return Err(AccessError::Nowhere { tried });
    };
    if !is_there(&places.service_account.join("token")) {
        tried.push(format!("{}/token", places.service_account.display()));
        return Err(AccessError::Nowhere { tried });
    }
    in_cluster(&places.service_account, host, port)
}

/// A file that is there but may not be read is there: reading it then says why not.
fn is_there(path: &Path) -> bool {
    !matches!(path.metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

fn in_cluster(folder: &Path, host: &str, port: &str) -> Result<Access, AccessError> {
    let host = match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    };
    let endpoint = Endpoint::parse(&format!("https://{host}:{port}"))
        .map_err(|text| AccessError::Setting { name: "KUBERNETES_SERVICE_HOST", text })?;
    Ok(Access {
        origin: Origin::ServiceAccount(folder.to_owned()),
        endpoint,
        trust: Trust::Authority(kubeconfig::read_bounded(&folder.join("ca.crt"))?),
        name_check: NameCheck::Endpoint,
        identity: None,
        credential: Credential::TokenFile(folder.join("token")),
        way: Way::Direct,
    })
}
