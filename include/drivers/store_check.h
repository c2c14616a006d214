/* drivers/store_check.h - what a check wants to know of a database before a cycle depends on it.
 *
 * Why:     what a cycle would find out one failure at a time is asked at once, and nothing is written.
 * Use:     store_check_server(s, &server, &err);  ...  store_check_server_done(&server);
 *          store_check_site(s, poller_id, &site, &err);
 *          store_check_statements(s, on_failure, arg);
 * Threads: as drivers/store.h.
 * Promise: no statement is carried out that could change anything: those that write are prepared only, for which a
 *          server looks at tables, columns and the user's rights.
 * Errors:  as drivers/store.h.
 */
#ifndef SPINE_DRIVERS_STORE_CHECK_H
#define SPINE_DRIVERS_STORE_CHECK_H

#include "base/compiler.h"
#include "base/err.h"
#include "drivers/store.h"

#include <stdbool.h>
#include <stdint.h>

struct store_check_server {
    char *version;               /* "10.11.6-MariaDB" */
    char *cipher, *tls;          /* of this connection; "": it is not encrypted */
    int64_t connections_at_most; /* of all users */
    int64_t user_at_most;        /* of this user; 0 = no limit */
    int64_t connected;           /* now, this one included */
    bool read_only;              /* only privileged users may write */
    int64_t ahead_s;             /* its clock before ours */
    const char *lacks_bulk;      /* why there is no array binding; NULL: there is */
};

NODISCARD bool store_check_server(struct store *s, struct store_check_server *ret, struct err *err);
void store_check_server_done(struct store_check_server *server);

struct store_check_site {
    bool known;            /* table poller has a row of this id */
    bool disabled;         /* in Cacti */
    int64_t processes;     /* that Cacti starts for it */
    int64_t devices;       /* enabled */
    int64_t pinged;        /* of them, by ICMP */
    int64_t items, served; /* of them, by a PHP script server */
};

NODISCARD bool store_check_site(struct store *s, int poller_id, struct store_check_site *ret,
                                struct err *err);

/* Each statement that is refused: what a cycle does with it, for which table. */
typedef void store_check_trouble_fn(void *arg, const char *does, const char *table,
                                    const struct err *why);
void store_check_statements(struct store *s, store_check_trouble_fn *trouble, void *arg);

#endif
