//! Tells bytes that were torn or overwritten by a stray store; no defence against intent.

/// Odd, and as many ones as zeros: the keys of a lane, of its partner and of the end.
const KEYS: [u64; 8] = [
    0x9E37_79B9_7F4A_7C15,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0xD6E8_FEB8_6659_FD93,
    0xA076_1D64_78BD_642F,
    0xE703_7ED1_A0B4_28DB,
    0x8EBC_6AF0_9C88_C6E3,
    0x5899_65CC_7537_4CC3,
];

/// A sum over `bytes` that also says which they are: the version of a value, the index in a list.
///
/// Four lanes of 16 bytes each, since a multiplication takes longer than the next one has to wait.
#[inline(always)]
pub(crate) fn checksum(which: u64, bytes: &[u8]) -> u64 {
    let [k0, k1, k2, k3, p0, p1, p2, p3] = KEYS;
    let mut lanes = [k0, k1, k2, k3];
    let partners = [p0, p1, p2, p3];
    let (blocks, rest) = bytes.as_chunks::<64>();
    for block in blocks {
        absorb(&mut lanes, partners, block);
    }
    if !rest.is_empty() {
        let mut last = [0; 64];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        absorb(&mut lanes, partners, &last);
    }
    let [a, b, c, d] = lanes;
    fold(a ^ which, b ^ k3) ^ fold(c ^ bytes.len() as u64, d ^ p0)
}

#[inline(always)]
fn absorb(lanes: &mut [u64; 4], partners: [u64; 4], block: &[u8; 64]) {
    let (pairs, _) = block.as_chunks::<16>();
    for ((lane, partner), pair) in lanes.iter_mut().zip(partners).zip(pairs) {
        let [low, high] = halves(pair);
        *lane = fold(*lane ^ low, partner ^ high);
    }
}

#[inline]
fn halves(pair: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*pair);
    [low(both), low(both >> 64)]
}

/// Both halves of the product, since each misses bits of the factors.
#[inline]
fn fold(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    low(product) ^ low(product >> 64)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the upper half is looked at by itself")]
fn low(both: u128) -> u64 {
    both as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_every_length_counts() {
        let bytes = [7_u8; 200];
        for length in 0..bytes.len() {
            let whole = checksum(3, &bytes[..length]);
            assert_ne!(whole, checksum(4, &bytes[..length]));
            assert_ne!(whole, checksum(3, &bytes[..length + 1]));
            for bit in 0..length * 8 {
                let mut other = bytes;
                other[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(whole, checksum(3, &other[..length]), "bit {bit} of {length} bytes");
            }
        }
    }

    #[test]
    fn words_that_change_places_are_told() {
        let mut bytes: Vec<u8> = (0..128).collect();
        let before = checksum(1, &bytes);
        bytes.rotate_left(8);
        assert_ne!(before, checksum(1, &bytes));
        bytes.rotate_left(56);
        assert_ne!(before, checksum(1, &bytes));
    }
}
