#!/bin/sh
# Runs mailcap, tshark and tcpdump side by side over generated captures and prints the table of docs/performance.md.
# usage: benches/compare.sh [MEGABYTES] [WORKLOAD...]        (100, all workloads)
# Needs cargo, tshark, tcpdump and GNU time. RUNS (3) is how often each command runs; the fastest counts.
set -eu
cd "$(dirname "$0")/.."
megabytes=${1:-100}
[ $# -gt 0 ] && shift
workloads=${*:-plain lossy noise scan tls bulk-cbc bulk-gcm}
key=testdata/keys/encoded/rsa2048.pkcs8.pem
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if [ -z "${MAILCAP:-}" ]; then
    cargo build --release --quiet
    MAILCAP=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/mailcap
fi

# The fastest of RUNS: seconds of wall clock, seconds of processor, megabytes.
best() {
    i=0
    while [ "$i" -lt "${RUNS:-3}" ]; do
        # An incomplete session is exit code 3, no mail at all is 1: both are results here.
        /usr/bin/time -q -a -o "$dir/times" -f '%e %U %S %M' "$@" > "$dir/out" 2> /dev/null || true
        i=$((i + 1))
    done
    sort -n "$dir/times" | awk 'NR == 1 { printf "%.2f %.2f %d\n", $1, $2 + $3, $4 / 1024 }'
    rm -f "$dir/times"
}

echo "| workload | command | wall s | processor s | peak MB | tshark's processor time, times less |"
echo "|---|---|---|---|---|---|"
row() {
    name=$1 command=$2
    shift 2
    set -- $(best "$@")
    [ "$command" = tshark ] && tshark_cpu=$2
    ratio=$(awk -v a="$tshark_cpu" -v b="$2" 'BEGIN { if (b > 0) printf "%.0f", a / b; else print "·" }')
    echo "| $name | $command | $1 | $2 | $3 | $ratio |"
}
for workload in $workloads; do
    capture=$dir/$workload.pcap
    cargo bench --quiet --bench generate -- "$workload" "$megabytes" "$capture" > /dev/null
    cat "$capture" > /dev/null
    row "$workload" tshark tshark -n -r "$capture" -o "tls.keys_list:,465,smtp,$key"
    row "$workload" tcpdump tcpdump -r "$capture" -w /dev/null
    row "$workload" 'sessions -j 1' "$MAILCAP" sessions --json -j 1 -k "$key" "$capture"
    row "$workload" sessions "$MAILCAP" sessions --json -k "$key" "$capture"
    row "$workload" decode "$MAILCAP" decode --json -k "$key" "$capture"
    rm -f "$capture"
done
