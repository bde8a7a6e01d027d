//! What both sides add up of a value, so that a type and its reader disagree loudly.
//!
//! serde does not tell a serializer that `skip_serializing` left a field out, nor a deserializer
//! that `skip` left a variant out: the bytes would be read as something else. The encoder adds up
//! what it writes, the decoder what it reads, and the sums travel in the header.

/// The sums, wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Of each struct, tuple and tuple variant the number of its fields less one. Nesting does not
    /// change that, a field left out does.
    pub(super) fields: u16,
    /// Of the variants, in their order, a hash of their names.
    pub(super) variants: u16,
    /// A reader gave fewer names than there are variants, so the names say nothing.
    pub(super) has_nameless: bool,
}

impl Shape {
    #[inline]
    pub(super) fn add_fields(&mut self, count: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "the sum wraps")]
        let count = count as u16;
        self.fields = self.fields.wrapping_add(count).wrapping_sub(1);
    }

    #[inline]
    pub(super) fn add_variant(&mut self, name: &str) {
        self.variants = self.variants.wrapping_mul(31).wrapping_add(hash(name));
    }

    /// Whether the variants of `written` have the names of those read.
    pub(super) fn has_variants_of(&self, written: &Shape) -> bool {
        self.has_nameless || self.variants == written.variants
    }

    pub(super) fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.fields.to_le_bytes(), self.variants.to_le_bytes());
        [a, b, c, d]
    }

    pub(super) fn from_bytes([a, b, c, d]: [u8; 4]) -> Self {
        let (fields, variants) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        Shape { fields, variants, has_nameless: false }
    }
}

/// FNV-1a, folded.
#[inline]
fn hash(name: &str) -> u16 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
    let folded = (hash ^ (hash >> 16)) as u16;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // The FNV-1a of "a" is e40c292c.
        assert_eq!(hash("a"), 0xe40c ^ 0x292c);
        assert_eq!(hash(""), 0x811c ^ 0x9dc5);
    }

    #[test]
    fn regrouping_fields_does_not_change_the_shape_and_leaving_one_out_does() {
        let shape = |counts: &[usize]| {
            let mut shape = Shape::default();
            counts.iter().for_each(|count| shape.add_fields(*count));
            shape
        };
        assert_eq!(shape(&[3]), shape(&[2, 2]));
        assert_eq!(shape(&[3]), shape(&[3, 1, 1]));
        assert_ne!(shape(&[3]), shape(&[2]));
        assert_eq!(Shape::from_bytes(shape(&[0]).to_bytes()), shape(&[0]));
    }
}
