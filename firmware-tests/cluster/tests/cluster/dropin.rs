//! kube-vip's own installation, in which nothing but the image is changed, and changed back.

use libtest_mimic::Trial;
use viplet_cluster::Cluster;
use viplet_cluster::cluster::VIPLET;

use crate::bed::{
    Clients, install, kube_vip_image, kube_vip_manifest, roll_out, trial, wait_until_both_are_held,
};

pub(crate) fn trials() -> Vec<Trial> {
    let name =
        "in_kube_vips_own_manifest_the_image_is_exchanged_and_back_without_a_failed_connection";
    match std::env::var_os("KUBE_VIP").is_some_and(|path| !path.is_empty()) {
        true => vec![trial(name, exchange)],
        false => vec![Trial::test(name, move || {
            println!("SKIPPED: {name}: KUBE_VIP names no kube-vip binary");
            Ok(())
        })],
    }
}

fn exchange(cluster: &mut Cluster) {
    let program = cluster.parts().kube_vip.clone().expect("looked for above");
    let manifest = kube_vip_manifest(&program);
    let kube_vip = kube_vip_image(&manifest);
    install(cluster, &[manifest]);
    for (scene, image) in [("kube-vip to viplet", VIPLET), ("viplet to kube-vip", &kube_vip)] {
        let clients = Clients::start(cluster);
        let image = format!("kube-vip={image}");
        let target = "daemonset/kube-vip-ds";
        cluster.kubectl(&["--namespace=kube-system", "set", "image", target, &image]);
        roll_out(cluster);
        wait_until_both_are_held(cluster);
        clients.wait_for_answers();
        clients.assert_none_failed(scene);
    }
}
