//! Values of options, each with an error that says what was expected.

use std::path::PathBuf;

use mailcap::event::Protocol;
use mailcap::output::filter::Network;
use mailcap::output::time::Zone;
use mailcap::pipeline::DecodeAs;

use zeroize::Zeroizing;

/// A key as tshark's `tls.keys_list` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TsharkKey {
    /// The key file. The address is not needed: keys are matched by certificate.
    pub(crate) file: PathBuf,
    /// What it says of a port that is no mail port.
    pub(crate) decode_as: Option<DecodeAs>,
}

pub(super) fn protocol(text: &str) -> Result<Protocol, String> {
    match named(text) {
        Some((Some(protocol), false)) => Ok(protocol),
        Some((Some(protocol), true)) => {
            Err(format!("{0} is also {0} inside TLS; use --port to tell them apart", protocol.as_str()))
        }
        _ => Err("expected smtp, lmtp, imap, pop3 or sieve".to_owned()),
    }
}

/// A protocol by its name or tshark's, and whether TLS comes first.
fn named(text: &str) -> Option<(Option<Protocol>, bool)> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "smtp" => (Some(Protocol::Smtp), false),
        "lmtp" => (Some(Protocol::Lmtp), false),
        "imap" => (Some(Protocol::Imap), false),
        "pop" | "pop3" => (Some(Protocol::Pop3), false),
        "sieve" | "managesieve" => (Some(Protocol::Sieve), false),
        "smtps" => (Some(Protocol::Smtp), true),
        "imaps" => (Some(Protocol::Imap), true),
        "pop3s" | "pops" => (Some(Protocol::Pop3), true),
        "tls" | "ssl" => (None, true),
        _ => return None,
    })
}

pub(super) fn decode_as(text: &str) -> Result<DecodeAs, String> {
    let expected = || {
        "expected tcp.port==N,PROTOCOL with smtp, lmtp, imap, pop3, sieve, smtps, imaps, pop3s or tls, as in \
         tcp.port==2587,smtp"
            .to_owned()
    };
    let (port, name) = text.split_once(',').ok_or_else(expected)?;
    let port = port.trim().strip_prefix("tcp.port").map(str::trim_start).ok_or_else(expected)?;
    let port = port.strip_prefix("==").or_else(|| port.strip_prefix('=')).ok_or_else(expected)?;
    let port = port.trim().parse().ok().filter(|p| *p != 0).ok_or_else(expected)?;
    let (protocol, tls) = named(name).ok_or_else(expected)?;
    Ok(DecodeAs { port, protocol, tls })
}

pub(super) fn tshark_key(text: &str) -> Result<TsharkKey, String> {
    let mut fields = text.splitn(4, ',');
    let (Some(_ip), Some(port), Some(protocol), Some(file)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err("expected IP,PORT,PROTOCOL,FILE, as in 94.127.66.53,25,smtp,server.key".to_owned());
    };
    let file = file.trim();
    if file.is_empty() {
        return Err("the key file is missing after the third comma".to_owned());
    }
    if file.contains(',') && !std::path::Path::new(file).exists() {
        return Err("a password must not be on the command line; use --key-password-file".to_owned());
    }
    let (port, protocol) = (port.trim(), protocol.trim());
    let number = match port {
        "start_tls" | "" | "any" | "data" => None,
        port => match port.parse::<u16>() {
            Ok(0) => None,
            Ok(number) => Some(number),
            Err(_) => return Err(format!("{port:?} is neither a port nor start_tls")),
        },
    };
    // On a mail port content decides anyway; elsewhere it is the user's word.
    let decode_as = number
        .filter(|n| Protocol::of_port(*n).is_none())
        .zip(named(protocol))
        .filter(|(_, (protocol, _))| protocol.is_some())
        .map(|(port, (protocol, _))| DecodeAs { port, protocol, tls: false });
    Ok(TsharkKey { file: PathBuf::from(file), decode_as })
}

/// A pre-shared key's bytes. The value is not repeated in the error: it is a secret.
pub(super) fn hex(text: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    const WRONG: &str = "expected an even number of hexadecimal digits";
    // Room for all of it from the beginning: what grows leaves copies behind.
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    digits.extend(text.bytes().filter(|b| !matches!(b, b':' | b' ')));
    let digits = digits.strip_prefix(b"0x").unwrap_or(&digits);
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(WRONG);
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        let &[high, low] = pair else { return Err(WRONG) };
        bytes.push(value(high).ok_or(WRONG)? << 4 | value(low).ok_or(WRONG)?);
    }
    Ok(bytes)
}

pub(super) fn session(text: &str) -> Result<u64, String> {
    text.trim()
        .parse()
        .map_err(|_| "expected a session number (ID in `mailcap sessions`), as in 17 or 17,42".to_owned())
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.trim().parse().map_err(|_| "expected a port number, as in 587 or 25,587".to_owned())
}

pub(super) fn jobs(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|n| (1..=1024).contains(n));
    number.ok_or_else(|| "expected a number of threads, 1 to 1024".to_owned())
}

pub(super) fn network(text: &str) -> Result<Network, String> {
    let expected = "expected an IP address or a network, as in 10.0.0.5 or 10.0.0.0/8 (names are never looked up; a port is for \
                    --port)";
    Network::parse(text).ok_or_else(|| expected.to_owned())
}

pub(super) fn zone(text: &str) -> Result<Zone, String> {
    Zone::parse(text)
        .ok_or_else(|| "expected UTC, local, a zone as in Europe/Berlin, or an offset as in +02:00".to_owned())
}

/// Least memory that makes sense: buffers of the readers alone take some of it.
const LEAST_MEMORY: usize = 16 << 20;

pub(super) fn size(text: &str) -> Result<usize, String> {
    let expected = || "expected a size of at least 16M, as in 512M or 2G".to_owned();
    bytes(text).filter(|b| *b >= LEAST_MEMORY).ok_or_else(expected)
}

/// Bytes, as in 64M.
pub(super) fn any_size(text: &str) -> Result<usize, String> {
    bytes(text).ok_or_else(|| "expected a size, as in 64M or 2G".to_owned())
}

fn bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(1_usize.checked_shl(shift)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_as_takes_wiresharks_syntax() {
        let smtp = DecodeAs { port: 2587, protocol: Some(Protocol::Smtp), tls: false };
        assert_eq!(decode_as("tcp.port==2587,smtp"), Ok(smtp));
        assert_eq!(decode_as("tcp.port == 2587, SMTP"), Ok(smtp));
        assert_eq!(
            decode_as("tcp.port==9995,pop3s"),
            Ok(DecodeAs { port: 9995, protocol: Some(Protocol::Pop3), tls: true })
        );
        assert_eq!(decode_as("tcp.port==4433,tls"), Ok(DecodeAs { port: 4433, protocol: None, tls: true }));
        for bad in [
            "2587,smtp",
            "tcp.port==0,smtp",
            "tcp.port==70000,smtp",
            "tcp.port==25",
            "tcp.port==25,http",
            "",
            "udp.port==25,smtp",
        ] {
            assert!(decode_as(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tsharks_keys_with_start_tls_in_either_place() {
        let plain = TsharkKey { file: "server.key".into(), decode_as: None };
        for text in [
            "94.127.66.53,25,smtp,server.key",
            "94.127.66.53,start_tls,smtp,server.key",
            "94.127.66.53,587,start_tls,server.key",
            "any,0,smtp,server.key",
        ] {
            assert_eq!(tshark_key(text), Ok(plain.clone()), "{text}");
        }
        let odd = tshark_key("10.0.0.1,2110,pop,server.key").unwrap();
        assert_eq!(odd.decode_as, Some(DecodeAs { port: 2110, protocol: Some(Protocol::Pop3), tls: false }));
        for bad in ["server.key", "1.2.3.4,25,smtp", "1.2.3.4,25,smtp,", "1.2.3.4,x,smtp,k", "1.2.3.4,25,smtp,k,secret"]
        {
            assert!(tshark_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(*hex("0aFF").unwrap(), [0x0a, 0xff]);
        assert_eq!(*hex("0x0a:ff").unwrap(), [0x0a, 0xff]);
        for bad in ["", "abc", "zz", "0x"] {
            assert!(hex(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("16777216"), Ok(16 << 20));
        for bad in ["", "M", "1M", "12X", "-5G", "99999999999999999999G", "18446744073709551615T"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
