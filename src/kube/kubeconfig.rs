//! The kubeconfig file (`k8s.io/client-go/tools/clientcmd/api/v1`): the parts that we use, and a
//! clear refusal of those that we do not support.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::access::{Access, AccessError, Credential, Identity, NameCheck, Origin, Trust, Way};
use super::endpoint::Endpoint;

/// Larger files are refused.
const LARGEST_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    current_context: Option<String>,
    #[serde(default)]
    contexts: Option<Vec<NamedContext>>,
    #[serde(default)]
    clusters: Option<Vec<NamedCluster>>,
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

/// Reads the kubeconfig at `path` (YAML or JSON) and what it refers to, for its current context.
///
/// # Errors
/// Names the file, the field and what is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Access, AccessError> {
    let bytes = read_bounded(path)?;
    let text = String::from_utf8(bytes).map_err(|_| AccessError::Malformed {
        path: path.to_owned(),
        field: String::new(),
        text: "it is not UTF-8 text".to_owned(),
    })?;
    parse(&text, path)
}

/// The contents of a file, refused when it is too large or not a file.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, AccessError> {
    use std::io::Read as _;
    let fail = |text: String| AccessError::Unreadable { path: path.to_owned(), text };
    let file = std::fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(fail(format!("it is larger than {LARGEST_FILE} bytes")));
    }
    Ok(bytes)
}

/// Decodes the text of the kubeconfig that was read from `path`.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Access, AccessError> {
    let place = Place { path };
    let file: File = serde_yaml_ng::from_str(text).map_err(|error| {
        // The parser's own text starts with the field where it knows it, and ends with the line.
        place.malformed("", &error.to_string())
    })?;
    let wanted = file.current_context.filter(|name| !name.is_empty()).ok_or_else(|| {
        place.malformed("current-context", "it is missing; name the context to use")
    })?;
    let context = file
        .contexts
        .unwrap_or_default()
        .into_iter()
        .find(|entry| entry.name == wanted)
        .ok_or_else(|| place.malformed("current-context", &format!("no context \"{wanted}\"")))?
        .context;
    let cluster_name = context.cluster;
    let cluster = file
        .clusters
        .unwrap_or_default()
        .into_iter()
        .find(|entry| entry.name == cluster_name)
        .ok_or_else(|| {
            place.malformed(
                "contexts",
                &format!("\"{wanted}\" names cluster \"{cluster_name}\", which is not there"),
            )
        })?
        .cluster;
    let user = match context.user.filter(|name| !name.is_empty()) {
        None => NamedUser { name: String::new(), user: None },
        Some(name) => {
            file.users.unwrap_or_default().into_iter().find(|entry| entry.name == name).ok_or_else(
                || {
                    place.malformed(
                        "contexts",
                        &format!("\"{wanted}\" names user \"{name}\", which is not there"),
                    )
                },
            )?
        }
    };
    access(place, (&cluster_name, cluster), user)
}

fn access(
    place: Place<'_>,
    (cluster_name, cluster): (&str, Cluster),
    user: NamedUser,
) -> Result<Access, AccessError> {
    let field = |name: &str| format!("cluster \"{cluster_name}\": {name}");
    if cluster.proxy_url.is_some_and(|url| !url.is_empty()) {
        return Err(place.unsupported(
            &field("proxy-url"),
            "proxies are not supported; use a server that is reached directly",
        ));
    }
    let server =
        cluster.server.ok_or_else(|| place.malformed(&field("server"), "it is missing"))?;
    let endpoint =
        Endpoint::parse(&server).map_err(|text| place.malformed(&field("server"), &text))?;
    let authority = place.data_or_file(
        &field("certificate-authority"),
        cluster.certificate_authority_data,
        cluster.certificate_authority,
    )?;
    let trust = match (cluster.insecure_skip_tls_verify.unwrap_or(false), authority) {
        (true, _) => Trust::Anything,
        (false, Some(pem)) => Trust::Authority(pem),
        (false, None) => Trust::System,
    };
    let name_check = match cluster.tls_server_name.filter(|name| !name.is_empty()) {
        Some(name) => NameCheck::Named(name),
        None => NameCheck::Endpoint,
    };
    let (identity, credential) = who(place, user)?;
    Ok(Access {
        origin: Origin::File(place.path.to_owned()),
        endpoint,
        trust,
        name_check,
        identity,
        credential,
        way: Way::Direct,
    })
}

fn who(
    place: Place<'_>,
    NamedUser { name, user }: NamedUser,
) -> Result<(Option<Identity>, Credential), AccessError> {
    let user = user.unwrap_or_default();
    let field = |part: &str| format!("user \"{name}\": {part}");
    for (part, present) in [
        ("exec", user.exec.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
        ("as", user.impersonate.is_some()),
    ] {
        if present {
            return Err(place.unsupported(
                &field(part),
                "it is not supported; use a client certificate or a token",
            ));
        }
    }
    let chain = place.data_or_file(
        &field("client-certificate"),
        user.client_certificate_data,
        user.client_certificate,
    )?;
    let key = place.data_or_file(&field("client-key"), user.client_key_data, user.client_key)?;
    let identity = match (chain, key) {
        (Some(chain), Some(key)) => Some(Identity { chain, key }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(place.malformed(
                &field("client-key"),
                "it is missing, and there is a client-certificate",
            ));
        }
        (None, Some(_)) => {
            return Err(place.malformed(
                &field("client-certificate"),
                "it is missing, and there is a client-key",
            ));
        }
    };
    let token = user.token.filter(|token| !token.is_empty());
    let token_file = user.token_file.filter(|file| !file.as_os_str().is_empty());
    let username = user.username.filter(|name| !name.is_empty());
    let credential = match (token_file, token, username) {
        (Some(file), _, None) => Credential::TokenFile(place.relative(&file)),
        (None, Some(token), None) => Credential::Token(token),
        (None, None, Some(username)) => {
            Credential::Basic { username, password: user.password.unwrap_or_default() }
        }
        (None, None, None) => Credential::Nothing,
        (_, _, Some(_)) => {
            return Err(
                place.malformed(&field("username"), "there is a token as well; keep one of them")
            );
        }
    };
    Ok((identity, credential))
}

/// The file whose fields are being read.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
}

impl Place<'_> {
    fn malformed(self, field: &str, text: &str) -> AccessError {
        AccessError::Malformed {
            path: self.path.to_owned(),
            field: field.to_owned(),
            text: text.to_owned(),
        }
    }

    fn unsupported(self, field: &str, text: &str) -> AccessError {
        AccessError::Unsupported {
            path: self.path.to_owned(),
            field: field.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Paths in a kubeconfig are relative to it.
    fn relative(self, file: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    /// The `-data` form (base64) wins over the file, as in client-go.
    fn data_or_file(
        self,
        field: &str,
        data: Option<String>,
        file: Option<PathBuf>,
    ) -> Result<Option<Vec<u8>>, AccessError> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let data: String = data.split_ascii_whitespace().collect();
            return STANDARD.decode(data).map(Some).map_err(|error| {
                self.malformed(&format!("{field}-data"), &format!("no base64: {error}"))
            });
        }
        let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) else { return Ok(None) };
        let bytes = read_bounded(&self.relative(&file))
            .map_err(|error| self.malformed(field, &error.to_string()))?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests;
