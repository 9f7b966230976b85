//! Content transfer encodings (RFC 2045 §6), decoded as the bytes come.

/// A part's encoding and where its decoding stands.
#[derive(Debug)]
pub enum Decoder {
    /// `7bit`, `8bit`, `binary`, unknown ones: the bytes as they are.
    Identity,
    /// `base64`.
    Base64(Base64),
    /// `quoted-printable`.
    QuotedPrintable(QuotedPrintable),
}

impl Decoder {
    /// The decoder for a `Content-Transfer-Encoding` value (any case, blanks around it).
    pub fn for_encoding(name: &str) -> Self {
        let name = name.trim();
        if name.eq_ignore_ascii_case("base64") {
            Decoder::Base64(Base64::default())
        } else if name.eq_ignore_ascii_case("quoted-printable") {
            Decoder::QuotedPrintable(QuotedPrintable::default())
        } else {
            Decoder::Identity
        }
    }

    /// Decodes the next bytes; `scratch` is reused for what cannot be borrowed from `input`.
    pub fn decode<'a>(&mut self, input: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        match self {
            Decoder::Identity => return input,
            Decoder::Base64(base64) => base64.decode(input, scratch),
            Decoder::QuotedPrintable(qp) => qp.decode(input, scratch),
        }
        scratch
    }

    /// What is left when the part is over; the decoder begins anew.
    pub fn finish(&mut self, scratch: &mut Vec<u8>) {
        scratch.clear();
        match self {
            Decoder::Identity => {}
            Decoder::Base64(base64) => base64.finish(scratch),
            Decoder::QuotedPrintable(qp) => qp.finish(scratch),
        }
    }
}

const SKIP: u8 = 0xff;
const PAD: u8 = 0xfe;

const BASE64: [u8; 256] = {
    let mut table = [SKIP; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < alphabet.len() {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'=' as usize] = PAD;
    table
};

fn sextet(byte: u8) -> u8 {
    BASE64.get(usize::from(byte)).copied().unwrap_or(SKIP)
}

/// Base64 that skips what is not of its alphabet, and goes on after padding (bodies put together from several).
#[derive(Debug, Default)]
pub struct Base64 {
    bits: u32,
    count: u8,
}

impl Base64 {
    fn decode(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() / 4 * 3 + 3);
        while !input.is_empty() {
            if self.count == 0 {
                input = self.quads(input, out);
            }
            let Some((&byte, rest)) = input.split_first() else { break };
            input = rest;
            self.byte(byte, out);
        }
    }

    /// Whole groups of four, as long as nothing else stands between them.
    fn quads<'a>(&self, mut input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        while let Some((&[a, b, c, d], rest)) = input.split_first_chunk::<4>() {
            let (a, b, c, d) = (sextet(a), sextet(b), sextet(c), sextet(d));
            if (a | b | c | d) & 0xc0 != 0 {
                break;
            }
            let bits = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
            let [_, x, y, z] = bits.to_be_bytes();
            out.extend_from_slice(&[x, y, z]);
            input = rest;
        }
        input
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match sextet(byte) {
            SKIP => {}
            PAD => self.finish(out),
            value => {
                self.bits = self.bits << 6 | u32::from(value);
                self.count += 1;
                if self.count == 4 {
                    let [_, x, y, z] = self.bits.to_be_bytes();
                    out.extend_from_slice(&[x, y, z]);
                    *self = Base64::default();
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self.count {
            2 => out.push((self.bits >> 4) as u8),
            3 => out.extend_from_slice(&[(self.bits >> 10) as u8, (self.bits >> 2) as u8]),
            _ => {}
        }
        *self = Base64::default();
    }
}

/// Blanks kept until it is known whether text follows them; a line of nothing but blanks is longer than this nowhere
/// but in an attack, and then keeps them.
const BLANKS: usize = 1024;

/// Quoted-printable; what is no valid escape stays as it is (RFC 2045 §6.7, "robust implementation").
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    /// `=` and what followed it: at most two bytes, or blanks of a soft line break.
    escape: Vec<u8>,
    /// Blanks and CR that go if the line ends.
    blanks: Vec<u8>,
}

impl QuotedPrintable {
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        for &byte in input {
            self.byte(byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if !self.escape.is_empty() {
            return self.escaped(byte, out);
        }
        match byte {
            b' ' | b'\t' | b'\r' if self.blanks.len() < BLANKS => self.blanks.push(byte),
            b'\n' => {
                let crlf = self.blanks.last() == Some(&b'\r');
                self.blanks.clear();
                out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            }
            _ => {
                out.append(&mut self.blanks);
                if byte == b'=' { self.escape.push(byte) } else { out.push(byte) }
            }
        }
    }

    fn escaped(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.escape.as_slice(), byte) {
            // A soft line break, with or without blanks before its end.
            (_, b'\n') if self.escape.iter().skip(1).all(|b| b" \t\r".contains(b)) => self.escape.clear(),
            (_, b' ' | b'\t' | b'\r') if self.escape.len() < BLANKS => self.escape.push(byte),
            ([b'='], _) if byte.is_ascii_hexdigit() => self.escape.push(byte),
            (&[b'=', high], _) if high.is_ascii_hexdigit() && byte.is_ascii_hexdigit() => {
                out.push(hex(high) << 4 | hex(byte));
                self.escape.clear();
            }
            _ => {
                out.append(&mut self.escape);
                self.byte(byte, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.escape.as_slice() != b"=" {
            out.append(&mut self.escape);
        }
        self.escape.clear();
        self.blanks.clear();
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    /// Decodes `input` in pieces of every size and expects the same each time.
    fn check(encoding: &str, input: &[u8], expected: &[u8]) {
        for size in 1..=input.len().max(1) {
            let mut decoder = Decoder::for_encoding(encoding);
            let (mut out, mut scratch) = (Vec::new(), Vec::new());
            for piece in input.chunks(size) {
                let decoded = decoder.decode(piece, &mut scratch).to_vec();
                out.extend_from_slice(&decoded);
            }
            decoder.finish(&mut scratch);
            out.extend_from_slice(&scratch);
            assert_eq!(out, expected, "{:?} in pieces of {size}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn base64_vectors() {
        // RFC 4648 §10.
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            check("base64", encoded.as_bytes(), plain.as_bytes());
            check(" BASE64 ", encoded.as_bytes(), plain.as_bytes());
        }
    }

    #[test]
    fn base64_oddities() {
        check("base64", b"Zm9v\r\nYmFy\r\n", b"foobar");
        check("base64", b"Zm 9v!\nYm*Fy", b"foobar");
        // Missing padding; bodies joined after padding; a lone sextet.
        check("base64", b"Zm9vYg", b"foob");
        check("base64", b"Zg==Zm8=", b"ffo");
        check("base64", b"Zm9vY", b"foo");
    }

    #[test]
    fn quoted_printable() {
        // The example of RFC 2045 §6.7.
        check(
            "quoted-printable",
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
            b"Now's the time for all folk to come to the aid of their country.",
        );
        check("Quoted-Printable", b"a=3Db=c3=A9\r\n", b"a=b\xc3\xa9\r\n");
        check("quoted-printable", b"blanks go \t\r\nstay here\n", b"blanks go\r\nstay here\n".as_slice());
        check("quoted-printable", b"soft with blanks= \t\r\nend", b"soft with blanksend");
        check("quoted-printable", b"bad =zz and =4 and ==41", b"bad =zz and =4 and =A");
        check("quoted-printable", b"cut here=", b"cut here");
        check("quoted-printable", b"lone\rCR", b"lone\rCR");
    }
}
