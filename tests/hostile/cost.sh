#!/usr/bin/env bash
# What each shape costs `mailcap decode --json`, and what it costs at double size: instructions (millions, counted by
# valgrind, so that the machine's load does not matter), and peak memory (MiB) at 8, 16 and 32 times the first size.
# Rows of the table in cost.md; docs/reliability.md has those that stand out.
#
#   MAILCAP_SHAPES=DIR cargo test --test hostile write_shapes -- --ignored
#   tests/hostile/cost.sh DIR target/release/mailcap [NAME…]
set -euo pipefail
dir=$1 mailcap=$2
shift 2
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$dir" && ls -tr ./*.1 | sed 's/.*\/\(.*\)\.1$/\1/')
out=$(mktemp)
trap 'rm -f "$out"' EXIT

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$mailcap" decode --json "$1" > /dev/null 2> "$out" || true
    sed -n 's/.*Collected : \([0-9]*\)$/\1/p' "$out"
}

memory() {
    /usr/bin/time -f '%M' -o "$out" timeout 300 "$mailcap" decode --json "$1" > /dev/null 2>&1 || true
    tail -1 "$out"
}

# What any run costs.
idle=$(instructions /dev/null)
for name in "${names[@]}"; do
    file=$dir/$name
    awk -v name="${name//_/ }" -v idle="$idle" -v a="$(instructions "$file.1")" -v b="$(instructions "$file.2")" \
        -v m="$(memory "$file.8")" -v m2="$(memory "$file.16")" -v m4="$(memory "$file.32")" 'BEGIN {
        printf "| %s | %.0f | %.0f | %.2f | %.0f | %.0f | %.0f |\n", name, (a - idle) / 1e6, (b - idle) / 1e6,
            (b - idle) / (a - idle), m / 1024, m2 / 1024, m4 / 1024
    }'
done
