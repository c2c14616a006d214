#include "config.h"

#include "app/version.h"

#include "app/configuration.h"
#include "app/options.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/lease.h"
#include "core/loop.h"
#include "drivers/db.h"
#include "drivers/recording.h"
#include "drivers/snmp.h"
#include "drivers/store.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

int version_number(const char *text)
{
    const char *p = text;
    static const int weights[] = {1000, 100, 1};
    int sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        char *end;
        long n = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : -1;
        if (n < 0 || n > 9999)
            return 0;
        sum += (int)n * weights[i];
        if (i < 2 && *end != '.')
            return 0;
        p = end + 1;
    }
    return sum;
}

/* One question to the database, on a thread that may hang in a name look-up. */
struct version_question {
    const struct db_params *params;
    int poller_id;
    char *cacti; /* NULL: not known */
};

static void version_on_setting(void *arg, const char *name, const char *value)
{
    struct version_question *q = arg;
    if (strcmp(name, "cacti_version") != 0)
        return;
    free(q->cacti);
    q->cacti = mem_strdup(value);
}

static void version_ask(struct lease *l, void *arg)
{
    struct version_question *q = arg;
    int64_t until = clock_mono_ms() + VERSION_ASK_MS;
    lease_enter(l);
    db_thread_start();
    struct store *s = store_open(q->params, until, NULL);
    if (s != NULL) {
        store_set_deadline(s, until);
        store_set_latest(s, until);
        (void)!store_load_settings(s, q->poller_id, version_on_setting, q, NULL);
    }
    store_close(s);
    db_thread_stop();
    (void)!lease_leave(l);
}

/* true: a thread does not return. */
static bool version_learn(struct config *c)
{
    struct version_question *q = mem_zalloc(1, sizeof(*q));
    *q = (struct version_question){.params = &c->db, .poller_id = c->poller_id};
    struct lease *l = lease_start("version", version_ask, q, NULL, NULL);
    if (l != NULL && !lease_end(l, clock_mono_ms() + VERSION_ASK_MS, NULL))
        return true; /* q is the thread's */
    if (q->cacti != NULL)
        configuration_set_setting(c, "cacti_version", q->cacti);
    free(q->cacti);
    free(q);
    return false;
}

static bool version_find(struct config *c)
{
    bool known = configuration_read_file(c, NULL) && configuration_read_environment(c, NULL) &&
                 configuration_read_secrets(c, NULL);
    configuration_finish(c);
    return known && db_library_start(NULL) && version_learn(c);
}

/* ---- telling ---- */

static void version_print_first(const struct config *c)
{
    struct buf line = BUF_INIT;
    const char *cacti = c->cacti_version == 0 ? NULL : c->cacti_version_text;
    options_version_line(cacti, &line);
    puts(buf_str(&line));
    buf_done(&line);
}

static void version_print_gates(void)
{
    if (loop_kind_is_built(LOOP_LIBEVENT))
        printf("event loop: yes (libevent %s)\nasync SNMP: yes\n", loop_library_version());
    else
        puts("event loop: no (built without libevent)\nasync SNMP: no (needs the event loop)");
}

static void version_print_snmp(void)
{
    struct buf auth = BUF_INIT, priv = BUF_INIT;
    printf("SNMP: net-snmp %s\n", snmp_library_version());
    if (snmp_library_start(NULL)) {
        snmp_library_protocols(&auth, &priv);
        printf("SNMPv3 authentication: %s\nSNMPv3 privacy: %s\n", buf_str(&auth), buf_str(&priv));
        snmp_library_stop();
    }
    buf_done(&auth);
    buf_done(&priv);
}

static void version_print(const struct config *c, const struct ping_sockets *sockets)
{
    version_print_first(c);
    version_print_gates();
    version_print_snmp();
    printf("database client: %s (array binding: %s)\n", db_client_version(),
           db_library_has_bulk() ? "yes" : "no");
    printf("ping: UDP, TCP; %s\n", ping_sockets_text(sockets));
    printf("replay: %s\n",
           recording_available(NULL) ? "yes (jansson)" : "no (built without jansson)");
    printf("hardening: %s\n", SPINE_BUILD_HARDENING);
}

struct app_end version_run(struct config *config, const struct ping_sockets *sockets)
{
    struct app_end end = {.status = EX_OK, .at_once = version_find(config)};
    version_print(config, sockets);
    if (!end.at_once)
        db_library_stop();
    return end;
}
