#!/bin/sh
# Counts the instructions of each layer's work (benches/layers.rs) with valgrind and holds them against
# benches/instructions.txt: unlike a time, a count does not depend on what else the machine does. It does on the compiler.
#
#     benches/instructions.sh           compares
#     benches/instructions.sh --save    writes the counts anew
#
# TOLERANCE (2) is how many percent more are let pass. Exit code: 0 no layer has more, or skipped, with a word on what is
# missing; 1 some layer has; 2 the set-up failed.
set -eu
cd "$(dirname "$0")/.."
counts=benches/instructions.txt
command -v valgrind > /dev/null || {
    echo "skipped: valgrind is not installed"
    exit 0
}
toolchain=$(rustc --version)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench() {
    cargo bench --quiet --profile release --bench layers "$@"
}
bench --no-run || exit 2
# Instructions of a process that does a layer's work so many times.
count() {
    runner="target.'cfg(all())'.runner=['valgrind','--tool=callgrind','--callgrind-out-file=/dev/null']"
    bench --config "$runner" -- --count "$1" "$2" > "$work/out" 2>&1 || {
        cat "$work/out" >&2
        exit 2
    }
    sed -n 's/.*Collected : *//p' "$work/out"
}
for layer in capture wire flow mail tls output; do
    # What comes before the work is in both, and differs a little from run to run.
    once=$(count "$layer" 1)
    often=$(count "$layer" 9)
    echo "$layer $(((often - once) / 8))"
done > "$work/now"
if [ "${1:-}" = --save ]; then
    { echo "# $toolchain"; cat "$work/now"; } > "$counts"
    cat "$counts"
    exit 0
fi
[ "$(head -n 1 "$counts")" = "# $toolchain" ] ||
    echo "note: $counts is of another compiler; run it with --save before the change, then after"
awk -v tolerance="${TOLERANCE:-2}" '
    NR == FNR { if ($1 != "#") before[$1] = $2; next }
    !before[$1] { printf "%-8s %13d  new\n", $1, $2; next }
    {
        change = 100 * ($2 - before[$1]) / before[$1]
        more = change > tolerance
        printf "%-8s %13d  %+.2f %%%s\n", $1, $2, change, more ? "  MORE" : ""
        bad += more
    }
    END { exit bad > 0 }' "$counts" "$work/now"
