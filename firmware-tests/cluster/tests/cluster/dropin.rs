//! kube-vip's own installation, in which nothing but the image is changed, and changed back.

use libtest_mimic::Trial;
use viplet_cluster::cluster::{Cluster, VIPLET};
use viplet_cluster::stage::{
    install, kube_vip, kube_vip_image, roll_out, set_image, wait_until_both_are_held,
};
use viplet_cluster::{Clients, parts};

use crate::bed::{assert_one_holder, in_cluster};

pub(crate) fn trials() -> Vec<Trial> {
    let name =
        "in_kube_vips_own_manifest_the_image_is_exchanged_and_back_without_a_failed_connection";
    match parts::kube_vip() {
        Some(_) => vec![in_cluster(name, exchange)],
        None => vec![Trial::test(name, move || {
            println!("SKIPPED: {name}: KUBE_VIP names no kube-vip binary");
            Ok(())
        })],
    }
}

fn exchange(cluster: &mut Cluster) {
    let before = cluster.refusals().len();
    let manifest = kube_vip(cluster);
    let theirs = kube_vip_image(&manifest);
    install(cluster, &[manifest]);
    for (scene, image) in [("kube-vip to viplet", VIPLET), ("viplet to kube-vip", &theirs)] {
        let clients = Clients::start(cluster);
        set_image(cluster, image);
        roll_out(cluster);
        wait_until_both_are_held(cluster);
        clients.wait_for_answers();
        let (connecting, keeping) = (clients.connecting(), clients.keeping());
        println!("{scene}: new connections: {connecting}; one kept: {keeping}");
        assert!(connecting.failed.is_empty(), "{scene}: {:?}", connecting.failed);
    }
    assert_one_holder(cluster);
    // kube-vip's rights lack one thing that viplet asks for, and does without.
    let refused = cluster.refusals().split_off(before);
    let others = refused.iter().filter(|one| !one.contains("/events"));
    assert_eq!(others.count(), 0, "{refused:?}");
}
