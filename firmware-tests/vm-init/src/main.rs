//! `/init` of a test machine. There is nothing else in it but viplet.

fn main() {
    viplet_vm_init::run();
}
