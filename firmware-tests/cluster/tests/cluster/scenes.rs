//! What an administrator does on purpose costs no client a connection; what happens by accident is
//! over soon.

use libtest_mimic::Trial;
use serde_json::json;
use viplet_cluster::scenes::{ACCIDENTS, PLANNED, Scene};
use viplet_cluster::stage::{daemonset, install, kube_vip};

use crate::bed::{in_cluster, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let planned = PLANNED.map(|scene| {
        trial(&format!("{}_fails_no_connection", words(&scene)), move |cluster| {
            install(cluster, &daemonset());
            let seen = scene.play(cluster);
            println!("{}: {seen}", scene.name);
            assert!(seen.connecting.requests > 50, "too few requests: {seen}");
            assert!(seen.connecting.failed.is_empty(), "{:?}", seen.connecting.failed);
        })
    });
    let accidents = ACCIDENTS.map(|scene| {
        trial(&format!("after_{}_the_service_is_served_again", words(&scene)), move |cluster| {
            install(cluster, &daemonset());
            println!("{}: {}", scene.name, scene.play(cluster));
        })
    });
    planned.into_iter().chain(accidents).collect()
}

/// The same scenes with kube-vip, of which nothing is asked but its figures.
pub(crate) fn compared() -> Vec<Trial> {
    let scenes = PLANNED.into_iter().chain(ACCIDENTS);
    let trials = scenes.map(|scene| {
        in_cluster(&format!("figures of kube-vip: {}", scene.name), move |cluster| {
            let limit = json!({"limits": {"memory": "250Mi"}});
            let manifest = kube_vip(cluster);
            install(cluster, &[manifest.container(|one| one["resources"] = limit.clone())]);
            println!("{}: {}", scene.name, scene.play(cluster));
            for (address, timeline) in cluster.watch.timelines() {
                println!("{address} was on two nodes for {:?}", timeline.longest_overlap());
            }
        })
    });
    trials.collect()
}

/// A scene's name as part of a test's.
fn words(scene: &Scene) -> String {
    scene.name.replace('\'', "").replace(' ', "_").to_lowercase()
}
