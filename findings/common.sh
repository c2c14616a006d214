# Sourced by the scripts: a temporary folder, pinned packages, and the verdict.
set -eu
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# install PACKAGE=VERSION...: unpacked below $work/root, without touching the system.
install() {
    (cd "$work" && apt-get -q download "$@" >apt.log 2>&1) || {
        cat "$work/apt.log"
        echo "cannot install $*"
        exit 2
    }
    for file in "$work"/*.deb; do
        dpkg-deb -x "$file" "$work/root"
    done
}

# expect SEEN EXPECTED
expect() {
    if [ "$1" != "$2" ]; then
        printf 'changed: seen\n%s\nand not\n%s\n' "$1" "$2"
        exit 1
    fi
    printf 'as described:\n%s\n' "$1"
}
