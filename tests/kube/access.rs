//! Where the access comes from, and what a broken source says.

use std::path::PathBuf;

use viplet::kube::access::{NameCheck, Origin, find};
use viplet::kube::{AccessError, AccessSettings, Api, ControlPlane, Detect, Host};

use super::setup::{Authority, Folder, kubeconfig, places, run, settings};

const SERVER: &str = "https://10.0.0.1:6443";

fn origin(settings: &AccessSettings, folder: &Folder) -> Result<PathBuf, AccessError> {
    find(settings, &places(folder)).map(|access| match access.origin {
        Origin::File(path) | Origin::ServiceAccount(path) => path,
    })
}

/// The error of the kubeconfig `text`, without the file's name, which it must start with.
fn refusal(text: &str) -> String {
    let folder = Folder::new();
    let file = folder.write("config", text);
    let executor = std::rc::Rc::new(smol::LocalExecutor::new());
    let error = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap_err();
    let text = error.to_string();
    text.strip_prefix(&format!("{}: ", file.display())).expect(&text).to_owned()
}

#[test]
fn the_first_source_that_is_there_is_taken() {
    let folder = Folder::new();
    let mut all = places(&folder);
    let config = kubeconfig(SERVER, "", "");
    let explicit = settings(Some(&folder.0.join("mine")));
    let error = origin(&explicit, &folder).unwrap_err().to_string();
    for looked_for in ["mine", "admin.conf", ".kube/config", "KUBERNETES_SERVICE_HOST"] {
        assert!(error.contains(looked_for), "{error}");
    }
    folder.write("serviceaccount/token", "t");
    folder.write("serviceaccount/ca.crt", "pem");
    folder.write("serviceaccount/namespace", "kube-system\n");
    all.service = Some(("fd00::1".into(), "443".into()));
    let access = find(&explicit, &all).unwrap();
    assert_eq!(access.endpoint.to_string(), "https://[fd00::1]:443");
    assert_eq!(all.namespace().as_deref(), Some("kube-system"));
    let home = folder.write("home/.kube/config", &config);
    assert_eq!(origin(&explicit, &folder), Ok(home));
    let admin = folder.write("admin.conf", &config);
    assert_eq!(origin(&explicit, &folder), Ok(admin));
    let mine = folder.write("mine", &config);
    assert_eq!(origin(&explicit, &folder), Ok(mine));
}

#[test]
fn a_source_that_is_there_and_broken_is_an_error_and_not_passed_over() {
    let folder = Folder::new();
    folder.write("admin.conf", &kubeconfig(SERVER, "", ""));
    let broken = folder.write("mine", "clusters: 5");
    let error = origin(&settings(Some(&broken)), &folder).unwrap_err().to_string();
    assert!(error.contains("mine: clusters: "), "{error}");
}

#[test]
fn admin_conf_on_a_control_plane_leads_to_this_cluster_and_not_to_its_own_address() {
    let folder = Folder::new();
    folder.write("admin.conf", &kubeconfig(SERVER, "", ""));
    let mut asked = settings(None);
    let server = |asked: &AccessSettings| {
        find(asked, &places(&folder)).map(|access| access.endpoint.to_string())
    };
    assert_eq!(server(&asked).unwrap(), SERVER);
    asked.control_plane = ControlPlane::On;
    asked.port = 7443;
    assert_eq!(server(&asked).unwrap(), "https://kubernetes:7443");
    asked.detect_control_plane = Detect::On;
    let access = find(&asked, &places(&folder)).unwrap();
    assert_eq!((access.endpoint.host, access.endpoint.port), (Host::Loopback, 7443));
    assert_eq!(access.name_check, NameCheck::Any);
    asked.server_override = Some("[fd00::7]:6443".into());
    assert_eq!(server(&asked).unwrap(), "https://[fd00::7]:6443");
    asked.server_override = Some("nonsense:port".into());
    let error = server(&asked).unwrap_err().to_string();
    assert!(error.starts_with("kubernetes_addr: \"nonsense:port\""), "{error}");
}

#[test]
fn each_broken_kubeconfig_says_which_field_is_wrong_and_how() {
    let good = |cluster: &str, user: &str| kubeconfig(SERVER, cluster, user);
    let cases = [
        (String::new(), "current-context: it is missing"),
        ("{".into(), "at line 2"),
        ("[1, 2]".into(), "invalid type: sequence"),
        (
            good("", "").replace("current-context: here", "current-context: there"),
            "no context \"there\"",
        ),
        (
            good("", "").replace("cluster: c,", "cluster: d,"),
            "contexts: \"here\" names cluster \"d\"",
        ),
        (good("", "").replace("user: u}", "user: v}"), "contexts: \"here\" names user \"v\""),
        (good("", "").replace(SERVER, "ftp://x"), "cluster \"c\": server: \"ftp://x\""),
        (
            good("", "").replace(&format!("server: \"{SERVER}\""), ""),
            "cluster \"c\": server: it is missing",
        ),
        (
            good(", proxy-url: http://p:3128", ""),
            "cluster \"c\": proxy-url: proxies are not supported",
        ),
        (good(", insecure-skip-tls-verify: maybe", ""), "insecure-skip-tls-verify: invalid type"),
        (good(", certificate-authority: gone.crt", ""), "cluster \"c\": certificate-authority: "),
        (
            good(", certificate-authority-data: '%%'", ""),
            "cluster \"c\": certificate-authority-data: no base64",
        ),
        (
            good(", certificate-authority-data: QUJD", ""),
            "certificate-authority: no PEM certificate",
        ),
        (
            good("", "exec: {command: aws}"),
            "user \"u\": exec: it is not supported; use a client certificate or a token",
        ),
        (good("", "auth-provider: {name: gcp}"), "user \"u\": auth-provider: it is not supported"),
        (good("", "as: root"), "user \"u\": as: it is not supported"),
        (good("", "client-certificate-data: QUJD"), "user \"u\": client-key: it is missing"),
        (good("", "client-key-data: QUJD"), "user \"u\": client-certificate: it is missing"),
        (good("", "token: a, username: b"), "user \"u\": username: there is a token as well"),
    ];
    for (text, expected) in cases {
        let error = refusal(&text);
        assert!(error.contains(expected), "{text}\n said: {error}\n not: {expected}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn keys_that_do_not_belong_to_the_certificate_are_refused() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let (one, other) = (authority.sign(&["a"]), authority.sign(&["b"]));
    folder.write("ca", &authority.pem());
    folder.write("crt", &one.chain);
    folder.write("key", &other.key);
    let text = kubeconfig(
        SERVER,
        ", certificate-authority: ca",
        "client-certificate: crt, client-key: key",
    );
    let file = folder.write("config", &text);
    run(async |executor| {
        let error = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap_err();
        assert!(error.to_string().contains("client-certificate and client-key: "), "{error}");
        folder.write("key", "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n");
        assert!(Api::new(settings(Some(&file)), places(&folder), &executor).is_err());
        folder.write("key", &one.key);
        assert!(Api::new(settings(Some(&file)), places(&folder), &executor).is_ok());
    });
}

#[test]
fn files_that_are_no_files_or_far_too_large_are_refused() {
    let folder = Folder::new();
    let error = origin(&settings(Some(&folder.0)), &folder).unwrap_err().to_string();
    assert!(error.contains("directory"), "{error}");
    let huge = folder.write("huge", &"# x\n".repeat(300_000));
    let error = origin(&settings(Some(&huge)), &folder).unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
}

#[test]
fn secrets_are_not_in_what_is_printed() {
    let folder = Folder::new();
    let file = folder.write("config", &kubeconfig(SERVER, "", "token: hush"));
    let access = find(&settings(Some(&file)), &places(&folder)).unwrap();
    assert!(!format!("{access:?}").contains("hush"));
}
