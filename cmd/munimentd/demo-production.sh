#!/usr/bin/env bash
# The depository as it runs in production, on one machine: the ledger in PostgreSQL,
# documents and anchor in S3, and three replicas behind a load balancer, one of which
# is killed. Started from a terminal it stays up afterwards, until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/bin:$PATH:/usr/sbin"
dir=demo-production case=cmd/muniment/testdata/case
listen=${DEMO_LISTEN:-127.0.0.1:8080}
replicas=(127.0.0.1:8081 127.0.0.1:8082 127.0.0.1:8083)

note() { printf '\n# %s\n' "$*"; }
show() { printf '\033[1m$ %s\033[0m\n' "$*"; }
say() { show "$@"; "$@"; }

if [ -e "$dir" ]; then
    echo "./$dir is there from an earlier demo; it is made anew."
    rm -rf "./$dir"
fi
mkdir -p "$dir/receipts" "$dir/nginx"

started=() stand=
end() {
    kill "${started[@]}" 2>/dev/null
    wait "${started[@]}" 2>/dev/null
    [ -z "$stand" ] || { exec {STAND[1]}>&-; wait "$stand" 2>/dev/null; }
}
trap end EXIT

note "PostgreSQL and an S3 server. They, and all that is in them, go when this script ends."
show "stand &"
coproc STAND { exec stand 2>"$dir/stand.log"; }
stand=$STAND_PID
cat <&"${STAND[0]}" >"$dir/settings" || true
[ -s "$dir/settings" ] || { cat "$dir/stand.log" >&2; exit 2; }
chmod 600 "$dir/settings"
sed -E 's#(muniment:)[^@]*@#\1********@#; s#(SECRET_KEY=)[^'"'"']*#\1********#' "$dir/settings"
. "$dir/settings"

note "One init makes keys, schema and the first tenant. What the replicas share of the directory is keys and policy."
say munimentd init --dir "$dir/depository" --tenant-name 示范银行 | tee "$dir/init"
chmod 600 "$dir/init"
MUNIMENT_API_KEY=$(awk '$1 == "api-key:" { print $2 }' "$dir/init")
export MUNIMENT_API_KEY

note "Three replicas. The first to start seals; each takes deposits and answers reads."
pids=()
for i in 0 1 2; do
    show "munimentd serve --dir $dir/depository --listen ${replicas[i]} &"
    munimentd serve --dir "$dir/depository" --listen "${replicas[i]}" >"$dir/serving-$i" 2>"$dir/log-$i" &
    pids[i]=$! started+=($!)
    for _ in $(seq 300); do
        kill -0 "${pids[i]}" 2>/dev/null || { cat "$dir/log-$i" >&2; exit 2; }
        grep -q serving "$dir/serving-$i" && break
        sleep 0.1
    done
    cat "$dir/serving-$i"
done

note "Before them nginx. A deposit has an Idempotency-Key, so one that a replica did not answer may go to the next."
cat >"$dir/nginx/nginx.conf" <<END
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 1g;
    proxy_next_upstream error timeout non_idempotent;
    upstream muniment {
$(printf '        server %s;\n' "${replicas[@]}")
    }
    server {
        listen $listen;
        location / { proxy_pass http://muniment; }
    }
}
END
show "nginx -p $dir/nginx -c nginx.conf &"
nginx -p "$PWD/$dir/nginx" -c nginx.conf -e error.log 2>"$dir/nginx.log" &
started+=($!)
for _ in $(seq 100); do
    kill -0 "${started[-1]}" 2>/dev/null || { cat "$dir/nginx.log" >&2; exit 2; }
    (: <"/dev/tcp/${listen%:*}/${listen##*:}") 2>/dev/null && break
    sleep 0.1
done
export MUNIMENT_SERVER="http://$listen"
echo "serving on $MUNIMENT_SERVER"

note "Deposited through the load balancer, read through replica 2."
say muniment deposit "$case/loan-contract-zh.pdf" "$case/disbursement-voucher-zh.pdf" \
    --contract HT-2026-000117 --out "$dir/receipts" --policy "$dir/depository/policy"
say muniment case list HT-2026-000117 --server "http://${replicas[1]}"

note "Replica 1, which seals, is killed without a warning. The next deposit goes the same way as before."
say kill -KILL "${pids[0]}"
wait "${pids[0]}" 2>/dev/null || true
say muniment deposit "$case/repayments-HT-2026-000117.csv" --contract HT-2026-000117 --out "$dir/receipts" --policy "$dir/depository/policy"
say muniment case list HT-2026-000117 --server "http://${replicas[2]}"

note "Each receipt verifies with document and policy alone: no server is asked."
for document in loan-contract-zh.pdf repayments-HT-2026-000117.csv; do
    say muniment verify "$case/$document" \
        --receipt "$dir/receipts/$document.tlog-proof" --policy "$dir/depository/policy"
done

note "All that PostgreSQL and S3 hold, read and hashed again while the two others serve."
say munimentd fsck --dir "$dir/depository"

if [ -t 0 ]; then
    printf '\nTwo replicas run behind %s; the API key stands in ./%s/init. Ctrl-C stops all.\n' "$MUNIMENT_SERVER" "$dir"
    wait "${pids[1]}"
fi
