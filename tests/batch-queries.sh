#!/bin/sh
# The queries of docs/batch.md, as they stand there, in DuckDB and Polars, held against mailcap's own output:
#
#     tests/batch-queries.sh [PATH-TO-mailcap]
#
# DuckDB and Polars are installed into a virtual environment in a temporary folder, or in VENV if that is set. Captures are
# those of testdata, and of MAILCAP_CORPUS if that is set. KEEP=1 keeps the folder. Exit code: 0 all agrees, or skipped,
# with a word on what is missing; 1 a difference; 2 the set-up failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mailcap=${1:-${MAILCAP:-$here/../target/release/mailcap}}

command -v python3 >/dev/null || {
    echo "skipped: python3 is not installed"
    exit 0
}
[ -x "$mailcap" ] || {
    echo "no mailcap at $mailcap: cargo build --release, or give its path" >&2
    exit 2
}
work=$(mktemp -d)
[ -n "${KEEP:-}" ] && echo "everything is in $work" || trap 'rm -rf "$work"' EXIT
venv=${VENV:-$work/venv}
if ! "$venv/bin/python" -c 'import duckdb, polars, pytz' 2>/dev/null; then
    python3 -m venv "$venv" 2>/dev/null || {
        echo "skipped: python3 has no venv"
        exit 0
    }
    "$venv/bin/pip" install -q duckdb polars pytz 2>"$work/pip" || {
        echo "skipped: DuckDB and Polars can't be installed: $(tail -n 1 "$work/pip")"
        exit 0
    }
fi
mailcap=$(cd "$(dirname "$mailcap")" && pwd)/$(basename "$mailcap")
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$here/batch-queries.py" "$mailcap" "$here/.." "$work"
