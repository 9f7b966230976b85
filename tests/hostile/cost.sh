#!/usr/bin/env bash
# What each shape costs, and what it costs at double size: CPU seconds and peak memory of `mailcap decode --json`.
#
#   MAILCAP_SHAPES=DIR cargo test --test hostile write_shapes -- --ignored
#   tests/hostile/cost.sh DIR target/release/mailcap [NAME…]
#
# With CALLGRIND=1 instructions (millions) are counted instead of seconds: slower, and independent of the machine's load.
set -euo pipefail
dir=$1 mailcap=$2
shift 2
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$dir" && ls *.1 | sed 's/\.1$//')

measure() {
    local file=$1 out
    out=$(mktemp)
    if [ -n "${CALLGRIND:-}" ]; then
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$mailcap" decode --json "$file" >/dev/null 2>"$out" || true
        sed -n 's/.*Collected : \([0-9]*\)$/\1/p' "$out" | awk '{ printf "%.0f 0", $1 / 1e6 }'
    else
        /usr/bin/time -f '%U %S %M %x' -o "$out" timeout 120 "$mailcap" decode --json "$file" >/dev/null 2>&1 || true
        tail -1 "$out" | awk '{ printf "%.2f %.0f", $1 + $2, $3 / 1024 }'
    fi
    rm -f "$out"
}

printf '%-34s %9s %9s %7s %7s %7s\n' shape once twice ratio MiB MiB2
for name in "${names[@]}"; do
    read -r cost memory < <(measure "$dir/$name.1"; echo)
    read -r cost2 memory2 < <(measure "$dir/$name.2"; echo)
    ratio=$(awk -v a="$cost" -v b="$cost2" 'BEGIN { if (a > 0) printf "%.2f", b / a; else print "-" }')
    printf '%-34s %9s %9s %7s %7s %7s\n' "$name" "$cost" "$cost2" "$ratio" "$memory" "$memory2"
done
