#!/bin/sh
# Real clients against a real Dovecot and Postfix on loopback, captured, then held against mailcap:
#
#     tests/real-servers.sh [PATH-TO-mailcap]
#
# Everything happens in a temporary folder with its own configuration, ports and users; no service of the system is
# used or touched. KEEP=1 keeps the folder. Exit code: 0 all agrees, or skipped, with a word on what is missing; 1 a
# difference; 2 the set-up failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mailcap=${1:-${MAILCAP:-$here/../target/release/mailcap}}
PATH=$PATH:/usr/sbin:/sbin

skip=
missing() {
    echo "skipped: $1"
    skip=yes
}
for program in dovecot postfix python3 openssl tcpdump swaks curl mbsync; do
    command -v "$program" >/dev/null || missing "$program is not installed"
done
[ "$(id -u)" = 0 ] || missing "only root can start Postfix and capture on loopback"
[ -z "$skip" ] || exit 0
perl -MAuthen::SASL -e 1 2>/dev/null || missing "swaks can not do DIGEST-MD5 without the Perl module Authen::SASL"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || missing "python3 is older than 3.9"
case $(dovecot --version) in
    2.3.*) ;;
    *) missing "the configuration here is for Dovecot 2.3" ;;
esac
libexec=$(doveconf -d -h libexec_dir)
for part in imap pop3 lmtp managesieve; do
    [ -x "$libexec/$part" ] || missing "dovecot's $part is not installed"
done
[ -z "$skip" ] || exit 0
[ -x "$mailcap" ] || {
    echo "no mailcap at $mailcap: cargo build --release, or give its path" >&2
    exit 2
}
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/real-servers/run.py" "$(cd "$(dirname "$mailcap")" && pwd)/$(basename "$mailcap")"
