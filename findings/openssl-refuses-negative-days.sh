#!/bin/sh
# OpenSSL 3.5 (Debian 13: openssl 3.5.9-1~deb13u1) beside 3.0 (Debian 12)
#
# Behaviour: the usual way to make a certificate that has expired, for a test of what refuses it, is
# `openssl x509 -req -days -1`.  3.0 makes it.  3.5 says that the end date lies before the start date and exits with 1,
# because the start is now; with both dates given (-not_before, -not_after) it makes the same certificate.  These two
# options are unknown in 3.0's x509, so that no command line serves both.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
release trixie
install_whole openssl=3.5.9-1~deb13u1
openssl35() {
    OPENSSL_CONF=/dev/null inside usr/bin/openssl "$@"
}
openssl35 req -new -newkey rsa:2048 -nodes -subj /CN=x -keyout "$work/key" -out "$work/request" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 2
}
sign() {
    status=0
    openssl35 x509 -req -in "$work/request" -signkey "$work/key" -out "$work/certificate" "$@" >"$work/log" 2>&1 || status=$?
    echo "$* gives $status"
}
days=$(sign -days -1)
why=$(sign -days -1 >/dev/null && grep -ciE 'end date .*before.* start date|before start' "$work/log")
dates=$(sign -not_before 20200101000000Z -not_after 20200102000000Z)
expect "$days, with $why line that says why
$dates
$(openssl35 x509 -in "$work/certificate" -noout -enddate)" "-days -1 gives 1, with 1 line that says why
-not_before 20200101000000Z -not_after 20200102000000Z gives 0
notAfter=Jan  2 00:00:00 2020 GMT"
