#include "config.h"

#include "devrun_private.h"

#include <inttypes.h>
#include <string.h>

/* ---- why an item is U ---- */

void devrun_note_reason(struct devrun *run, size_t i, const char *fmt, ...)
{
    if (!devrun_listening(run, LOG_MEDIUM))
        return;
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    run->outcomes[i].why = arena_strdup(&run->memory, buf_str(&text));
    buf_done(&text);
}

/* Enough of it to recognise it; a character of UTF-8 is not cut. */
void devrun_note_no_value(struct devrun *run, size_t i, const char *sent)
{
    enum { SHOWN = 80 };
    size_t len = strnlen(sent, SHOWN + 1), shown = len > SHOWN ? SHOWN : len;
    while (len > SHOWN && shown > 0 && ((unsigned char)sent[shown] & 0xc0) == 0x80)
        shown--;
    if (len == 0)
        devrun_note_reason(run, i, "the answer is empty");
    else if (strcmp(sent, "U") == 0 || strcmp(sent, "u") == 0)
        devrun_note_reason(run, i, "the answer is U itself");
    else
        devrun_note_reason(run, i, "'%.*s%s' is neither a number nor pairs of name and number",
                           (int)shown, sent, len > SHOWN ? "..." : "");
}

const char *devrun_error_name(long status)
{
    static const char *const names[] = {
        "noError",
        "tooBig",
        "noSuchName",
        "badValue",
        "readOnly",
        "genErr",
        "noAccess",
        "wrongType",
        "wrongLength",
        "wrongEncoding",
        "wrongValue",
        "noCreation",
        "inconsistentValue",
        "resourceUnavailable",
        "commitFailed",
        "undoFailed",
        "authorizationError",
        "notWritable",
        "inconsistentName",
    };
    return status >= 0 && (size_t)status < ARRAY_LEN(names) ? names[status] : "an unknown error";
}

const char *devrun_exception_name(const struct varbind *vb)
{
    return vb->type == VARBIND_NO_SUCH_OBJECT     ? "noSuchObject"
           : vb->type == VARBIND_NO_SUCH_INSTANCE ? "noSuchInstance"
                                                  : "endOfMibView";
}

static const char *reason_in_words(enum unknown_reason reason)
{
    static const char *const words[UNKNOWN_REASONS] = {
        [UNKNOWN_NOT] = "",
        [UNKNOWN_INVALID] = "the answer is neither a number nor pairs of name and number",
        [UNKNOWN_NO_ANSWER] = "no answer in time",
        [UNKNOWN_MISSING] = "the agent has no such object",
        [UNKNOWN_AGENT_ERROR] = "the agent answers with an error",
        [UNKNOWN_BAD_OID] = "the object identifier cannot be read",
        [UNKNOWN_FAILED] = "the request or the script cannot be carried out",
        [UNKNOWN_EMPTY] = "the script printed nothing",
        [UNKNOWN_FLOODED] = "the script printed more than is allowed",
        [UNKNOWN_UNSUPPORTED] = "the poller action is unknown",
        [UNKNOWN_SPIKE] = "the device has restarted, so that the value would be a spike",
        [UNKNOWN_RUNAWAY] = "polling the device took too many steps",
    };
    return words[reason];
}

const char *devrun_unknown_text(const struct outcome *o)
{
    if (o->reason == UNKNOWN_NOT)
        return NULL;
    bool precise = o->why != NULL && o->reason != UNKNOWN_SPIKE;
    return precise ? o->why : reason_in_words(o->reason);
}

/* Beside the line of the value, which log tools know as it is. */
void devrun_say_unknown(struct devrun *run, size_t i)
{
    const struct item *it = &run->device->items[i];
    const struct outcome *o = &run->outcomes[i];
    if (o->reason != UNKNOWN_NOT)
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[%d] DS[%" PRIu32 "] NOTE: '%s' is U: %s",
                   run->device->id, devrun_items_slice(run, i), it->local_data_id, it->rrd_name,
                   devrun_unknown_text(o));
}

bool devrun_is_invalid(enum unknown_reason reason)
{
    return reason == UNKNOWN_INVALID || reason == UNKNOWN_MISSING ||
           reason == UNKNOWN_AGENT_ERROR || reason == UNKNOWN_EMPTY;
}

/* ---- what to do about an agent ---- */

static const char own_trouble[] = "this is a failure of the poller's machine (descriptors, memory, "
                                  "rights, name server), not of the device";

static const char *snmp_remedy(const struct target *t, enum snmp_outcome outcome)
{
    switch (outcome) {
    case SNMP_ANSWERED: break;
    case SNMP_TIMED_OUT:
        return t->version == 3 ? "check the port and that an agent runs and lets this host in"
                               : "check the community, the port and that an agent runs and lets "
                                 "this host in";
    case SNMP_REFUSED:
        return "check the device's SNMPv3 user name, pass phrases, protocols, engine id and "
               "context";
    case SNMP_FAILED: return "correct this in the device's settings";
    case SNMP_IMPOSSIBLE: return own_trouble;
    }
    return "";
}

/* The next request to the same agent fails for the same reason, so it is told once. */
void devrun_say_failure(struct devrun *run, const struct target *t, const struct snmp_reply *reply)
{
    const char *remedy = snmp_remedy(t, reply->outcome);
    if (!devrun_agent_is_news(run, t))
        return;
    if (t->version < 1 || t->version > 3)
        devrun_say_trouble(run,
                           "Device[%" PRIu32 "] ERROR: SNMP Version Error for Device '%s': %s; %s",
                           run->device->id, t->hostname, reply->detail, remedy);
    else
        devrun_say_trouble(run,
                           "Device[%" PRIu32 "] HT[1] ERROR: SNMP request to '%s' failed: %s; %s",
                           run->device->id, t->hostname, reply->detail, remedy);
}

void devrun_say_silence(struct devrun *run, const struct agent *a)
{
    const struct target *t = a->target;
    const char *detail = a->silence == NULL || *a->silence == '\0' ? "no answer" : a->silence;
    if (!devrun_agent_is_news(run, t))
        return;
    devrun_say_trouble(run,
                       "Device[%" PRIu32 "] HT[1] WARNING: '%s' does not answer by SNMP v%d%s, "
                       "port %u: %s; %s",
                       run->device->id, t->hostname, t->version, t->version == 2 ? "c" : "",
                       (unsigned)t->port, detail,
                       a->answered ? "it has answered before in this cycle: it may be overloaded, "
                                     "or need a longer SNMP time-out"
                                   : snmp_remedy(t, SNMP_TIMED_OUT));
}

/* ---- why a check has failed ---- */

void devrun_note_snmp(struct devrun *run, const struct snmp_reply *reply)
{
    const struct target *t = &run->device->snmp;
    struct buf text = BUF_INIT;
    buf_printf(&text, "SNMP v%d%s, port %u: %s; %s", t->version, t->version == 2 ? "c" : "",
               (unsigned)t->port, reply->detail, snmp_remedy(t, reply->outcome));
    run->why.snmp = arena_strdup(&run->memory, buf_str(&text));
    run->why.snmp_is_wrong = reply->outcome != SNMP_TIMED_OUT;
    buf_done(&text);
}

void devrun_note_ping(struct devrun *run, const struct ping_reply *reply)
{
    const struct device *d = run->device;
    struct buf text = BUF_INIT;
    bool named = reply->bad_name[0] != '\0';
    buf_printf(&text, "%s; ", named ? reply->bad_name : reply->text);
    if (reply->outcome == PING_IMPOSSIBLE)
        buf_puts(&text, own_trouble);
    else if (named || d->snmp.hostname[0] == '\0')
        buf_puts(&text, "correct the device's hostname");
    else if (d->ping_method < PING_METHOD_ICMP || d->ping_method > PING_METHOD_TCP_CLOSED)
        buf_printf(&text, "ping method %d is unknown, choose another", d->ping_method);
    else if (d->ping_method == PING_METHOD_ICMP && !reply->fell_back)
        buf_puts(&text, "check that the host is up and that echo requests reach it");
    else
        buf_printf(&text, "check that the host is up and that port %u is not filtered",
                   (unsigned)d->ping_port);
    run->why.ping = arena_strdup(&run->memory, buf_str(&text));
    buf_done(&text);
}

/* One line with all that has failed and what to do about it.  Of a device that is polled
 * nevertheless, only what does not get better by waiting. */
void devrun_say_why(struct devrun *run, bool tested)
{
    const struct device *d = run->device;
    bool by_ping = run->why.ping != NULL && (run->down || run->check.ping.impossible);
    bool by_snmp = run->why.snmp != NULL && (run->down || run->why.snmp_is_wrong);
    const char *what = run->down ? "The device does not pass its availability check"
                       : tested
                           ? "The device passes its availability check, but not all of it works"
                           : "The device cannot be checked, it is polled nevertheless";
    bool unknown = run->down && run->why.ping == NULL && run->why.snmp == NULL;
    if (by_snmp)
        (void)devrun_agent_is_news(run, &d->snmp);
    if (by_ping || by_snmp)
        devrun_say_trouble(run, "Device[%" PRIu32 "] Hostname[%s] WARNING: %s: %s%s%s", d->id,
                           d->snmp.hostname, what, by_snmp ? run->why.snmp : "",
                           by_snmp && by_ping ? "; " : "", by_ping ? run->why.ping : "");
    else if (unknown)
        devrun_say_trouble(run,
                           "Device[%" PRIu32 "] Hostname[%s] WARNING: %s: availability method %d "
                           "is unknown; choose another",
                           d->id, d->snmp.hostname, what, d->availability_method);
}
