#!/usr/bin/env bash
# A depository in ./demo with the sample case: deposited, listed, verified, checked.
# Started from a terminal it stays up afterwards, until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/bin:$PATH"
dir=demo case=cmd/muniment/testdata/case
listen=${DEMO_LISTEN:-127.0.0.1:8080}

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

if [ -e "$dir" ]; then
    echo "./$dir is there from an earlier demo; it is made anew."
    rm -rf "./$dir"
fi
mkdir -p "$dir/receipts"
say munimentd init --dir "$dir/depository" --tenant-name 示范银行 | tee "$dir/init"
chmod 600 "$dir/init"
MUNIMENT_API_KEY=$(awk '$1 == "api-key:" { print $2 }' "$dir/init")
export MUNIMENT_API_KEY MUNIMENT_SERVER="http://$listen"

printf '\n\033[1m$ munimentd serve --dir %s --listen %s &\033[0m\n' "$dir/depository" "$listen"
munimentd serve --dir "$dir/depository" --listen "$listen" >"$dir/serving" 2>"$dir/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null' EXIT
for _ in $(seq 100); do
    kill -0 $server 2>/dev/null || { cat "$dir/log" >&2; exit 2; }
    grep -q serving "$dir/serving" && break
    sleep 0.1
done
cat "$dir/serving"

say muniment deposit "$case/loan-contract-zh.pdf" "$case/disbursement-voucher-zh.pdf" \
    "$case/repayments-HT-2026-000117.csv" --contract HT-2026-000117 --out "$dir/receipts"
say muniment case list HT-2026-000117
say muniment verify "$case/loan-contract-zh.pdf" \
    --receipt "$dir/receipts/loan-contract-zh.pdf.tlog-proof" --policy "$dir/depository/policy"
say munimentd fsck --dir "$dir/depository"

if [ -t 0 ]; then
    printf '\nThe depository runs at %s; its API key stands in ./%s/init, and signs in to\n%s/console/ as well. Ctrl-C stops it.\n' "$MUNIMENT_SERVER" "$dir" "$MUNIMENT_SERVER"
    wait $server
fi
