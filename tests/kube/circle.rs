//! A kubeconfig whose server is the control plane's own virtual address: nobody holds that before
//! an API server was reached by another way.

use std::path::Path;
use std::time::Duration;

use http::Request;
use viplet::core::settings::Target;
use viplet::kube::{AccessSettings, Api, ApiError, ControlPlane, Kind};

use super::server::{answer, serve, serve_at};
use super::setup::{Authority, Folder, kubeconfig, places, run, settings};

/// On no interface of its own; every address of 127.0.0.0/8 is this machine's.
const VIRTUAL: [u8; 4] = [127, 0, 0, 9];

async fn version(api: &Api) -> Result<(), ApiError> {
    let request = Request::get("/version").body(Vec::new()).unwrap();
    api.connection().call(request, Duration::from_secs(20)).await.map(|_| ())
}

fn with_control_plane(file: &Path) -> AccessSettings {
    let virtual_addresses = vec![Target::Address(VIRTUAL.into())];
    AccessSettings { control_plane: ControlPlane::On, virtual_addresses, ..settings(Some(file)) }
}

#[test]
fn this_nodes_own_api_server_is_asked_instead_and_has_to_carry_a_name_of_the_cluster() {
    run(async |executor| {
        for (names, expected) in [
            (vec!["kubernetes", "10.9.8.7"], Ok(())),
            (vec!["127.0.0.9"], Ok(())),
            (vec!["127.0.0.1", "localhost"], Err("not valid for name")),
        ] {
            let (folder, authority) = (Folder::new(), Authority::new());
            folder.write("ca.crt", &authority.pem());
            let acceptor = Authority::acceptor(&authority.sign(&names), None);
            let server = serve(&executor, Some(acceptor), |_| answer(200, "{}"));
            let url = format!("https://127.0.0.9:{}", server.address.port());
            let text = kubeconfig(&url, ", certificate-authority: ca.crt", "");
            let file = folder.write("config", &text);
            let api = Api::new(with_control_plane(&file), places(&folder), &executor).unwrap();
            assert!(api.is_circular());
            match (version(&api).await, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (outcome, expected) => panic!("{names:?}: {outcome:?}, not {expected:?}"),
            }
        }
    });
}

#[test]
fn without_an_own_api_server_the_address_itself_is_asked_as_another_node_may_hold_it() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve_at(VIRTUAL, &executor, None, |_| answer(200, "{}"));
        let file = folder.write("config", &kubeconfig(&server.url(), "", ""));
        let api = Api::new(with_control_plane(&file), places(&folder), &executor).unwrap();
        version(&api).await.unwrap();
    });
}

#[test]
fn where_nothing_answers_the_reason_says_that_it_is_a_circle_and_what_to_do() {
    run(async |executor| {
        let folder = Folder::new();
        let port = serve(&executor, None, |_| answer(200, "{}")).address.port();
        let url = format!("https://127.0.0.9:{port}");
        let file =
            folder.write("config", &kubeconfig(&url, ", insecure-skip-tls-verify: true", ""));
        let api = Api::new(with_control_plane(&file), places(&folder), &executor).unwrap();
        let error = version(&api).await.unwrap_err();
        let Kind::Unreachable(text) = &error.kind else { panic!("{error}") };
        for part in ["own virtual address", "127.0.0.1", "config", "kubernetes_addr"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    });
}

#[test]
fn a_name_that_resolves_to_the_virtual_address_is_a_circle_too() {
    run(async |executor| {
        let folder = Folder::new();
        let port = serve(&executor, None, |_| answer(200, "{}")).address.port();
        let file = folder.write("config", &kubeconfig(&format!("http://localhost:{port}"), "", ""));
        let mut asked = with_control_plane(&file);
        asked.virtual_addresses = vec![Target::Address([127, 0, 0, 1].into())];
        let api = Api::new(asked, places(&folder), &executor).unwrap();
        let error = version(&api).await.unwrap_err().to_string();
        assert!(error.contains("own virtual address"), "{error}");
    });
}
