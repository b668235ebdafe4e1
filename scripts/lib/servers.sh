# PostgreSQL, Redis and Kafka of our own: loopback, free ports, data under $run_dir. Sourced after common.sh.
# Each server_start leaves its address in $run_dir/state/<server>; a running one is left alone.

state() { cat "$run_dir/state/$1" 2>/dev/null; }
set_state() { mkdir -p "$run_dir/state"; printf '%s\n' "$2" >"$run_dir/state/$1"; }

# The port this server had before, where nobody took it meanwhile, so that clients find it again; else a free one.
sticky_port() {
    local port
    port=$(state "$1")
    port=${port##*:}
    if [ -n "$port" ] && ! port_open "$port"; then echo "$port"; else free_port; fi
}

# secret NAME: made once, readable by the owner only.
secret() {
    local file=$run_dir/secret/$1
    if [ ! -s "$file" ]; then
        mkdir -p "$run_dir/secret"
        chmod 700 "$run_dir/secret"
        (umask 077; random_secret >"$file")
    fi
    cat "$file"
}

# ---------------------------------------------------------------- PostgreSQL

postgres_bin() {
    local dir
    for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
        [ -x "$dir/initdb" ] && { echo "$dir"; return; }
    done
    return 1
}

# PostgreSQL refuses to run as root; then the packaged user does it.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$run_dir/postgres" "$@"
    else "$@"
    fi
}

# The folder of the data: below $run_dir, or where the server's user cannot reach that, a folder of ours in /var/tmp.
postgres_home() {
    local home=$run_dir/postgres
    if [ -s "$run_dir/state/postgres_home" ]; then state postgres_home; return; fi
    mkdir -p "$home"
    if [ "$(id -u)" = 0 ]; then
        chown postgres:postgres "$home"
        if ! as_postgres test -x "$home"; then
            home=$(mktemp -d /var/tmp/goalsync-postgres.XXXXXX)
            chown postgres:postgres "$home"
            say "    the postgres user cannot reach $run_dir; its data is in $home"
        fi
    fi
    set_state postgres_home "$home"
    echo "$home"
}

# A CA and a certificate for 127.0.0.1 and localhost, so that even the demonstration verifies who it talks to.
make_certificates() {
    local dir=$run_dir/tls
    [ -s "$dir/server.crt" ] && return
    mkdir -p "$dir"
    (
        cd "$dir" || exit 1
        umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=goalsync local CA" \
            -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >server.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile server.ext -out server.crt
        chmod 644 ca.crt server.crt
    ) >"$log_dir/tls.log" 2>&1 || die "making certificates failed; see $log_dir/tls.log"
}

postgres_start() {
    local bin home data port
    pid_of postgres >/dev/null && return
    bin=$(postgres_bin) || die "no PostgreSQL server programs below /usr/lib/postgresql" "install the package postgresql"
    home=$(postgres_home) || exit 1
    data=$home/data
    mkdir -p "$log_dir"
    make_certificates
    if [ ! -s "$data/PG_VERSION" ]; then
        secret postgres >/dev/null
        (umask 077; secret postgres >"$home/pw"); [ "$(id -u)" != 0 ] || chown postgres "$home/pw"
        (cd "$home" && logged initdb as_postgres "$bin/initdb" -D data -U goalsync_owner --pwfile=pw -A scram-sha-256 \
            -E UTF8 --locale=C.UTF-8) || die "initdb failed"
        rm -f "$home/pw"
    fi
    install -m 600 "$run_dir/tls/server.key" "$home/server.key"
    install -m 644 "$run_dir/tls/server.crt" "$home/server.crt"
    [ "$(id -u)" != 0 ] || chown postgres:postgres "$home/server.key" "$home/server.crt"
    port=$(sticky_port postgres)
    (cd "$home" && if [ "$(id -u)" = 0 ]; then user=(setpriv --reuid=postgres --regid=postgres --clear-groups); else user=(); fi
     spawn postgres "${user[@]}" "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c ssl=on -c ssl_cert_file="$home/server.crt" -c ssl_key_file="$home/server.key" -c max_connections=200 \
        -c log_min_messages=warning -c log_checkpoints=off)
    await 60 "$(pid_of postgres)" "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" ||
        { tail_of postgres; die "PostgreSQL did not start"; }
    set_state postgres "$port"
}

# owner_psql DATABASE [psql options]: as the owner of everything.
owner_psql() {
    local db=$1
    shift
    PGPASSWORD=$(secret postgres) psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(state postgres)" -U goalsync_owner -d "$db" "$@"
}

# ---------------------------------------------------------------- Redis

redis_start() {
    local port dir=$run_dir/redis
    pid_of redis >/dev/null && return
    mkdir -p "$dir"
    port=$(sticky_port redis)
    (umask 077; printf '%s\n' "bind 127.0.0.1" "port $port" "dir $dir" "requirepass $(secret redis)" 'save ""' "appendonly no" \
        "maxmemory 256mb" "maxmemory-policy allkeys-lru" >"$dir/redis.conf")
    spawn redis redis-server "$dir/redis.conf"
    await 15 "$(pid_of redis)" port_open "$port" || { tail_of redis; die "Redis did not start"; }
    set_state redis "$port"
}

# ---------------------------------------------------------------- Kafka

kafka_version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$root/scripts/kafka/pom.xml")
kafka_libs=$cache_dir/kafka-$kafka_version

# Fetches the jars; 1 when there is no JVM or no repository.
kafka_install() {
    [ -f "$kafka_libs/.complete" ] && command -v java >/dev/null && return
    # shellcheck disable=SC2086
    command -v java >/dev/null && command -v mvn >/dev/null || install_packages "for Kafka" $packages_kafka || return 1
    [ -f "$kafka_libs/.complete" ] && return
    step "Fetching Apache Kafka $kafka_version"
    mkdir -p "$kafka_libs"
    logged maven mvn -B -f "$root/scripts/kafka/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$kafka_libs" || return 1
    touch "$kafka_libs/.complete"
}

kafka_start() {
    local port controller dir=$run_dir/kafka java
    pid_of kafka >/dev/null && return
    mkdir -p "$dir"
    port=$(sticky_port kafka) controller=$(free_port)
    cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
CONF
    java=(java -Xmx512m -XX:+UseSerialGC -cp "$kafka_libs/*" "-Dlog4j2.configurationFile=$root/scripts/kafka/log4j2.properties")
    if [ ! -f "$dir/data/meta.properties" ]; then
        logged kafka-format "${java[@]}" kafka.tools.StorageTool format -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'A_' | cut -c1-22)" \
            -c "$dir/server.properties" || die "formatting Kafka's storage failed"
    fi
    spawn kafka "${java[@]}" kafka.Kafka "$dir/server.properties"
    await 90 "$(pid_of kafka)" port_open "$port" || { tail_of kafka; die "Kafka did not start"; }
    set_state kafka "127.0.0.1:$port"
}

# The stand-in where no JVM can be had.
devbroker_start() {
    pid_of kafka >/dev/null && return
    rm -f "$run_dir/devbroker"
    spawn kafka "$build_dir/bin/goalsync-devbroker" --topics "$1" --bootstrap-file "$run_dir/devbroker"
    await 15 "$(pid_of kafka)" test -s "$run_dir/devbroker" || { tail_of kafka; die "goalsync-devbroker did not start"; }
    set_state kafka "$(cat "$run_dir/devbroker")"
}

# Kafka where it can be had, else the stand-in, said in one line. Sets state broker to "kafka" or "devbroker".
broker_start() {
    pid_of kafka >/dev/null && return
    if [ "${GOALSYNC_BROKER:-kafka}" = kafka ] && kafka_install; then
        kafka_start
        set_state broker kafka
    else
        local why="no JVM or no Maven repository: "
        [ "${GOALSYNC_BROKER:-kafka}" = kafka ] || why=
        say "    ${why}using goalsync-devbroker, an in-memory stand-in for Kafka that forgets everything when stopped"
        devbroker_start "$("$build_dir/bin/goalsync" topics create --print)"
        set_state broker devbroker
    fi
}

servers_stop() {
    end kafka TERM 30
    end redis TERM 10
    end postgres INT 30
}
