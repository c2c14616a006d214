# Functions for demo and test, read with `.`; expects $top, the source directory.
# shellcheck shell=dash
: "${top:?}"

# Makes ./configure unless it is newer than everything that it is made from.
make_configure() {
    if [ -f "$top/config.status" ]; then
        echo "$top is configured in place, which keeps other builds from using it; run 'make distclean' there" >&2
        exit 1
    fi
    if [ ! -x "$top/configure" ] || [ ! -f "$top/Makefile.in" ] ||
        [ -n "$(find "$top/configure.ac" "$top/Makefile.am" "$top/m4" -newer "$top/configure" | head -n 1)" ]; then
        logged "$top/build/autogen.log" "$top/autogen.sh"
    fi
}

# logged FILE COMMAND...: runs it with its output in FILE, and shows the end of that only if it fails.
logged() {
    log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        status=$?
        tail -n 40 "$log"
        echo "failed with status $status: $* (all of its output: $log)"
        return "$status"
    }
}

# build_tree DIRECTORY CONFIGURE_OPTION...: configures if something changed, then makes.
build_tree() {
    tree=$1
    shift
    mkdir -p "$tree"
    make_configure || return
    if [ ! -f "$tree/config.status" ] || [ "$top/configure" -nt "$tree/config.status" ] ||
        [ "$(cat "$tree/options" 2>/dev/null)" != "$*" ]; then
        echo "configuring $(basename "$tree"): $*"
        (cd "$tree" && logged configure.out "$top/configure" "$@") || return
        echo "$*" >"$tree/options"
    fi
    echo "building $(basename "$tree")"
    # One after the other: Automake's `all` is a make of its own, and two makes would write one archive.
    logged "$tree/make.log" make -C "$tree" -j "$(nproc)" all || return
    logged "$tree/tools.log" make -C "$tree" -j "$(nproc)" tools
}

# The newest clang that is installed, by the name of its program.
newest_clang() {
    for clang in /usr/bin/clang-[0-9]*; do
        [ ! -x "$clang" ] || echo "${clang##*/}"
    done | sort -t - -k 2 -n | tail -n 1
}

# Downloads what the tests need of Cacti, its PHP files and schema, unless that is there, and prints its version.
cacti_version() {
    PYTHONPATH="$top/tests" PYTHONDONTWRITEBYTECODE=1 SPINE_LAB_CACHE="${SPINE_LAB_CACHE:-$top/build/cache}" \
        /usr/bin/python3 -c 'from support import cacti; print(cacti.version())'
}
