//! Credentials that change on disk while we run: the next try has them.

use std::rc::Rc;
use std::time::Duration;

use http::Request;
use smol::LocalExecutor;
use viplet::kube::{Api, ApiError, Kind};

use super::server::{Server, answer, serve};
use super::setup::{Authority, Folder, kubeconfig, places, run, settings};

async fn version(api: &Api) -> Result<(), ApiError> {
    let request = Request::get("/version").body(Vec::new()).unwrap();
    api.connection().call(request, Duration::from_secs(20)).await.map(|_| ())
}

fn tls_trouble(outcome: Result<(), ApiError>) -> String {
    match outcome.unwrap_err().kind {
        Kind::Tls(text) => text,
        other => panic!("not a matter of TLS: {other}"),
    }
}

fn server(executor: &Rc<LocalExecutor<'static>>, authority: &Authority) -> Server {
    let acceptor = Authority::acceptor(&authority.sign(&["127.0.0.1"]), None);
    serve(executor, Some(acceptor), |_| answer(200, "{}"))
}

#[test]
fn a_new_authority_of_the_cluster_is_believed_as_soon_as_it_is_on_disk() {
    run(async |executor| {
        let (folder, old, new) = (Folder::new(), Authority::new(), Authority::new());
        let server = server(&executor, &old);
        folder.write("ca.crt", &old.pem());
        let url = format!("https://{}", server.address);
        let text = kubeconfig(&url, ", certificate-authority: ca.crt", "");
        let file = folder.write("config", &text);
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        version(&api).await.unwrap();
        let signed = new.sign(&["127.0.0.1"]);
        *server.tls.borrow_mut() = Some(Authority::acceptor(&signed, None));
        let error = tls_trouble(version(&api).await);
        assert!(error.contains("UnknownIssuer"), "{error}");
        folder.write("ca.crt", "half of a fi");
        let error = tls_trouble(version(&api).await);
        assert!(error.contains("UnknownIssuer") && error.contains("PEM"), "{error}");
        folder.write("ca.crt", &new.pem());
        version(&api).await.unwrap();
    });
}

#[test]
fn a_pods_new_authority_is_believed_as_soon_as_the_kubelet_has_written_it() {
    run(async |executor| {
        let (folder, old, new) = (Folder::new(), Authority::new(), Authority::new());
        let server = server(&executor, &new);
        folder.write("serviceaccount/ca.crt", &old.pem());
        folder.write("serviceaccount/token", "t");
        let mut places = places(&folder);
        places.service = Some(("127.0.0.1".into(), server.address.port().to_string()));
        let api = Api::new(settings(None), places, &executor).unwrap();
        let error = tls_trouble(version(&api).await);
        assert!(error.contains("UnknownIssuer"), "{error}");
        folder.write("serviceaccount/ca.crt", &new.pem());
        version(&api).await.unwrap();
    });
}

#[test]
fn a_connection_that_another_one_has_renewed_the_credentials_for_is_opened_with_them_too() {
    run(async |executor| {
        let (folder, old, new) = (Folder::new(), Authority::new(), Authority::new());
        let server = server(&executor, &new);
        folder.write("ca.crt", &old.pem());
        let url = format!("https://{}", server.address);
        let text = kubeconfig(&url, ", certificate-authority: ca.crt", "");
        let file = folder.write("config", &text);
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        folder.write("ca.crt", &new.pem());
        let both = smol::future::zip(version(&api), version(&api)).await;
        assert_eq!(both, (Ok(()), Ok(())));
    });
}

#[test]
fn a_client_certificate_that_the_server_refuses_is_read_again() {
    run(async |executor| {
        let (folder, authority, strangers) = (Folder::new(), Authority::new(), Authority::new());
        let acceptor = Authority::acceptor(&authority.sign(&["127.0.0.1"]), Some(&authority));
        let server = serve(&executor, Some(acceptor), |_| answer(200, "{}"));
        folder.write("ca.crt", &authority.pem());
        let write = |client: super::setup::Signed| {
            folder.write("crt", &client.chain);
            folder.write("key", &client.key);
        };
        write(strangers.sign(&["me"]));
        let url = format!("https://{}", server.address);
        let user = "client-certificate: crt, client-key: key";
        let text = kubeconfig(&url, ", certificate-authority: ca.crt", user);
        let file = folder.write("config", &text);
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        let error = tls_trouble(version(&api).await);
        assert!(error.to_lowercase().contains("alert"), "{error}");
        write(authority.sign(&["me"]));
        version(&api).await.unwrap();
    });
}

#[test]
fn a_kubeconfig_that_names_another_server_is_read_when_the_old_one_is_gone() {
    run(async |executor| {
        let folder = Folder::new();
        let gone = serve(&executor, None, |_| answer(200, "{}")).url();
        let file = folder.write("config", &kubeconfig(&gone, "", ""));
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        let there = serve(&executor, None, |_| answer(200, "{}"));
        folder.write("config", &kubeconfig(&there.url(), "", ""));
        version(&api).await.unwrap();
    });
}
