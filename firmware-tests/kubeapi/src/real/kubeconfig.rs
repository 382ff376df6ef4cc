//! Kubeconfig files (JSON, which YAML readers read) with everything inside.

use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::authority::Identity;

/// How a kubeconfig's user proves who they are.
pub(super) enum Proof<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// Writes a kubeconfig that leads to `server` (a URL), trusting the authority in `ca`.
pub(super) fn write(file: &Path, server: &str, ca: &Path, proof: &Proof<'_>) -> io::Result<()> {
    let inline = |file: &Path| fs::read(file).map(|bytes| STANDARD.encode(bytes));
    let user: Value = match proof {
        Proof::Token(token) => json!({"token": token}),
        Proof::Certificate(identity) => json!({
            "client-certificate-data": inline(&identity.certificate)?,
            "client-key-data": inline(&identity.key)?,
        }),
    };
    let cluster = json!({"server": server, "certificate-authority-data": inline(ca)?});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    fs::write(file, serde_json::to_vec_pretty(&kubeconfig)?)
}
