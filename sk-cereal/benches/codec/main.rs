//! The codec against what it is made of: bincode alone, and memcpy.

mod bulk;
mod measure;
mod record;
mod values;

fn main() {
    record::run();
    bulk::run();
}
