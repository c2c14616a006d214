#include "config.h"

#include "app/version.h"

#include "app/options.h"
#include "core/loop.h"
#include "drivers/db.h"
#include "drivers/snmp.h"

#include <stdio.h>

void version_print(void)
{
    puts(options_version_line());
    if (loop_kind_is_built(LOOP_LIBEVENT))
        printf("event loop: yes (libevent %s)\n", loop_library_version());
    else
        puts("event loop: no (built without libevent)");
    printf("SNMP: net-snmp %s\n", snmp_library_version());
    printf("database client: %s (array binding: %s)\n", db_client_version(),
           db_library_has_bulk() ? "yes" : "no");
}
