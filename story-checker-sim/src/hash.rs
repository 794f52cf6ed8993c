//! Seeded hashes: everything "random" here is a pure function of the seed and of what it is about.

/// One step of splitmix64: a bijection whose output bits all depend on all input bits.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of a key and a number.
pub(crate) const fn pair(key: u64, value: u64) -> u64 {
    mix(mix(key) ^ value)
}

/// A hash of a key and some bytes.
pub(crate) fn bytes(key: u64, bytes: &[u8]) -> u64 {
    let mut hash = pair(key, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let word = chunk.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte));
        hash = pair(hash, word);
    }
    hash
}

/// A hash as a fraction in `0.0..1.0`.
pub(crate) fn fraction(hash: u64) -> f64 {
    // 53 bits are what an f64 holds exactly.
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_depends_on_key_length_and_order() {
        assert_eq!(bytes(1, b"tea_house"), bytes(1, b"tea_house"));
        assert_ne!(bytes(1, b"tea_house"), bytes(2, b"tea_house"));
        assert_ne!(bytes(1, b"ab"), bytes(1, b"ba"));
        assert_ne!(bytes(1, b"\0"), bytes(1, b"\0\0"));
    }

    #[test]
    fn fraction_is_spread_over_the_unit_interval() {
        let mean = (0..10_000).map(|i| fraction(mix(i))).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
        assert!(fraction(u64::MAX) < 1.0);
    }
}
