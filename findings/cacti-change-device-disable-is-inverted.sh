#!/bin/sh
# Cacti 1.2.24 (Debian 12: cacti 1.2.24+ds1-1+deb12u5), cli/change_device.php
#
# Behaviour: the help says "--disable 0, 1 to add this host but to disable checks and 0 to enable it". A device that is
# enabled stays enabled with --disable=1 and is disabled by --disable=0; the words "on" and any other do as they say. And
# a change without --ip fails, although the help calls it optional.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/cacti.sh"
cli add_device.php --description=one --ip=127.0.0.1 --version=0 --avail=none --template=0
[ "$status" = 0 ] || { cat "$work/said" && exit 2; }
for value in 1 0 on off; do
    cli change_device.php --id=1 --ip=127.0.0.1 --disable=$value
    seen="${seen:-}--disable=$value: exit status $status, disabled '$(sql 'SELECT disabled FROM host')'
"
done
cli change_device.php --id=1 --description=two
seen="${seen}without --ip: exit status $status, $(grep -c '^ERROR: Failed to change this device (1-0)' "$work/said") error"
expect "$seen" "--disable=1: exit status 0, disabled ''
--disable=0: exit status 0, disabled 'on'
--disable=on: exit status 0, disabled 'on'
--disable=off: exit status 0, disabled ''
without --ip: exit status 1, 1 error"
