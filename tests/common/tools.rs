//! Programs that a few tests hold mailcap against.

/// Says that a test goes without that program; fails where all are known to be there (`.ci/run`).
pub(crate) fn lacking(program: &str) {
    assert!(std::env::var_os("MAILCAP_ALL_TOOLS").is_none(), "{program} is not installed");
    eprintln!("skipped: {program} is not installed");
}
