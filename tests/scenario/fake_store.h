/* fake_store.h - a database of a few lines, in the place of drivers/store*.o and db.o.
 *
 * Use:     set the upper half of `fake_store`, run a cycle, read the lower half.
 * Threads: as drivers/store.h, and checked: one thread from open to close, announced by
 * db_thread_start(). Promise: checks what every cycle owes: rows only while the poller_time row is
 * open, which is closed once and by its own id, each row once, each with the value that fake_snmp gives (or U), and nothing at all when
 * read-only.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "base/buf.h"
#include "model/device.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_GROUPS_MAX = 6 };

/* Equal devices that follow each other in polling order.  Ids count from 1 over all groups; items
 * of device d are the data sources d * 1000 + 0, 1, ... */
struct fake_group {
    const char *hostname; /* NULL: the end */
    int devices;
    int items;
    int sleepers; /* this number of the last items are scripts that do not end by themselves */
    int threads;  /* asks at once; 0 = 1 */
    int method;   /* enum availability_method */
    bool deleted;
    int status;            /* enum host_status */
    const char *community; /* NULL = "public" */
};

extern struct fake_store {
    struct fake_group groups[FAKE_GROUPS_MAX];
    bool load_fails, open_fails, date_fails, close_fails, advance_fails;
    int write_fails; /* the n-th; 0 = none */
    uint32_t
        slices_end_at;   /* the slice that begins at that id or later cannot be read; 0 = all can */
    uint32_t gone;       /* that device has been deleted when its slice is read */
    bool reader_refused; /* there is no second connection */
    bool open_unanswered; /* the row is there, but no answer has said so */
    bool late;            /* closing the row waits until all that hangs by FAKE_LATE has returned */
    size_t slow; /* the first write waits for more than this number of rows (or a while); 0 = not */

    bool remote;       /* there is a main server: it gets the rows */
    bool main_is_gone; /* it is never reached */
    int main_takes;    /* rows, then it is away; -1 = all */
    bool boost_fails;  /* the local poller_output_boost takes nothing */

    struct buf calls; /* "load open write ... close", equal neighbours once */
    struct buf main_calls, boost_calls, reader_calls;
    uint64_t last_row;  /* id of the last row of poller_time */
    uint64_t open_rows; /* bit n: row n is open */
    size_t rows, hosts, kept;
    struct buf results; /* one line per row and host, sorted by fake_store_sort() */
} fake_store;

extern atomic_int fake_store_hurried; /* calls of store_hurry(), which come from any thread */
extern _Atomic int64_t
    fake_store_boost_until; /* the last deadline for the local poller_output_boost */

void fake_store_sort(void);

#endif
