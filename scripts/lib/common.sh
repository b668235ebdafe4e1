# Sourced by scripts/*: where things are, how to speak, how to wait. Defines functions; runs nothing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
run_dir=${GOALSYNC_RUN_DIR:-$root/.run}
build_dir=${GOALSYNC_BUILD_DIR:-$root/build}
cache_dir=${GOALSYNC_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/goalsync}
log_dir=$run_dir/log

if [ -t 2 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' red='' plain=''; fi

say() { printf '%s\n' "$*" >&2; }
step() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }

# die WHAT [WHAT TO DO]: ends the script.
die() {
    printf '%serror:%s %s\n' "$red$bold" "$plain" "$1" >&2
    [ $# -lt 2 ] || printf '       %s\n' "$2" >&2
    exit 1
}

# logged NAME COMMAND...: output goes to the log; on failure its end is shown. Shows that time passes.
logged() {
    local name=$1 log=$log_dir/$1.log began=$SECONDS pid status=0
    shift
    mkdir -p "$log_dir"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if [ -t 2 ] && [ $((SECONDS - began)) -ge 2 ]; then
            printf '\r    %s%s s: %-90.90s%s' "$dim" "$((SECONDS - began))" "$(tail -n 1 "$log" 2>/dev/null | tr -dc '[:print:]')" "$plain" >&2
        fi
        sleep 0.3
    done
    wait "$pid" || status=$?
    if [ -t 2 ] && [ $((SECONDS - began)) -ge 2 ]; then printf '\r\e[K' >&2; fi
    [ "$status" = 0 ] && return 0
    say "--- the end of $log ---"
    tail -n "${GOALSYNC_TAIL:-25}" "$log" >&2
    return "$status"
}

# as_root COMMAND...: with sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else return 126
    fi
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port of 127.0.0.1 that nobody listens on, outside the range the kernel hands out for outgoing connections.
free_port() {
    local port
    while :; do
        port=$((10240 + (RANDOM * 32768 + RANDOM) % 20000))
        port_open "$port" || { echo "$port"; return; }
    done
}

# await SECONDS PID COMMAND...: until the command succeeds; fails when the process ends or time is up.
await() {
    local until=$((SECONDS + $1)) pid=$2
    shift 2
    until "$@" 2>/dev/null; do
        [ "$SECONDS" -lt "$until" ] || return 1
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
}

random_secret() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

# ---- processes we started: one pid file each, with the process's start time so that a reused pid is nobody's ----

# Nothing for a process that is gone or only waits to be reaped.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# spawn NAME COMMAND...: in a session of its own, so that Ctrl-C reaches this script only.
spawn() {
    local name=$1
    shift
    mkdir -p "$run_dir/pid" "$log_dir"
    setsid "$@" >>"$log_dir/$name.log" 2>&1 </dev/null &
    echo "$! $(start_time $!)" >"$run_dir/pid/$name"
}

# pid_of NAME: prints the pid when that process still runs.
pid_of() {
    local pid start
    read -r pid start 2>/dev/null <"$run_dir/pid/$1" || return 1
    [ -n "$start" ] && [ "$(start_time "$pid")" = "$start" ] || return 1
    echo "$pid"
}

# end NAME SIGNAL SECONDS: politely, then by force.
end() {
    local pid until
    pid=$(pid_of "$1") || { rm -f "$run_dir/pid/$1"; return 0; }
    kill "-$2" "$pid" 2>/dev/null
    until=$((SECONDS + $3))
    while pid_of "$1" >/dev/null; do
        if [ "$SECONDS" -ge "$until" ]; then
            say "    $1 did not end within $3 s; killed"
            kill -KILL "$pid" 2>/dev/null
            until=$((SECONDS + 5))
        fi
        sleep 0.05
    done
    rm -f "$run_dir/pid/$1"
}

tail_of() { say "--- the end of $log_dir/$1.log ---"; tail -n 15 "$log_dir/$1.log" >&2; }
