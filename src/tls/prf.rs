//! From premaster to master secret, Finished, and the running hash of handshake messages (SSL 3.0 to TLS 1.2).
//!
//! SSL 3.0: RFC 6101 sections 5.6.9 and 6.1. TLS 1.0 and 1.1: the MD5/SHA-1 PRF of RFC 2246 section 5. TLS 1.2: HMAC
//! with the suite's hash, RFC 5246 section 5. Extended master secret: RFC 7627.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384};
use zeroize::Zeroize;

use super::secret::Secret;
use super::suites::{PrfHash, Version};

/// Bytes of a master secret.
pub const MASTER_LEN: usize = 48;

/// The 48-byte master secret.
pub fn master_secret(
    version: Version,
    prf: PrfHash,
    premaster: &[u8],
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> Secret {
    let mut master = Secret::zeroed(MASTER_LEN);
    match version {
        Version::Ssl3 => ssl3_expand(premaster, &[client_random, server_random], master.as_mut()),
        _ => expand(version, prf, premaster, b"master secret", &[client_random, server_random], master.as_mut()),
    }
    master
}

/// The 48-byte master secret of a handshake with the extension of RFC 7627. `session_hash` is
/// [`Transcript::session_hash`] up to and including ClientKeyExchange. SSL 3.0 has no such extension; it is treated
/// as TLS 1.0.
pub fn extended_master_secret(version: Version, prf: PrfHash, premaster: &[u8], session_hash: &[u8]) -> Secret {
    let mut master = Secret::zeroed(MASTER_LEN);
    expand(version, prf, premaster, b"extended master secret", &[session_hash], master.as_mut());
    master
}

/// The content of a Finished message: 12 bytes, 36 in SSL 3.0. The transcript holds every handshake message before it
/// (HelloRequest excepted).
pub fn finished(version: Version, prf: PrfHash, master: &[u8], from_client: bool, transcript: &Transcript) -> Vec<u8> {
    if version == Version::Ssl3 {
        return transcript.ssl3_finished(master, from_client);
    }
    let label: &[u8] = if from_client { b"client finished" } else { b"server finished" };
    let mut out = vec![0; 12];
    expand(version, prf, master, label, &[&transcript.session_hash(version, prf)], &mut out);
    out
}

/// The PRF of TLS 1.0 to 1.2: fills `out` from `secret`, `label` and the seed's parts.
pub(super) fn expand(version: Version, prf: PrfHash, secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    out.fill(0);
    if version >= Version::Tls12 {
        match prf {
            PrfHash::Sha256 => p_hash::<Hmac<Sha256>>(secret, label, seed, out),
            PrfHash::Sha384 => p_hash::<Hmac<Sha384>>(secret, label, seed, out),
        }
        return;
    }
    // Both halves take the middle byte of a secret of odd length.
    let half = secret.len().div_ceil(2);
    p_hash::<Hmac<Md5>>(secret.get(..half).unwrap_or_default(), label, seed, out);
    p_hash::<Hmac<Sha1>>(secret.get(secret.len() - half..).unwrap_or_default(), label, seed, out);
}

/// HMAC takes keys of any length, so this never fails.
pub(super) fn hmac<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// P_hash of RFC 5246 section 5, XORed onto `out`.
fn p_hash<M: Mac + KeyInit + Clone>(secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let keyed: M = hmac(secret);
    let with_seed = |mut mac: M| {
        mac.update(label);
        seed.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let mut a = with_seed(keyed.clone());
    for chunk in out.chunks_mut(a.len()) {
        let mut block = with_seed(keyed.clone().chain_update(&a));
        chunk.iter_mut().zip(&block).for_each(|(o, b)| *o ^= b);
        block.zeroize();
        a = keyed.clone().chain_update(&a).finalize().into_bytes();
    }
    a.zeroize();
}

/// SSL 3.0's expansion: MD5(secret ‖ SHA1("A" ‖ secret ‖ seed)) ‖ MD5(secret ‖ SHA1("BB" ‖ secret ‖ seed)) ‖ …
pub(super) fn ssl3_expand(secret: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    for (chunk, letter) in out.chunks_mut(16).zip(b'A'..=b'Z') {
        let salt = [letter; 26];
        let mut inner = Sha1::new();
        inner.update(salt.get(..usize::from(letter - b'A') + 1).unwrap_or_default());
        inner.update(secret);
        seed.iter().for_each(|part| inner.update(part));
        let mut block = Md5::new().chain_update(secret).chain_update(inner.finalize()).finalize();
        chunk.iter_mut().zip(&block).for_each(|(o, b)| *o = *b);
        block.zeroize();
    }
}

/// SSL 3.0's padding strings, 48 bytes for MD5, 40 for SHA-1.
pub(super) const SSL3_PAD1: [u8; 48] = [0x36; 48];
pub(super) const SSL3_PAD2: [u8; 48] = [0x5c; 48];
pub(super) const SSL3_SHA_PAD: usize = 40;

/// The running hash of handshake messages, each with its four-byte header, in the order sent. Runs every hash until
/// [`Transcript::settle`] says which one counts.
#[derive(Clone)]
pub struct Transcript {
    legacy: Option<(Md5, Sha1)>,
    sha256: Option<Sha256>,
    sha384: Option<Sha384>,
}

impl Default for Transcript {
    fn default() -> Self {
        Transcript { legacy: Some((Md5::new(), Sha1::new())), sha256: Some(Sha256::new()), sha384: Some(Sha384::new()) }
    }
}

impl Transcript {
    /// Before the first message.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of handshake messages.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some((md5, sha1)) = &mut self.legacy {
            md5.update(bytes);
            sha1.update(bytes);
        }
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
        if let Some(hash) = &mut self.sha384 {
            hash.update(bytes);
        }
    }

    /// Version and hash are known: the other hashes are dropped.
    pub fn settle(&mut self, version: Version, prf: PrfHash) {
        let modern = version >= Version::Tls12;
        if modern {
            self.legacy = None;
        }
        if !modern || prf != PrfHash::Sha256 {
            self.sha256 = None;
        }
        if !modern || prf != PrfHash::Sha384 {
            self.sha384 = None;
        }
    }

    /// The hash so far: MD5 ‖ SHA-1 (36 bytes) up to TLS 1.1, the suite's hash from TLS 1.2 on (32 or 48 bytes). Empty
    /// if the transcript was settled on another.
    pub fn session_hash(&self, version: Version, prf: PrfHash) -> Vec<u8> {
        match (version >= Version::Tls12, prf) {
            (false, _) => match self.legacy.clone() {
                Some((md5, sha1)) => [&md5.finalize()[..], &sha1.finalize()[..]].concat(),
                None => Vec::new(),
            },
            (true, PrfHash::Sha256) => self.sha256.clone().map_or_else(Vec::new, |h| h.finalize().to_vec()),
            (true, PrfHash::Sha384) => self.sha384.clone().map_or_else(Vec::new, |h| h.finalize().to_vec()),
        }
    }

    /// RFC 6101 section 5.6.9.
    fn ssl3_finished(&self, master: &[u8], from_client: bool) -> Vec<u8> {
        fn half<D: Digest>(running: D, master: &[u8], sender: &[u8], pad: usize) -> impl AsRef<[u8]> {
            let pad1 = SSL3_PAD1.get(..pad).unwrap_or_default();
            let pad2 = SSL3_PAD2.get(..pad).unwrap_or_default();
            let inner = running.chain_update(sender).chain_update(master).chain_update(pad1).finalize();
            D::new().chain_update(master).chain_update(pad2).chain_update(inner).finalize()
        }
        let sender: &[u8] = if from_client { b"CLNT" } else { b"SRVR" };
        let Some((md5, sha1)) = self.legacy.clone() else { return Vec::new() };
        let md5 = half(md5, master, sender, SSL3_PAD1.len());
        let sha1 = half(sha1, master, sender, SSL3_SHA_PAD);
        [md5.as_ref(), sha1.as_ref()].concat()
    }
}

/// HKDF-Extract (RFC 5869 section 2.2), for the tests' vectors: key logs and tickets hold what comes behind it.
#[cfg(test)]
pub(crate) fn hkdf_extract(hash: PrfHash, salt: &[u8], key_material: &[u8]) -> Secret {
    match hash {
        PrfHash::Sha256 => Secret::new(&hmac::<Hmac<Sha256>>(salt).chain_update(key_material).finalize().into_bytes()),
        PrfHash::Sha384 => Secret::new(&hmac::<Hmac<Sha384>>(salt).chain_update(key_material).finalize().into_bytes()),
    }
}

/// HKDF-Expand (RFC 5869 section 2.3); `info` in parts, `out` of at most 255 hashes.
pub fn hkdf_expand(hash: PrfHash, key: &[u8], info: &[&[u8]], out: &mut [u8]) {
    fn run<M: Mac + KeyInit + Clone>(key: &[u8], info: &[&[u8]], out: &mut [u8]) {
        let keyed: M = hmac(key);
        let mut previous = Secret::new(&[]);
        for (chunk, counter) in out.chunks_mut(M::output_size()).zip(1u8..=255) {
            let mut mac = keyed.clone();
            mac.update(&previous);
            info.iter().for_each(|part| mac.update(part));
            mac.update(&[counter]);
            let mut block = mac.finalize().into_bytes();
            chunk.iter_mut().zip(&block).for_each(|(o, b)| *o = *b);
            previous = Secret::new(&block);
            block.zeroize();
        }
    }
    match hash {
        PrfHash::Sha256 => run::<Hmac<Sha256>>(key, info, out),
        PrfHash::Sha384 => run::<Hmac<Sha384>>(key, info, out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::protection::tests::unhex;
    use super::*;
    use crate::fmt::hex;

    fn prf(version: Version, hash: PrfHash, secret: &str, label: &str, seed: &str, len: usize) -> String {
        let mut out = vec![0xff; len];
        expand(version, hash, &unhex(secret), label.as_bytes(), &[&unhex(seed)], &mut out);
        hex(&out)
    }

    /// The vector that TLS 1.0 implementers passed round (PRF Testvector).
    #[test]
    fn tls10() {
        let out = prf(Version::Tls10, PrfHash::Sha256, &"ab".repeat(48), "PRF Testvector", &"cd".repeat(64), 104);
        assert_eq!(
            out,
            "d3d4d1e349b5d515044666d51de32bab258cb521b6b053463e354832fd976754443bcf9a296519bc289abcbc1187e4ebd31e602353776c40\
             8aafb74cbc85eff69255f9788faa184cbb957a9819d84a5d7eb006eb459d3ae8de9810454b8b2d8f1afbc655a8c9a013"
        );
    }

    /// The vectors published on the TLS working group's list for the PRF of TLS 1.2.
    #[test]
    fn tls12() {
        let out = prf(
            Version::Tls12,
            PrfHash::Sha256,
            "9bbe436ba940f017b17652849a71db35",
            "test label",
            "a0ba9f936cda311827a6f796ffd5198c",
            100,
        );
        assert_eq!(
            out,
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17\
             abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
        );
        let out = prf(
            Version::Tls12,
            PrfHash::Sha384,
            "b80b733d6ceefcdc71566ea48e5567df",
            "test label",
            "cd665cf6a8447dd6ff8b27555edb7465",
            148,
        );
        assert_eq!(
            out,
            "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700\
             884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a2\
             6066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f"
        );
    }

    /// NIST's sample of the ACVP test TLS-v1.2-KDF-RFC7627, group 1, case 1; with the other hashes as OpenSSL 3.0
    /// (`openssl kdf … TLS1-PRF`) makes them of the same premaster secret.
    #[test]
    fn extended_master_secret_and_key_block() {
        let premaster =
            unhex("8252b983a6459a6fb3b9debe8725247e276139ebf7c9adccdd7d240f3ada7f5e3351b2769b6c8dc169a6d799c3c0ffeb");
        let master = |version, prf, hash: &str| extended_master_secret(version, prf, &premaster, &unhex(hash));
        let sha256 =
            master(Version::Tls12, PrfHash::Sha256, "1359d7df74cb27c67f74c98d521d442b887eaf0decf6e382c62434d6c3dd7d0d");
        assert_eq!(
            hex(&sha256),
            "43a5e821fcf5446c712207f7cd161ed213ee3b9d001d418c57231befd596b583ecd55ab2c4456b02738698f90bc59ac0"
        );
        let client = unhex("abe7af69affc5e0944f4009b3e7abd1cc0a5cce8db055eff4a509e5b6de9475a");
        let server = unhex("50e0a1a1fd64a55259781a5c22580a81f99799c32f52d3f48d2c10c5c692e289");
        let mut block = [0; 128];
        expand(Version::Tls12, PrfHash::Sha256, &sha256, b"key expansion", &[&server, &client], &mut block);
        assert_eq!(
            hex(&block),
            "4886e75be82dd4fb73c540729072d3e29b93c164e1cffe071f1212b1237b98dc0b0a5895f331f7180ceb30b\
             17bb8c3e92a074b26325ff975237dbd22320c0b88d64931f39c777b1527d36a999ad5fe5ee7f53fc42a509b\
             eb22634b17ec7b768eaf6a87977cf8670b34d0a76ebce6a659dab6c15b4b86b98b9a63c50bbe1e2a09"
        );
        let sha384 = master(
            Version::Tls12,
            PrfHash::Sha384,
            "1e6bf053331744558857450562558ec56b54375a4f4fe22186ec647d98a2b874fc82460493e1a7fdf1574149cab21f0e",
        );
        assert_eq!(
            hex(&sha384),
            "76a274c7a46556b5714736f0befc01904b5483ff3a1a195e40bcb6fcd0734eb58ba8806758282450b7ddfc48ff886165"
        );
        let md5_and_sha1 = master(
            Version::Tls11,
            PrfHash::Sha256,
            "5353f7c37935a92b37dd7f5309e3d4a79279eda5b0cc8c73f48fb72bddb35d64a80f2071",
        );
        assert_eq!(
            hex(&md5_and_sha1),
            "10eecccbc7a776cafdffddc9dd1d529528cd3ce3d95079914ecea0072eece16ce173c71f33e7fc126ed0b8b818346171"
        );
    }

    /// As tlslite-ng 0.8.2 and scapy 2.8.0 make them; Finished as scapy does.
    #[test]
    fn ssl3() {
        fn counting<const N: usize>(from: u8) -> [u8; N] {
            std::array::from_fn(|n| from + n as u8)
        }
        let (client, server) = (counting(0x60), counting(0xa0));
        let master = master_secret(Version::Ssl3, PrfHash::Sha256, &counting::<48>(0), &client, &server);
        assert_eq!(
            hex(&master),
            "8d540b5c4fc91c31c43e175769f241b9df9ce62ef3310cbc2b289060420f2f85f6437a4058f8188c11ab50f976987a97"
        );
        let mut block = [0; 104];
        ssl3_expand(&master, &[&server, &client], &mut block);
        assert_eq!(
            hex(&block),
            "27b59d8ca7060a502d98b0d0ff5c75927d9e3ad5e6e81cbe899520ffb466e8ee99d05dfc2cfe064012fa967\
             e6336ae896ddbaf2b083e7fb8c3c53f7d08509eb2011d81ffb936f09bd07d0e21e741c6fb0bdd21d5393592\
             6f6ca1346b5ac398155d501fd24955541f"
        );
        let mut transcript = Transcript::new();
        transcript.update(b"all the handshake messages");
        let finished = |client| hex(&finished(Version::Ssl3, PrfHash::Sha256, &master, client, &transcript));
        assert_eq!(finished(true), "095e6691281246ccd6602fd9ada55aab970ebff6706f071f61e504cc00d60b17b4e0a5b3");
        assert_eq!(finished(false), "4126c69a8026a3556c78be17cab25f01ce4cd29141ee489a022cafb10522ab47fb481a0c");
    }

    /// RFC 5869 appendix A.1.
    #[test]
    fn hkdf() {
        let salt = unhex("000102030405060708090a0b0c");
        let key = hkdf_extract(PrfHash::Sha256, &salt, &[0x0b; 22]);
        assert_eq!(hex(&key), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let mut out = [0; 42];
        // `info` in two parts.
        hkdf_expand(PrfHash::Sha256, &key, &[&unhex("f0f1f2f3"), &unhex("f4f5f6f7f8f9")], &mut out);
        assert_eq!(hex(&out), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    }

    #[test]
    fn settled_transcript_keeps_its_hash() {
        let mut whole = Transcript::new();
        let mut settled = Transcript::new();
        for part in [&b"client"[..], b"server"] {
            whole.update(part);
            settled.update(part);
            settled.settle(Version::Tls12, PrfHash::Sha384);
        }
        let hash = |t: &Transcript, v, h| hex(&t.session_hash(v, h));
        let expected = hash(&whole, Version::Tls12, PrfHash::Sha384);
        assert_eq!(hash(&settled, Version::Tls12, PrfHash::Sha384), expected);
        assert_eq!(expected, hex(&Sha384::digest(b"clientserver")));
        assert_eq!(whole.session_hash(Version::Tls11, PrfHash::Sha256).len(), 36);
        assert_eq!(hash(&settled, Version::Tls12, PrfHash::Sha256), "", "the other was dropped");
    }
}
