# The demonstration's organisation: two objectives under one, key results linked to real queries. Sourced by services.sh.

# The number behind "id" in the JSON that a create command prints.
id_of() { sed -n 's/.*"id": *\([0-9]*\).*/\1/p' | head -n 1; }

demo_goal() { operator goal create --org "$org" --owner ada@example.org --json "$@" | id_of; }

# demo_link GOAL QUERY
demo_link() { operator link create --goal "$1" --connection "$connection" --set "query=$2" >>"$log_dir/demo.log"; }

demo_load() {
    local org connection company growth quality kr
    org=$(operator org create --name 'Acme Shop' --json | id_of)
    [ -n "$org" ] || return 1
    operator person add --org "$org" --name 'Ada Lovelace' --email ada@example.org --role owner >>"$log_dir/demo.log" || return 1
    operator integration enable postgresql --org "$org" --by ada@example.org --accept-terms >>"$log_dir/demo.log" || return 1
    connection=$(printf '{"user":"demo_reader","password":"%s"}' "$(secret demo_reader)" | operator connection create --org "$org" \
        --connector postgresql --name 'Shop database' --owner ada@example.org --set host=127.0.0.1 --set "port=$(state postgres)" \
        --set database=demo_shop --set sslmode=verify-full --set "ca_pem=$(cat "$run_dir/tls/ca.crt")" --secret-stdin --json | id_of)
    [ -n "$connection" ] || return 1

    company=$(demo_goal --kind objective --mode roll-up --title 'Be the shop people come back to')
    growth=$(demo_goal --kind objective --mode roll-up --title 'Grow what customers love' --parent "$company")
    quality=$(demo_goal --kind objective --mode roll-up --title 'Run a service that never disappoints' --parent "$company")

    kr=$(demo_goal --kind key-result --title 'Paying customers' --metric increase --start 400 --target 600 --parent "$growth") &&
        demo_link "$kr" "SELECT value FROM metric WHERE name = 'paying_customers'" || return 1
    kr=$(demo_goal --kind key-result --title 'Orders taken' --metric reach --target 1200 --parent "$growth") &&
        demo_link "$kr" 'SELECT count(*) FROM customer_order' || return 1
    kr=$(demo_goal --kind key-result --title 'Monthly churn' --metric decrease --start 5 --target 2 --unit % --parent "$growth") &&
        demo_link "$kr" "SELECT value FROM metric WHERE name = 'churn_percent'" || return 1
    kr=$(demo_goal --kind key-result --title 'Checkout latency, 95th percentile' --metric decrease --start 500 --target 250 --unit ms --parent "$quality") &&
        demo_link "$kr" "SELECT value FROM metric WHERE name = 'p95_latency_ms'" || return 1
    kr=$(demo_goal --kind key-result --title 'Uptime' --metric stay-above --target 99.9 --risk 99.5 --unit % --parent "$quality") &&
        demo_link "$kr" "SELECT value FROM metric WHERE name = 'uptime_percent'" || return 1
    kr=$(demo_goal --kind key-result --title 'Handbook written' --parent "$quality") &&
        demo_link "$kr" "SELECT value FROM metric WHERE name = 'docs_done_percent'" || return 1

    # Who joins in is Ada, and sees these goals.
    pid_of gateway >/dev/null || return 0
    rm -f "$run_dir/secret/token"
    make_token --email ada@example.org
}
