//! gzip without compression: RFC 1952 around stored blocks of RFC 1951.

/// The most bytes of one stored block.
const MAX_BLOCK: usize = 0xffff;
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Packs bytes.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = HEAD.to_vec();
    let mut rest = bytes;
    loop {
        let (block, behind) = rest.split_at(rest.len().min(MAX_BLOCK));
        let length = u16::try_from(block.len()).expect("a block is not longer than that");
        packed.push(u8::from(behind.is_empty()));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(block);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    packed.extend(crc32(bytes).to_le_bytes());
    let length = bytes.len() & 0xffff_ffff;
    packed.extend(u32::try_from(length).expect("it was cut to 32 bits").to_le_bytes());
    packed
}

/// Something that begins like gzip and cannot be unpacked: its block is of a kind that there is not.
pub(super) fn broken() -> Vec<u8> {
    let mut packed = HEAD.to_vec();
    packed.extend([0xff; 32]);
    packed
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_bodies_take_several_blocks() {
        let bytes = vec![7; 2 * MAX_BLOCK + 1];
        assert_eq!(pack(&bytes).len(), bytes.len() + 3 * 5 + 10 + 8);
        assert_eq!(pack(b"").len(), 5 + 10 + 8);
    }
}
