# Sourced by the scripts about Cacti, after common.sh: Cacti 1.2.24 with a private MariaDB and an empty site, not installed.
# shellcheck shell=sh
: "${work:?}"
install cacti=1.2.24+ds1-1+deb12u5 mariadb-server-core=1:10.11.19-0+deb12u1 mariadb-client-core=1:10.11.19-0+deb12u1 \
    php8.2-cli=8.2.36-1~deb12u1 php8.2-common=8.2.36-1~deb12u1 php8.2-mysql=8.2.36-1~deb12u1 \
    libargon2-1=0~20171227-0.3+deb12u1 libsodium23=1.0.18-1+deb12u1 libxml2=2.9.14+dfsg-1.3~deb12u6
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu"
cacti=$work/root/usr/share/cacti
socket=$work/socket
server=

stop_server() {
    [ -z "$server" ] || { kill "$server" && wait "$server" || true; }
    rm -rf "$work"
}
trap stop_server EXIT

# php ARGUMENT...: with the extensions that it needs and no configuration of the system's.
php() {
    (cd "$cacti/cli" && "$work/root/usr/bin/php8.2" -n -d date.timezone=UTC -d extension_dir="$(dirname "$work"/root/usr/lib/php/*/pdo_mysql.so)" \
        -d extension=posix -d extension=ctype -d extension=sockets -d extension=tokenizer -d extension=gettext -d extension=iconv -d extension=pdo \
        -d extension=mysqlnd -d extension=pdo_mysql "$@")
}

# sql STATEMENT: its rows.
sql() {
    "$work/root/usr/bin/mariadb" --no-defaults -u root --socket="$socket" -N -e "$1" cacti
}

# cli SCRIPT ARGUMENT...: one of Cacti's command-line scripts; what it has said is in $work/said, its exit status in $status.
cli() {
    status=0
    php -q "$@" >"$work/said" 2>&1 || status=$?
}

mkdir "$work/data"
{
    printf "%s;\n" "CREATE DATABASE mysql" "CREATE DATABASE cacti" "USE mysql"
    cat "$work"/root/usr/share/mysql/mysql_system_tables.sql
} | "$work/root/usr/sbin/mariadbd" --no-defaults --bootstrap --datadir="$work/data" --user="$(id -un)" \
    --lc-messages-dir="$work/root/usr/share/mysql" >"$work/log" 2>&1
"$work/root/usr/sbin/mariadbd" --no-defaults --skip-grant-tables --skip-networking --datadir="$work/data" --socket="$socket" \
    --user="$(id -un)" --lc-messages-dir="$work/root/usr/share/mysql" --pid-file="$work/pid" >>"$work/log" 2>&1 &
server=$!
tries=0
until sql "SELECT 1" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { cat "$work/log" && exit 2; }
    sleep 0.1
done
"$work/root/usr/bin/mariadb" --no-defaults -u root --socket="$socket" cacti <"$cacti/conf_templates/cacti.sql"
sql "UPDATE version SET cacti = '1.2.24'"
mkdir -p "$work/log.d"
rm -f "$cacti/site/include/config.php"
cat >"$cacti/site/include/config.php" <<PHP
<?php
\$database_type = 'mysql'; \$database_default = 'cacti'; \$database_hostname = '$socket';
\$database_username = 'root'; \$database_password = ''; \$database_port = '3306';
\$database_retries = 5; \$database_ssl = false; \$database_ssl_key = ''; \$database_ssl_cert = '';
\$database_ssl_ca = ''; \$database_persist = false; \$poller_id = 1; \$url_path = '/cacti/';
PHP
sql "REPLACE INTO settings VALUES ('path_cactilog', '$work/cacti.log')"
: >"$work/cacti.log"
