# Debian packages. Sourced after common.sh.

packages_build="gcc g++ cmake ninja-build pkg-config libuv1-dev librdkafka-dev libprotobuf-c-dev protobuf-c-compiler
 libcurl4-openssl-dev libhiredis-dev libpq-dev libmicrohttpd-dev libsimdjson-dev libssl-dev libgmp-dev libcmocka-dev libzip-dev libexpat1-dev"
packages_run="postgresql redis-server openssl ca-certificates curl procps util-linux kcat jq"
packages_kafka="openjdk-17-jre-headless maven"
packages_test="clang clang-format libclang-rt-14-dev universal-ctags protobuf-compiler python3 python3-pytest python3-pytest-xdist python3-psycopg2 python3-protobuf python3-cryptography python3-openpyxl python3-yaml nginx-light tmux git wrk"

missing_packages() {
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
    done
}

# install_packages WORD PACKAGE...: what is missing; returns 1 when that cannot be.
install_packages() {
    local what=$1 missing
    shift
    command -v dpkg-query >/dev/null || die "this machine has no dpkg: goalsync's scripts install Debian packages" \
        "use Debian 12, or install by hand: $*"
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    step "Installing $(wc -w <<<"$missing") packages $what"
    as_root true || die "packages are missing and neither root nor sudo is at hand" "run as root: apt-get install $(echo $missing)"
    # A failing update (one source of several away) need not be fatal; the install decides.
    logged apt-update as_root apt-get update -q || true
    # shellcheck disable=SC2086
    logged apt-install as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}
