#include "config.h"

#include "devrun_private.h"

#include <inttypes.h>

static void ask_ping(struct devrun *run)
{
    const struct device *d = run->device;
    devrun_say(run, LOG_DEBUGGING, "Device[%" PRIu32 "] DEBUG: Entering %s Ping", d->id,
               d->ping_method == PING_METHOD_ICMP  ? "ICMP"
               : d->ping_method == PING_METHOD_UDP ? "UDP"
                                                   : "TCP");
    devrun_add_ask(run, ASK_PING)->ping = avail_ping(d);
}

static void check_ask_snmp(struct devrun *run)
{
    static const uint32_t uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
    static const uint32_t descr[] = {1, 3, 6, 1, 2, 1, 1, 1, 0};
    static const uint32_t mgmt[] = {1, 3};
    const struct device *d = run->device;
    enum snmp_op op = SNMP_OP_GET;
    run->check_name = (struct oid){uptime, ARRAY_LEN(uptime)};
    if (d->availability_method == AVAIL_SNMP_DESC) {
        run->check_name = (struct oid){descr, ARRAY_LEN(descr)};
    } else if (d->availability_method == AVAIL_SNMP_GETNEXT) {
        run->check_name = (struct oid){mgmt, ARRAY_LEN(mgmt)};
        op = SNMP_OP_GETNEXT;
    }
    devrun_ask_snmp(run, &(struct snmp_request){
                             .op = op, .target = &d->snmp, .names = &run->check_name, .count = 1});
}

static void say_event(struct devrun *run, enum avail_event event)
{
    const struct device *d = run->device;
    if (event == AVAIL_WENT_DOWN)
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] Hostname[%s] ERROR: HOST EVENT: Device is DOWN Message: %s",
                   d->id, d->snmp.hostname, run->status.last_error);
    else if (event == AVAIL_CAME_BACK)
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32
                   "] Hostname[%s] NOTICE: HOST EVENT: Device Returned from DOWN State",
                   d->id, d->snmp.hostname);
}

static void say_check(struct devrun *run)
{
    const struct device *d = run->device;
    if (d->availability_method == AVAIL_NONE)
        devrun_say(run, LOG_HIGH, "Device[%" PRIu32 "] No Device Availability Method Selected",
                   d->id);
    if (run->check.ping.done)
        devrun_say(run, LOG_HIGH, "Device[%" PRIu32 "] PING Result: %s", d->id,
                   run->check.ping.text);
    if (run->check.snmp.done)
        devrun_say(run, LOG_HIGH, "Device[%" PRIu32 "] SNMP Result: %s", d->id,
                   run->check.snmp.text);
    if (d->availability_method == AVAIL_SNMP_UPTIME && !run->check.snmp.done)
        devrun_say(run, LOG_MEDIUM,
                   "Device[%" PRIu32 "] HT[1] No host availability check possible for '%s'", d->id,
                   d->snmp.hostname);
}

static void check_settle(struct devrun *run, bool up, const struct moment *now)
{
    enum avail_event event = avail_settle(run->device, &run->check, up, run->options.failure_count,
                                          run->options.recovery_count, now->wall_us / 1000000,
                                          &run->status, &run->memory);
    run->has_status = true;
    run->down = !up;
    say_event(run, event);
}

void devrun_check_step(struct devrun *run, const struct moment *now)
{
    enum avail_next next = avail_next(run->device, &run->check);
    if (next == AVAIL_ASK_PING) {
        ask_ping(run);
        return;
    }
    if (next == AVAIL_ASK_SNMP) {
        check_ask_snmp(run);
        return;
    }
    say_check(run);
    if (next != AVAIL_DECIDED_UNTESTED)
        check_settle(run, next == AVAIL_DECIDED_UP, now);
    devrun_say_why(run, next != AVAIL_DECIDED_UNTESTED);
    if (run->down || run->options.ping_only)
        devrun_finish(run, true, now);
    else
        run->phase = PHASE_SYSTEM;
}

/* A reply of any kind is a sign of life, an error status too (docs/contract.md 7.2). */
void devrun_check_snmp(struct devrun *run, const struct snmp_reply *reply)
{
    struct avail_probe *p = &run->check.snmp;
    p->done = true;
    p->up = reply->outcome == SNMP_ANSWERED;
    p->impossible = reply->outcome == SNMP_IMPOSSIBLE;
    if (!p->up)
        devrun_note_snmp(run, reply);
    if (p->up) {
        p->time_ms = (double)reply->elapsed_us / 1000.0;
        p->text = "Device responded to SNMP";
    } else if (reply->outcome == SNMP_TIMED_OUT) {
        p->text = "Device did not respond to SNMP";
        devrun_say(run, LOG_HIGH, "Device[%" PRIu32 "] SNMP Ping Timeout", run->device->id);
    } else if (reply->outcome == SNMP_REFUSED) {
        p->text = "Device did not respond to SNMP"; /* as Spine, which waits for its time-out */
        devrun_say(run, LOG_HIGH, "Device[%" PRIu32 "] SNMP Ping Refused: %s", run->device->id,
                   reply->detail);
    } else {
        p->text = "Invalid SNMP Session";
        devrun_say(run, LOG_HIGH, "Device[%" PRIu32 "] SNMP Ping Unknown Error: %s",
                   run->device->id, reply->detail);
    }
}

void devrun_check_ping(struct devrun *run, const struct ping_reply *reply)
{
    uint32_t id = run->device->id;
    const char *text = reply->text;
    if (reply->bad_name[0] != '\0') {
        devrun_say(run, LOG_ALWAYS, "WARNING: %s", reply->bad_name);
        if (run->device->availability_method == AVAIL_PING)
            text = "PING: Device is Unknown or is IPV6.  Please use the SNMP ping options only.";
    }
    run->check.ping = (struct avail_probe){
        .done = true,
        .up = reply->outcome == PING_UP,
        .impossible = reply->outcome == PING_IMPOSSIBLE,
        .time_ms = reply->time_ms,
        .text = arena_strdup(&run->memory, text),
    };
    if (reply->outcome != PING_UP)
        devrun_note_ping(run, reply);
    if (reply->fell_back)
        devrun_say(run, LOG_ALWAYS,
                   "Device[%" PRIu32 "] DEBUG Falling back to UDP Ping Due to SetUID Issues", id);
}
