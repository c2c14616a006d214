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

# release NAME: what follows comes from that release of Debian, whatever this machine runs; main of the same mirror.
release() {
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/apt/etc"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    echo "deb $mirror $1 main" >"$work/apt/etc/sources.list"
    : >"$work/apt/status"
    export APT_CONFIG="$work/apt/apt.conf"
    cat >"$APT_CONFIG" <<CONF
Dir::Etc::sourcelist "$work/apt/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache::archives "$work/apt/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
    apt-get -q update >"$work/apt.log" 2>&1 || {
        cat "$work/apt.log"
        echo "cannot read what $1 has"
        exit 2
    }
}

# install_whole PACKAGE=VERSION...: with all libraries, down to the C library; after release.
install_whole() {
    apt-get -q -y -d install "$@" >"$work/apt.log" 2>&1 || {
        cat "$work/apt.log"
        echo "cannot install $*"
        exit 2
    }
    for file in "$work"/apt/archives/*.deb; do
        dpkg-deb -x "$file" "$work/root"
    done
}

# inside PROGRAM ARGUMENT...: a program of install_whole, with the loader and the libraries beside it.
inside() {
    program=$1
    shift
    "$work/root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$work/root/usr/lib/x86_64-linux-gnu:$work/root/lib/x86_64-linux-gnu" \
        "$work/root/$program" "$@"
}

# start_mysql: MySQL's server of $work/root with an empty data directory; $socket, and $port on 127.0.0.1, lead to it.
start_mysql() {
    socket=$work/s
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    set -- --no-defaults --datadir="$work/data" --user="$(id -un)" --secure-file-priv= --lc-messages-dir="$work/root/usr/share/mysql"
    "$work/root/usr/sbin/mysqld" "$@" --initialize-insecure >"$work/log" 2>&1 || {
        cat "$work/log"
        exit 2
    }
    "$work/root/usr/sbin/mysqld" "$@" --skip-log-bin --mysqlx=OFF --tmpdir="$work" --socket="$socket" --port="$port" \
        --bind-address=127.0.0.1 >>"$work/log" 2>&1 &
    server=$!
    trap 'kill "$server"; wait "$server" || true; rm -rf "$work"' EXIT
    tries=0
    until mysql_says "SELECT 1" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] && kill -0 "$server" || {
            cat "$work/log"
            exit 2
        }
        sleep 0.2
    done
}

# mysql_says STATEMENTS: what the client prints.
mysql_says() {
    "$work/root/usr/bin/mysql" --no-defaults -uroot --socket="$socket" --batch --skip-column-names -e "$1"
}
