//! Session files as instaloader saves them, made by Python 3.11:
//! `pickle.dumps({"csrftoken": ..., "sessionid": ..., ...}, protocol)`.
//!
//! Beside each: where its operations stand, as `pickletools.genops` tells.

/// A pickle and the offsets of its operations.
pub(super) struct Sample {
    pub(super) file: &'static [u8],
    pub(super) operations: &'static [usize],
}

pub(super) const SAMPLES: [Sample; 4] = [
    Sample {
        file: b"\x80\x02}q\x00(X\x09\x00\x00\x00csrftokenq\x01X\x0c\x00\x00\x00PLANTED-csrfq\x02\
               X\x09\x00\x00\x00sessionidq\x03X(\x00\x00\x004200000001%3APLANTED%3A12%3Acookie-\
               valueq\x04X\x0a\x00\x00\x00ds_user_idq\x05X\x0a\x00\x00\x004200000001q\x06X\x03\
               \x00\x00\x00midq\x07X\x0b\x00\x00\x00PLANTED-midq\x08X\x05\x00\x00\x00ig_prq\x09\
               X\x01\x00\x00\x001q\x0aX\x05\x00\x00\x00ig_vwq\x0bh\x0aX\x09\x00\x00\x00s_networ\
               kq\x0cX\x00\x00\x00\x00q\x0dX\x03\x00\x00\x00rurq\x0eX)\x00\x00\x00\"RVA\\054420\
               0000001\\0541826787600:PLANTED\"q\x0fu.",
        operations: &[
            0, 2, 3, 5, 6, 20, 22, 39, 41, 55, 57, 102, 104, 119, 121, 136, 138, 146, 148, 164,
            166, 176, 178, 184, 186, 196, 198, 200, 214, 216, 221, 223, 231, 233, 279, 281, 282,
        ],
    },
    Sample {
        file: b"\x80\x03}q\x00(X\x09\x00\x00\x00csrftokenq\x01X\x0c\x00\x00\x00PLANTED-csrfq\x02\
               X\x09\x00\x00\x00sessionidq\x03X(\x00\x00\x004200000001%3APLANTED%3A12%3Acookie-\
               valueq\x04X\x0a\x00\x00\x00ds_user_idq\x05X\x0a\x00\x00\x004200000001q\x06X\x03\
               \x00\x00\x00midq\x07X\x0b\x00\x00\x00PLANTED-midq\x08X\x05\x00\x00\x00ig_prq\x09\
               X\x01\x00\x00\x001q\x0aX\x05\x00\x00\x00ig_vwq\x0bh\x0aX\x09\x00\x00\x00s_networ\
               kq\x0cX\x00\x00\x00\x00q\x0dX\x03\x00\x00\x00rurq\x0eX)\x00\x00\x00\"RVA\\054420\
               0000001\\0541826787600:PLANTED\"q\x0fu.",
        operations: &[
            0, 2, 3, 5, 6, 20, 22, 39, 41, 55, 57, 102, 104, 119, 121, 136, 138, 146, 148, 164,
            166, 176, 178, 184, 186, 196, 198, 200, 214, 216, 221, 223, 231, 233, 279, 281, 282,
        ],
    },
    Sample {
        file: b"\x80\x04\x95\xdc\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x09csrftoken\x94\x8c\x0cP\
               LANTED-csrf\x94\x8c\x09sessionid\x94\x8c(4200000001%3APLANTED%3A12%3Acookie-valu\
               e\x94\x8c\x0ads_user_id\x94\x8c\x0a4200000001\x94\x8c\x03mid\x94\x8c\x0bPLANTED-\
               mid\x94\x8c\x05ig_pr\x94\x8c\x011\x94\x8c\x05ig_vw\x94h\x0a\x8c\x09s_network\x94\
               \x8c\x00\x94\x8c\x03rur\x94\x8c)\"RVA\\0544200000001\\0541826787600:PLANTED\"\
               \x94u.",
        operations: &[
            0, 2, 11, 12, 13, 14, 25, 26, 40, 41, 52, 53, 95, 96, 108, 109, 121, 122, 127, 128,
            141, 142, 149, 150, 153, 154, 161, 162, 164, 175, 176, 178, 179, 184, 185, 228, 229,
            230,
        ],
    },
    Sample {
        file: b"\x80\x05\x95\xdc\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x09csrftoken\x94\x8c\x0cP\
               LANTED-csrf\x94\x8c\x09sessionid\x94\x8c(4200000001%3APLANTED%3A12%3Acookie-valu\
               e\x94\x8c\x0ads_user_id\x94\x8c\x0a4200000001\x94\x8c\x03mid\x94\x8c\x0bPLANTED-\
               mid\x94\x8c\x05ig_pr\x94\x8c\x011\x94\x8c\x05ig_vw\x94h\x0a\x8c\x09s_network\x94\
               \x8c\x00\x94\x8c\x03rur\x94\x8c)\"RVA\\0544200000001\\0541826787600:PLANTED\"\
               \x94u.",
        operations: &[
            0, 2, 11, 12, 13, 14, 25, 26, 40, 41, 52, 53, 95, 96, 108, 109, 121, 122, 127, 128,
            141, 142, 149, 150, 153, 154, 161, 162, 164, 175, 176, 178, 179, 184, 185, 228, 229,
            230,
        ],
    },
];
