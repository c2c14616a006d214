#!/bin/sh
# Cacti 1.2.24 (Debian 12: cacti 1.2.24+ds1-1+deb12u5), cli/add_device.php
#
# Behaviour: an option is split at every "=" and the first two parts are taken: "--community=a=b" stores the community "a", without
# a word about it. A community or pass phrase in Base64, which ends with "=", is stored without it.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/cacti.sh"
cli add_device.php --description=one --ip=127.0.0.1 --version=2 --avail=none --template=0 --community=a=b
expect "exit status $status, community '$(sql 'SELECT snmp_community FROM host')'" "exit status 0, community 'a'"
