//! What follows from a text alone: UUIDs of version 5 (RFC 9562 §5.5), of which rows, MAC addresses and marks are
//! made.
//!
//! They are SHA-1, and each row needs several. Refuses to keep secrets.

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

/// The UUID of a name within a name space, the name given in parts.
pub(crate) fn uuid(space: Uuid, parts: &[&[u8]]) -> Uuid {
    let mut sha = Sha1::new_with_prefix(space.as_bytes());
    parts.iter().for_each(|part| sha.update(part));
    let digest: [u8; 20] = sha.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

/// That of a text in no name space.
pub(crate) fn of(text: &[u8]) -> Uuid {
    uuid(Uuid::nil(), &[text])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_uuid_of_the_standard() {
        // RFC 9562 §A.4
        let dns = Uuid::from_u128(0x6ba7b810_9dad_11d1_80b4_00c04fd430c8);
        let example = "2ed6657d-e927-568b-95e1-2665a8aea6a2";
        assert_eq!(uuid(dns, &[b"www.", b"example.com"]).to_string(), example);
    }
}
