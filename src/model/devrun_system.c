#include "config.h"

#include "devrun_private.h"
#include "model/octets.h"
#include "model/value.h"

enum slot { DESCR, OBJECT_ID, UPTIME, ENGINE_TIME, CONTACT, NAME, LOCATION };

/* Collected on request (newer Spine's --mibs), for a device that was asked by SNMP or could be
 * (docs/contract.md 10.1). */
static bool is_due(const struct devrun *run)
{
    const struct device *d = run->device;
    return run->options.system_info && target_usable(&d->snmp) &&
           d->availability_method != AVAIL_NONE && d->availability_method != AVAIL_PING;
}

void devrun_system_begin(struct devrun *run)
{
    static const uint32_t names[][11] = {
        [DESCR] = {1, 3, 6, 1, 2, 1, 1, 1, 0},
        [OBJECT_ID] = {1, 3, 6, 1, 2, 1, 1, 2, 0},
        [UPTIME] = {1, 3, 6, 1, 2, 1, 1, 3, 0},
        [ENGINE_TIME] = {1, 3, 6, 1, 6, 3, 10, 2, 1, 3, 0},
        [CONTACT] = {1, 3, 6, 1, 2, 1, 1, 4, 0},
        [NAME] = {1, 3, 6, 1, 2, 1, 1, 5, 0},
        [LOCATION] = {1, 3, 6, 1, 2, 1, 1, 6, 0},
    };
    devrun_probe_begin(run);
    if (!is_due(run))
        return;
    for (int i = DESCR; i <= LOCATION; i++) {
        if (i == ENGINE_TIME)
            devrun_probe_add_optional(run, (struct oid){names[i], 11});
        else
            devrun_probe_add(run, (struct oid){names[i], 9});
    }
}

void devrun_system_text(const struct varbind *vb, struct buf *out)
{
    struct buf text = BUF_INIT;
    enum octets_kind kind = OCTETS_BINARY;
    size_t len = 0;
    if (vb->type == VARBIND_OCTETS)
        kind = octets_kind(vb->octets.data, vb->octets.len, &len);
    if (kind == OCTETS_BINARY)
        varbind_text(vb, &text);
    else
        octets_put_text(vb->octets.data, len, kind, &text);
    value_trim(buf_str(&text), text.len, out);
    buf_done(&text);
}

static const char *system_keep(struct devrun *run, enum slot slot)
{
    const char *text = devrun_probe_text(run, slot);
    return text == NULL ? NULL : arena_strdup(&run->memory, text);
}

static void system_collect(struct devrun *run)
{
    int64_t ticks = 0;
    bool has_ticks = devrun_probe_uptime(run, UPTIME, ENGINE_TIME, &ticks);
    run->system = (struct system_info){
        .descr = system_keep(run, DESCR),
        .object_id = system_keep(run, OBJECT_ID),
        .has_uptime = has_ticks,
        .uptime_ticks = ticks,
        .contact = system_keep(run, CONTACT),
        .name = system_keep(run, NAME),
        .location = system_keep(run, LOCATION),
    };
    run->has_system = true;
}

void devrun_system_step(struct devrun *run)
{
    if (run->probe->count > 0) {
        if (!devrun_agent_gone(run, &run->device->snmp) && devrun_probe_ask(run))
            return;
        system_collect(run);
    }
    run->phase = PHASE_REINDEX;
}

void devrun_system_snmp(struct devrun *run, const struct snmp_reply *reply)
{
    devrun_probe_take(run, reply);
}
