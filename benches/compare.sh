#!/usr/bin/env bash
# Runs mailcap, tshark and tcpdump in turn over generated captures and prints the tables of docs/performance.md: what each
# took, and the goals with what was reached.
# usage: benches/compare.sh [MEGABYTES] [WORKLOAD...]        (100, all workloads)
# Needs cargo, tshark, tcpdump, openssl and GNU time, and a machine that does nothing else.
#   RUNS=5       how often each command runs; medians count (tshark runs TSHARK_RUNS=1 times)
#   LENGTHS=     further lengths of `plain`, megabytes, at which only the peak memory is measured: "1024 10240"
#   MAILCAP=     the binary, if it is not to be built
set -euo pipefail
cd "$(dirname "$0")/.."
megabytes=${1:-100}
[ $# -gt 0 ] && shift
workloads=${*:-plain lossy noise scan tls bulk-cbc bulk-gcm}
runs=${RUNS:-5}
key=testdata/keys/encoded/rsa2048.pkcs8.pem
cores=$(nproc)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
TIMEFORMAT='%R %U %S'
if [ -z "${MAILCAP:-}" ]; then
    cargo build --release --quiet
    MAILCAP=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/mailcap
fi

# generate WORKLOAD MEGABYTES
generate() {
    cargo bench --quiet --bench generate -- "$1" "$2" "$dir/capture" > "$dir/generated"
    cat "$dir/capture" > "$dir/out" && rm "$dir/out"
    # What a build and the generator left to write would be written while commands run.
    sync
}

# once WORKLOAD LABEL COMMAND...: adds a line to results: name, seconds of wall clock and of processor, megabytes
once() {
    local name="$1/$2" wall user system
    shift 2
    # An incomplete session is exit code 3, no mail at all is 1: both are results here.
    { time /usr/bin/time -q -o "$dir/peak" -f %M "$@" > "$dir/out" 2> "$dir/err" || true; } 2> "$dir/time"
    read -r wall user system < "$dir/time"
    awk -v n="$name" -v w="$wall" -v u="$user" -v s="$system" \
        'END { printf "%s\t%.3f\t%.3f\t%.0f\n", n, w, u + s, $1 / 1024 }' "$dir/peak" >> "$dir/results"
}

# get NAME COLUMN: the median
get() {
    awk -F'\t' -v n="$1" -v c="$2" '$1 == n { print $c }' "$dir/results" | sort -n |
        awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)]; else print "nan" }'
}

calc() {
    awk "BEGIN { $1 }"
}

: > "$dir/results"
: > "$dir/goals"
# goal TEXT WANTED MEASURED: WANTED is ">= 40" or "<= 2"
goal() {
    local met
    met=$(calc "print (\"$3\" != \"nan\" && $3 + 0 $2) ? \"met\" : \"**not met**\"")
    echo "| $1 | $2 | $3 | $met |" >> "$dir/goals"
}

# ratio A COLUMN B: quotient of two medians
ratio() {
    calc "a = \"$(get "$1" "$2")\"; b = \"$(get "$3" "$2")\"; if (b + 0 > 0) printf \"%.2f\", a / b; else print \"nan\""
}

# rate NAME DIGEST-OR-CIPHER...: adds OpenSSL's MB/s on one core, 16 KiB at a time, to results
rate() {
    local name=$1
    shift
    openssl speed -mr -seconds 1 -bytes 16384 "$@" 2> "$dir/err" |
        awk -F: -v n="$name" '/^\+F:/ { printf "%s\t%.0f\n", n, $4 / 1e6 }' >> "$dir/results"
}

# private_operations NAME PROCESSES: the same of operations a second
private_operations() {
    openssl speed -mr -seconds 1 -multi "$2" rsa2048 2> "$dir/err" |
        awk -F: -v n="$1" '/^\+F2:/ { printf "%s\t%.0f\n", n, $4 }' >> "$dir/results"
}

# bare WORKLOAD: what the cryptography alone takes, now
bare() {
    case $1 in
    tls)
        private_operations tls/one 1
        private_operations tls/all "$cores"
        ;;
    bulk-cbc)
        rate bulk-cbc/cipher -decrypt -evp aes-128-cbc
        rate bulk-cbc/mac -hmac sha1
        ;;
    esac
}

echo "$(date -u +%F), $cores cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $megabytes MB a capture;" \
    "$(tshark --version 2> /dev/null | head -1), $(openssl version)"
echo
echo "| workload | command | wall s | processor s | MB/s of capture | peak MB | times as fast as tshark |"
echo "|---|---|---|---|---|---|---|"
for workload in $workloads; do
    generate "$workload" "$megabytes"
    size=$(calc "printf \"%.1f\", $(stat -c %s "$dir/capture") / 1e6")
    labels="tshark tcpdump sessions-1 sessions decode-1 decode"
    for _ in $(seq "${TSHARK_RUNS:-1}"); do
        once "$workload" tshark tshark -n -r "$dir/capture"
        case $workload in tls | bulk*)
            labels="tshark tshark+key tcpdump sessions-1 sessions decode-1 decode"
            once "$workload" tshark+key tshark -n -r "$dir/capture" -o "tls.keys_list:,465,smtp,$key"
            ;;
        esac
    done
    for _ in $(seq "$runs"); do
        once "$workload" tcpdump tcpdump -r "$dir/capture" -w /dev/null
        once "$workload" sessions-1 "$MAILCAP" sessions --json -j 1 -k "$key" "$dir/capture"
        once "$workload" sessions "$MAILCAP" sessions --json -j "$cores" -k "$key" "$dir/capture"
        sessions=$(wc -l < "$dir/out")
        once "$workload" decode-1 "$MAILCAP" decode --json -j 1 -k "$key" "$dir/capture"
        once "$workload" decode "$MAILCAP" decode --json -j "$cores" -k "$key" "$dir/capture"
        bare "$workload"
    done
    for label in $labels; do
        name=$(echo "$label" | sed "s/^\(sessions\|decode\)-1$/\1 -j 1/; s/^\(sessions\|decode\)$/\1 -j $cores/; s/+/ with the /")
        wall=$(get "$workload/$label" 2)
        echo "| $workload | $name | $wall | $(get "$workload/$label" 3) | $(calc "printf \"%.0f\", $size / $wall")" \
            "| $(get "$workload/$label" 4) | $(ratio "$workload/tshark" 2 "$workload/$label") |"
    done

    faster=$(ratio "$workload/tshark" 2 "$workload/sessions")
    second=$(ratio "$workload/sessions-1" 2 "$workload/sessions")
    case $workload in
    plain | lossy | noise)
        goal "$workload: times as fast as tshark" ">= 40" "$faster"
        goal "$workload: times tcpdump's time" "<= 2" "$(ratio "$workload/sessions" 2 "$workload/tcpdump")"
        ;;
    scan)
        goal "scan: times as fast as tshark" ">= 20" "$faster"
        goal "scan: peak MB" "< 96" "$(get scan/sessions 4)"
        goal "scan: second core, no slower (3 % for the measurement)" ">= 0.97" "$second"
        ;;
    tls)
        took=$(get tls/sessions 2) one=$(get tls/one 2) all=$(get tls/all 2)
        goal "tls: times $sessions sessions ÷ $all private operations a second on $cores cores" "<= 1.2" \
            "$(calc "printf \"%.2f\", $took * $all / $sessions")"
        goal "tls: second core, of the bare operation's $(calc "printf \"%.2f\", $all / $one")" ">= 0.85" \
            "$(calc "printf \"%.2f\", $second / ($all / $one)")"
        ;;
    bulk*)
        goal "$workload: times as fast as tshark without the key" ">= 30" "$faster"
        goal "$workload: times as fast as tshark with the key" ">= 30" "$(ratio "$workload/tshark+key" 2 "$workload/sessions")"
        for label in sessions-1 sessions; do
            reached=$(calc "printf \"%.0f\", $size / $(get "$workload/$label" 2)")
            threads=$([ $label = sessions ] && echo "$cores" || echo 1)
            if [ "$workload" = bulk-gcm ]; then
                goal "bulk-gcm: MB/s, -j $threads" ">= 1000" "$reached"
            else
                bare=$(calc "printf \"%.0f\", 1 / (1 / $(get bulk-cbc/cipher 2) + 1 / $(get bulk-cbc/mac 2))")
                goal "bulk-cbc: of OpenSSL's cipher and MAC on one core, $bare MB/s, -j $threads" ">= 0.65" \
                    "$(calc "printf \"%.2f\", $reached / $bare")"
            fi
        done
        ;;
    esac
    case $workload in
    plain)
        goal "plain: decode, times as fast as tshark" ">= 20" "$(ratio plain/tshark 2 plain/decode)"
        goal "plain: second core" ">= 1.3" "$second"
        goal "plain: peak MB" "< 64" "$(get plain/sessions 4)"
        ;;
    noise) goal "noise: second core, no slower (3 % for the measurement)" ">= 0.97" "$second" ;;
    esac
    rm -f "$dir/capture"
done
for length in ${LENGTHS:-}; do
    generate plain "$length"
    once "plain$length" sessions "$MAILCAP" sessions --json "$dir/capture"
    once "plain$length" decode "$MAILCAP" decode --json "$dir/capture"
    goal "plain, $length MB: peak MB of sessions" "< 64" "$(get "plain$length/sessions" 4)"
    goal "plain, $length MB: peak MB of decode" "< 64" "$(get "plain$length/decode" 4)"
    rm -f "$dir/capture"
done
echo
echo "| goal of the project | wanted | reached | |"
echo "|---|---|---|---|"
cat "$dir/goals"
