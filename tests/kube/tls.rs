//! Whom we believe, and what a refusal says.

use std::time::Duration;

use http::Request;
use smol::io::AsyncWriteExt as _;
use viplet::kube::{Api, ApiError, ControlPlane, Detect, Kind};

use super::server::{Server, answer, serve};
use super::setup::{Authority, Folder, kubeconfig, places, run, settings};

async fn version(api: &Api) -> Result<(), ApiError> {
    let request = Request::get("/version").body(Vec::new()).unwrap();
    api.connection().call(request, Duration::from_secs(5)).await.map(|_| ())
}

fn problem(result: Result<(), ApiError>) -> String {
    match result.unwrap_err().kind {
        Kind::Tls(text) => text,
        other => panic!("not a matter of TLS: {other}"),
    }
}

/// A server whose certificate has `names`, and the file of the authority that signed it.
fn server(
    executor: &std::rc::Rc<smol::LocalExecutor<'static>>,
    folder: &Folder,
    names: &[&str],
) -> Server {
    let authority = Authority::new();
    folder.write("ca.crt", &authority.pem());
    let acceptor = Authority::acceptor(&authority.sign(names), None);
    serve(executor, Some(acceptor), |_| answer(200, "{}"))
}

#[test]
fn a_server_is_believed_by_its_authority_and_name_and_not_otherwise() {
    run(async |executor| {
        let folder = Folder::new();
        let server = server(&executor, &folder, &["kubernetes", "10.9.8.7"]);
        folder.write("other.crt", &Authority::new().pem());
        let url = format!("https://{}", server.address);
        let open = |cluster: &str| {
            let file = folder.write("config", &kubeconfig(&url, cluster, ""));
            Api::new(settings(Some(&file)), places(&folder), &executor).unwrap()
        };
        let error = problem(version(&open(", certificate-authority: ca.crt")).await);
        assert!(error.contains("127.0.0.1") && error.contains("kubernetes"), "{error}");
        for name in ["kubernetes", "10.9.8.7"] {
            let cluster = format!(", certificate-authority: ca.crt, tls-server-name: {name}");
            version(&open(&cluster)).await.unwrap();
        }
        let cluster = ", certificate-authority: other.crt, tls-server-name: kubernetes";
        let error = problem(version(&open(cluster)).await);
        assert!(error.contains("UnknownIssuer"), "{error}");
        version(&open(", insecure-skip-tls-verify: true")).await.unwrap();
        problem(version(&open("")).await);
    });
}

#[test]
fn this_nodes_own_server_is_found_on_loopback_under_any_name_but_not_of_any_authority() {
    run(async |executor| {
        let folder = Folder::new();
        let server = server(&executor, &folder, &["10.96.0.1", "cp-1"]);
        let admin = kubeconfig("https://10.0.0.99:6443", ", certificate-authority: ca.crt", "");
        folder.write("admin.conf", &admin);
        let mut asked = settings(None);
        asked.control_plane = ControlPlane::On;
        asked.detect_control_plane = Detect::On;
        asked.port = server.address.port();
        let api = Api::new(asked, places(&folder), &executor).unwrap();
        version(&api).await.unwrap();
        folder.write("ca.crt", &Authority::new().pem());
        api.reload().unwrap();
        let error = problem(version(&api).await);
        assert!(error.contains("UnknownIssuer"), "{error}");
    });
}

#[test]
fn a_client_certificate_that_the_server_does_not_take_is_named_as_the_reason() {
    run(async |executor| {
        let (authority, strangers, folder) = (Authority::new(), Authority::new(), Folder::new());
        let acceptor = Authority::acceptor(&authority.sign(&["127.0.0.1"]), Some(&authority));
        let server = serve(&executor, Some(acceptor), |_| answer(200, "{}"));
        folder.write("ca.crt", &authority.pem());
        let client = strangers.sign(&["me"]);
        folder.write("crt", &client.chain);
        folder.write("key", &client.key);
        let url = format!("https://{}", server.address);
        for user in ["", "client-certificate: crt, client-key: key"] {
            let text = kubeconfig(&url, ", certificate-authority: ca.crt", user);
            let file = folder.write("config", &text);
            let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
            let error = problem(version(&api).await);
            assert!(error.to_lowercase().contains("alert"), "{error}");
        }
    });
}

#[test]
fn a_server_that_does_not_speak_tls_is_a_matter_of_tls() {
    run(async |executor| {
        let folder = Folder::new();
        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let _server = executor.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let text = kubeconfig(&url, ", insecure-skip-tls-verify: true", "");
        let file = folder.write("config", &text);
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        let error = problem(version(&api).await);
        assert!(error.contains("corrupt message"), "{error}");
    });
}
