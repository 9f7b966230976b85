//! How sure a protocol is that it recognises itself in a connection's first bytes.

/// The answer of a protocol's `likely`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likely {
    /// Not this protocol.
    No,
    /// Too little was seen.
    NeedMore,
    /// It could be.
    Maybe,
    /// It is.
    Yes,
}

/// Whether the first line is HTTP's: a request, or a status line.
pub(crate) fn is_http(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let version = line.len().checked_sub(9).and_then(|at| line.get(at..));
    line.starts_with(b"HTTP/1.") || version.is_some_and(|end| end.starts_with(b" HTTP/1."))
}
