#!/bin/sh
# Cacti 1.2.24 (Debian 12: cacti 1.2.24+ds1-1+deb12u5), cli/add_device.php
#
# Behaviour: a device whose address is there is refused with "ERROR: This IP already exists in the database" and exit status 1, but the
# device that has the address has got the description of the refused one. In the same way one with a description
# that is there is refused, and the other device has got its address.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/cacti.sh"
add() {
    cli add_device.php --version=0 --avail=none --template=0 "$@"
    seen="${seen:-}exit status $status: $(sql 'SELECT id, description, hostname FROM host' | tr '\t' ' ')
"
}
add --description=one --ip=127.0.0.1
add --description=two --ip=127.0.0.1
# Descriptions are looked for among the devices that have a template.
sql "INSERT INTO host_template (id, name, hash) VALUES (1, 'any', MD5('any')); UPDATE host SET host_template_id = 1"
add --description=two --ip=127.0.0.9
expect "$seen" "exit status 0: 1 one 127.0.0.1
exit status 1: 1 two 127.0.0.1
exit status 1: 1 two 127.0.0.9
"
