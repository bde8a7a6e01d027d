use sk_share::ground::*;
use sk_share::memory::*;
use std::time::Instant;
fn main() {
    let roster = Roster::create().unwrap();
    let region = Region::create(Kind::new(7), 1 << 24, Some(roster.id())).unwrap();
    let c = Commons::new(region, roster);
    c.grow(1 << 20).unwrap();
    let bytes = [7u8; 64];
    let n = 3_000_000;
    for _ in 0..3 {
        let t = Instant::now();
        for _ in 0..n {
            let f = Flip::at(&c, 4096).unwrap();
            f.write(&bytes, None).unwrap();
        }
        println!("write {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
        let mut v = Vec::new();
        let t = Instant::now();
        for _ in 0..n {
            let f = Flip::at(&c, 4096).unwrap();
            f.read(&mut v, None).unwrap();
        }
        println!("read {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
        let t = Instant::now();
        for _ in 0..n {
            let f = Flip::at(&c, 4096).unwrap();
            let mut w = f.lock(None).unwrap();
            w.read(&mut v).unwrap();
            v[0] = v[0].wrapping_add(1);
            w.commit(&v).unwrap();
        }
        println!("update {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
        let t = Instant::now();
        for _ in 0..n {
            drop(Lock::at(&c, 4096).unwrap().lock().unwrap());
        }
        println!("lock {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(Flip::at(&c, 4096).unwrap());
        }
        println!("at {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(c.me().unwrap());
        }
        println!("me {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
        let w = c.u64(8192).unwrap();
        let t = Instant::now();
        for _ in 0..n {
            w.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        println!("raw add {:.1} ns", t.elapsed().as_nanos() as f64 / n as f64);
    }
}
