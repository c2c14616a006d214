#include "config.h"

#include "drivers/snmp.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_private.h"

struct thr_mutex snmp_library_lock = THR_MUTEX_INITIALIZER;

/* ---- library ---- */

static pthread_once_t snmp_warmed = PTHREAD_ONCE_INIT;
static bool snmp_is_warm; /* written once, before an agent exists */

static void snmp_init_library(void)
{
    init_snmp("spine");
    snmp_is_warm = true;
}

void snmp_library_warm(void)
{
    (void)pthread_once(&snmp_warmed, snmp_init_library);
}

bool snmp_library_start(struct err *err UNUSED)
{
    setenv("MIBS", "", 1);
    static const int off[] = {NETSNMP_DS_LIB_DONT_READ_CONFIGS, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
                              NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD,
                              NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE,
                              NETSNMP_DS_LIB_NO_DISCOVERY /* of us */};
    for (size_t i = 0; i < ARRAY_LEN(off); i++)
        netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, off[i], 1);
    /* Without a handler the library writes each complaint to standard error, without bound: without
     * a reader, polling would stall. The reply of a request has the reason. */
    snmp_disable_log();
    netsnmp_register_loghandler(NETSNMP_LOGHANDLER_NONE, LOG_DEBUG);
    netsnmp_set_mib_directory(
        ""); /* no name of an object is looked up; to index MIB files takes ms */
    return true;
}

void snmp_library_stop(void)
{
    snmp_v3_stop();
    if (snmp_is_warm)
        snmp_shutdown("spine");
    snmp_is_warm = false;
    snmp_warmed = (pthread_once_t)PTHREAD_ONCE_INIT;
}

const char *snmp_library_version(void)
{
    return netsnmp_get_version();
}

/* ---- agents ---- */

struct snmp_agent {
    struct snmp_exchange *exchange;
    struct resolver *resolver;
    struct give_up *give_up;
};

struct snmp_agent *snmp_agent_new(const struct snmp_options *options)
{
    struct snmp_agent *a = mem_zalloc(1, sizeof(*a));
    a->exchange = snmp_exchange_new(options, &wire_sockets);
    a->resolver = options->resolver;
    a->give_up = options->give_up;
    return a;
}

void snmp_agent_free(struct snmp_agent *a)
{
    if (a == NULL)
        return;
    snmp_exchange_free(a->exchange);
    free(a);
}

void snmp_agent_ask(struct snmp_agent *a, const struct snmp_request *request,
                    int64_t deadline_mono_ms, struct snmp_reply *ret)
{
    int64_t latest_ms = INT64_MAX / 2000; /* far away, and no overflow in microseconds */
    int64_t deadline_ms = deadline_mono_ms < latest_ms ? deadline_mono_ms : latest_ms;
    struct exchange *x = snmp_exchange_base(a->exchange);
    snmp_exchange_begin(a->exchange, request, clock_mono_us(), deadline_ms * 1000);
    while (x->want.kind != WANT_NOTHING)
        exchange_serve(x, a->resolver, a->give_up);
    snmp_exchange_reply(a->exchange, ret);
}
