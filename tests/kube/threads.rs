//! The transport needs the main thread and the reactor's, no more.

use std::process::Command;
use std::time::Duration;

use viplet::kube::{LeaseClient, LeaseMemory, Pace, watch_lease};

use super::leases::name;
use super::server::{serve, until};
use super::setup::{Folder, api, run};
use super::store::{Shared, handler};

const INSIDE: &str = "VIPLET_TEST_COUNTS_THREADS";

/// Runs itself again alone, because the test harness has threads of its own.
#[test]
fn a_watch_and_a_client_at_rest_have_two_threads_between_them() {
    if std::env::var_os(INSIDE).is_some() {
        return at_rest();
    }
    let this = std::thread::current().name().unwrap().to_owned();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &this, "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn at_rest() {
    // The test's own, and the harness's, which waits for it.
    let before = threads();
    run(async |executor| {
        let (folder, store) = (Folder::new(), Shared::default());
        let server = serve(&executor, None, handler(&store));
        let api = api(&executor, &folder, &server.url(), "");
        let memory = LeaseMemory::default();
        let _client = LeaseClient::new(&api, memory.clone());
        let told = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = std::rc::Rc::clone(&told);
        let watch = watch_lease(api, name(), memory, Pace::default(), async move |_| {
            count.set(count.get() + 1);
        });
        let _watch = executor.spawn(watch);
        until("the watch runs", || told.get() > 0).await;
        smol::Timer::after(Duration::from_millis(1)).await;
        assert_eq!(threads(), before + 1, "this one and the reactor's");
    });
}
