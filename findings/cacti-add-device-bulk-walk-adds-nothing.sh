#!/bin/sh
# Cacti 1.2.24 (Debian 12: cacti 1.2.24+ds1-1+deb12u5), cli/add_device.php
#
# Behaviour: with --bulk_walk=10, which the help describes, the script prints its version, adds no device and ends with exit status 0: its
# branch falls through to that of --version. A script that takes 0 for success goes on without the device.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/cacti.sh"
for option in "--max_oids=10" "--bulk_walk=10"; do
    cli add_device.php --version=0 --avail=none --template=0 --description=one --ip=127.0.0.1 "$option"
    seen="${seen:-}$option: exit status $status, devices '$(sql 'SELECT GROUP_CONCAT(description) FROM host')'
"
    sql "DELETE FROM host"
done
seen="$seen$(sed 's/, Copyright.*//' "$work/said")"
expect "$seen" "--max_oids=10: exit status 0, devices 'one'
--bulk_walk=10: exit status 0, devices 'NULL'
Cacti Add Device Utility, Version 1.2.24 (DB: 1.2.24)"
