#!/bin/sh
# Cacti 1.2.24 (Debian 12: cacti 1.2.24+ds1-1+deb12u5), cli/remove_device.php
#
# Behaviour: --description, which may be a regular expression, finds no device that has no template: "Unable to find host in
# the database matching description (one)", exit status 1. By --ip it is found.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/cacti.sh"
cli add_device.php --description=one --ip=127.0.0.1 --version=0 --avail=none --template=0
[ "$status" = 0 ] || { cat "$work/said" && exit 2; }
for option in --description=one --ip=127.0.0.1; do
    cli remove_device.php "$option" --confirm
    seen="${seen:-}$option: exit status $status, $(sql 'SELECT COUNT(*) FROM host') left
"
done
expect "$seen" "--description=one: exit status 1, 1 left
--ip=127.0.0.1: exit status 0, 0 left
"
