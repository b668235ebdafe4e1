# The database, its roles, the topics, our processes and the demonstration. Sourced after servers.sh.

# A shell that has joined in by --env must not change what is started here.
unset GOALSYNC_DATABASE_URL GOALSYNC_REDIS_URL GOALSYNC_KAFKA_BROKERS GOALSYNC_SERVER GOALSYNC_TOKEN_FILE ${!GOALSYNC_KEY_*}

# A second replica is named with a number behind it: scheduler.2
services=${GOALSYNC_SERVICES:-scheduler progress-writer fetch-in-boundary fetch-cross-boundary fetch-third-party notifier gateway}
roles="operator scheduler progress-writer fetch-in-boundary fetch-cross-boundary fetch-third-party gateway notifier"
categories="IN_BOUNDARY CROSS_BOUNDARY THIRD_PARTY"

# role_of SERVICE: the database role it signs in as.
role_of() {
    local service=${1%%.*}
    echo "goalsync_${service//-/_}"
}

# database_url ROLE [DATABASE]
database_url() {
    printf 'postgresql://%s:%s@127.0.0.1:%s/%s?sslmode=verify-full&sslrootcert=%s' "$1" "$(secret "$1")" "$(state postgres)" \
        "${2:-goalsync}" "$run_dir/tls/ca.crt"
}

redis_url() { printf 'redis://default:%s@127.0.0.1:%s/0' "$(secret redis)" "$(state redis)"; }

# The category keys; the first start makes them. Losing them means entering every credential again.
make_keys() {
    local c file
    mkdir -p "$run_dir/secret"
    chmod 700 "$run_dir/secret"
    for c in $categories; do
        file=$run_dir/secret/key_$c
        [ -s "$file" ] || (umask 077; printf 'local1:%s\n' "$(head -c 32 /dev/urandom | base64 -w0)" >"$file")
    done
}

# put FILE TEXT: whole or not at all, for a process that starts now may read it.
put() {
    (umask 077; printf '%s' "$2" >"$1.$BASHPID" && mv "$1.$BASHPID" "$1")
}

# Settings of one process, as arguments of env(1): what it needs and nothing else.
settings_of() {
    local service=$1 category
    mkdir -p "$run_dir/secret" "$run_dir/ready"
    put "$run_dir/secret/url_$service" "$(database_url "$(role_of "$service")")"
    put "$run_dir/secret/url_redis" "$(redis_url)"
    printf '%s\0' "GOALSYNC_DATABASE_URL_FILE=$run_dir/secret/url_$service" "GOALSYNC_KAFKA_BROKERS=$(state kafka)" \
        "GOALSYNC_READY_FILE=$run_dir/ready/$service" "GOALSYNC_PERIOD=$(period)"
    case $service in
    fetch-*)
        category=${service#fetch-}
        category=${category%%.*}
        category=${category//-/_}
        category=${category^^}
        # The demonstration's source is on this machine.
        printf '%s\0' "GOALSYNC_REDIS_URL_FILE=$run_dir/secret/url_redis" "GOALSYNC_KEY_${category}_FILE=$run_dir/secret/key_$category" \
            "GOALSYNC_FETCH_ALLOW_PRIVATE=yes"
        ;;
    notifier*)
        # Who tries webhooks here has the receiver on this machine.
        printf '%s\0' "GOALSYNC_KEY_THIRD_PARTY_FILE=$run_dir/secret/key_THIRD_PARTY" \
            "GOALSYNC_NOTIFIER_ALLOW_PRIVATE=yes" "GOALSYNC_NOTIFIER_ALLOW_PLAIN=yes"
        ;;
    operator)
        for category in $categories; do printf '%s\0' "GOALSYNC_KEY_${category}_FILE=$run_dir/secret/key_$category"; done
        ;;
    gateway*)
        for category in $categories; do printf '%s\0' "GOALSYNC_KEY_${category}_FILE=$run_dir/secret/key_$category"; done
        secret gateway >/dev/null
        printf '%s\0' "GOALSYNC_GATEWAY_LISTEN=$(gateway_address "$service")" "GOALSYNC_GATEWAY_SECRET_FILE=$run_dir/secret/gateway" \
            "GOALSYNC_GATEWAY_PUBLIC_URL=http://$(state "$service")" "GOALSYNC_BOOTSTRAP_TOKEN_FILE=$run_dir/secret/bootstrap_token" \
            "GOALSYNC_NOTIFIER_ALLOW_PRIVATE=yes" "GOALSYNC_NOTIFIER_ALLOW_PLAIN=yes"
        ;;
    esac
}

# Where it is wanted, else the port a gateway had before, so that people and sign-in services find it again.
gateway_address() {
    pid_of "$1" >/dev/null || set_state "$1" "${GOALSYNC_GATEWAY_LISTEN:-127.0.0.1:$(sticky_port "$1")}"
    state "$1"
}

# How often every link is asked: the demonstration's default is a minute, so that something can be seen.
period() { echo "${GOALSYNC_PERIOD:-1m}"; }

operator() {
    local settings
    mapfile -d '' settings < <(settings_of operator)
    env -u GOALSYNC_READY_FILE "${settings[@]}" GOALSYNC_READY_FILE= "$build_dir/bin/goalsync" "$@"
}

migrate() {
    local role
    [ "$(owner_psql postgres -At -c "SELECT count(*) FROM pg_database WHERE datname = 'goalsync'")" = 1 ] ||
        owner_psql postgres -c 'CREATE DATABASE goalsync' || return 1
    # Connecting and creating things in it is for the roles made below.
    owner_psql goalsync -c 'REVOKE ALL ON DATABASE goalsync FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC' || return 1
    GOALSYNC_DATABASE_URL="postgresql://goalsync_owner:$(secret postgres)@127.0.0.1:$(state postgres)/goalsync?sslmode=verify-full&sslrootcert=$run_dir/tls/ca.crt" \
        logged migrate "$build_dir/bin/goalsync" migrate || return 1
    for role in $roles; do
        role=$(role_of "$role")
        printf "ALTER ROLE %s LOGIN PASSWORD '%s'; GRANT CONNECT ON DATABASE goalsync TO %s;\n" "$role" "$(secret "$role")" "$role"
    done | owner_psql goalsync || return 1
}

make_topics() {
    [ "$(state broker)" = devbroker ] && return # it was given its topics at its start
    await 30 $$ operator topics create --partitions "${GOALSYNC_TOPIC_PARTITIONS:-4}" >"$log_dir/topics.log" 2>&1 && return
    GOALSYNC_TAIL=5 logged topics operator topics create
}

service_start() {
    local service=$1 settings pid
    if pid=$(pid_of "$service"); then
        # One whose program was built anew under it is started anew.
        case $(readlink "/proc/$pid/exe") in *' (deleted)') end "$service" TERM 30 ;; *) return ;; esac
    fi
    rm -f "$run_dir/ready/$service"
    mapfile -d '' settings < <(settings_of "$service")
    spawn "$service" env "${settings[@]}" "$build_dir/bin/goalsync-${service%%.*}"
}

services_start() {
    local service pid
    for service in $services; do service_start "$service"; done
    for service in $services; do
        await 60 "$(pid_of "$service" || echo 0)" test -s "$run_dir/ready/$service" ||
            { tail_of "$service"; die "goalsync-$service did not become ready" "see $log_dir/$service.log"; }
    done
}

# Does the gateway know the token in this file? Tokens stay out of arguments, which all can see.
token_good() {
    local status
    [ -s "$1" ] || return 1
    status=$(curl -s -m 30 -o /dev/null -w '%{http_code}' -H @- "http://$(state gateway)/api/v1/me" <<<"Authorization: Bearer $(cat "$1")")
    [ "$status" != 401 ]
}

# make_token [--email EMAIL]: secret/token, which the command line works with at once. The one that the gateway left for its first
# administrator stays what it is; used or expired, it is nothing that anybody should find.
make_token() {
    local file=$run_dir/secret/token
    token_good "$run_dir/secret/bootstrap_token" || rm -f "$run_dir/secret/bootstrap_token"
    token_good "$file" && return
    rm -f "$file"
    operator token create --tenant-admin "$@" --name scripts/run --days 365 --out "$file" >"$log_dir/token.log" 2>&1
}

services_stop() {
    local service pid
    # All are asked at once, so that their drains overlap.
    for service in $services; do
        pid=$(pid_of "$service") && kill -TERM "$pid" 2>/dev/null
    done
    for service in $services; do end "$service" TERM 30; done
}

# ---------------------------------------------------------------- the demonstration

# A database of another company's shop beside ours, and a reader of it: the real source of the demonstration's numbers.
demo_source() {
    [ "$(owner_psql postgres -At -c "SELECT count(*) FROM pg_database WHERE datname = 'demo_shop'")" = 1 ] && return
    owner_psql postgres -c 'CREATE DATABASE demo_shop' || return 1
    { printf "CREATE ROLE demo_reader LOGIN PASSWORD '%s'; CREATE ROLE demo_shop LOGIN PASSWORD '%s';\n" "$(secret demo_reader)" "$(secret demo_shop)"
      cat "$root/scripts/lib/demo.sql"; } | owner_psql demo_shop
}

# The body of a request that connects the shop: secret/demo_connection.json. Written anew each time, for ports may change.
demo_connection() {
    put "$run_dir/secret/demo_connection.json" "$(printf '{"integration":"postgresql","name":"Shop","settings":{"host":"127.0.0.1",'
        printf '"port":"%s","database":"demo_shop","ca_pem":"%s"},' "$(state postgres)" "$(awk '{ printf "%s\\n", $0 }' "$run_dir/tls/ca.crt")"
        printf '"secret":{"user":"demo_reader","password":"%s"}}\n' "$(secret demo_reader)")"
}

demo() {
    demo_connection
    [ -s "$run_dir/state/demo" ] && return
    demo_source || return 1
    . "$root/scripts/lib/demo.sh"
    demo_load || return 1
    set_state demo loaded
}
