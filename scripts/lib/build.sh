# Building. Sourced after common.sh.

# build DIR [CMAKE OPTION...]
build() {
    local dir=$1
    shift
    if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.options" 2>/dev/null)" != "$*" ]; then
        logged configure cmake -S "$root" -B "$dir" -G Ninja "$@" || return 1
        echo "$*" >"$dir/.options"
    fi
    logged build ninja -C "$dir" || return 1
}
