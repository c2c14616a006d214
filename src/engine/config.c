#include "config.h"

#include "engine/config.h"

#include "core/loop.h"

#include <stdlib.h>
#include <string.h>

enum config_driver config_driver(const struct config *c)
{
    if (!c->event_loop || !loop_kind_is_built(LOOP_LIBEVENT))
        return CONFIG_LEGACY;
    return c->async_snmp ? CONFIG_ASYNC : CONFIG_EVENT;
}

const char *config_driver_text(enum config_driver driver)
{
    static const char *const texts[] = {
        [CONFIG_LEGACY] = "legacy", [CONFIG_EVENT] = "event", [CONFIG_ASYNC] = "async"};
    return texts[driver];
}

const char *config_variable(const char *const *environment, const char *name)
{
    size_t len = strlen(name);
    if (environment == NULL)
        return getenv(name);
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

bool id_list_contains(const struct id_list *list, uint32_t id)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->ids[middle] == id)
            return true;
        if (list->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
