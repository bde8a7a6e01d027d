//! Tells the values shared with our benches that they are built beside the peers.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(sk_peers)");
    println!("cargo::rustc-cfg=sk_peers");
}
