#include "config.h"

#include "engine/config.h"

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
