#include "agent.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 16384, HEAD_ROOM = REPLY_ROOM - ANSWER_MAX };
enum { ERR_TOOBIG = 1, ERR_NOSUCHNAME = 2 };

/* One variable binding of the answer: an object's value, or a ready TLV. */
struct row {
    const uint8_t *name;
    size_t name_len;
    const struct object *object;
    const uint8_t *tlv;
    size_t tlv_len;
};

/* One request being answered. */
struct job {
    struct farm *farm;
    struct agent *agent;
    const struct behaviour *b;
    const struct snmp_request *req;
    int64_t now_ms;
    bool faulty;
    bool mute; /* an object was asked for that is never answered */
    int32_t status;
    int32_t index;
    size_t n;
    struct row *rows;
};

static const uint8_t tlv_nosuchobject[] = {SNMP_NOSUCHOBJECT, 0};
static const uint8_t tlv_nosuchinstance[] = {SNMP_NOSUCHINSTANCE, 0};
static const uint8_t tlv_endofmib[] = {SNMP_ENDOFMIB, 0};
static const uint8_t tlv_null[] = {BER_NULL, 0};
static const uint8_t tlv_extra[] = {BER_INTEGER, 1, 42};
static const uint8_t name_extra[] = {0x2b, 6,    1,    4, 1,
                                     0x81, 0xfd, 0x59, 1}; /* .1.3.6.1.4.1.32473.1 */

static uint64_t next_random(struct agent *a)
{
    a->rng += 0x9e3779b97f4a7c15u;
    return fmix64(a->rng);
}

/* ---- sets ---- */

static int compare_arcs(const uint32_t *a, size_t na, const uint32_t *b, size_t nb)
{
    for (size_t i = 0; i < na && i < nb; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return (na > nb) - (na < nb);
}

static int compare_objects(const void *pa, const void *pb)
{
    const struct object *a = pa, *b = pb;
    int c = compare_arcs(a->arcs, a->n, b->arcs, b->n);
    return c != 0 ? c : (a->line > b->line) - (a->line < b->line);
}

struct set *set_get(struct farm *f, const char *name, bool create)
{
    struct set *s;
    for (s = f->sets; s != NULL; s = s->next)
        if (strcmp(s->name, name) == 0)
            return s;
    if (!create)
        return NULL;
    s = must_realloc(NULL, sizeof *s);
    *s = (struct set){.name = must_copy(name, strlen(name) + 1), .next = f->sets};
    f->sets = s;
    return s;
}

void set_add(struct set *s, const uint32_t *arcs, size_t n, const struct value *v)
{
    if (s->n == s->cap) {
        s->cap = s->cap > 0 ? s->cap * 2 : 64;
        s->objects = must_realloc(s->objects, s->cap * sizeof *s->objects);
    }
    uint8_t name[OID_MAX_BYTES];
    size_t name_len = ber_oid_encode(arcs, n, name);
    s->objects[s->n] = (struct object){
        .arcs = must_copy(arcs, n * sizeof *arcs),
        .name = must_copy(name, name_len),
        .n = (uint16_t)n,
        .name_len = (uint16_t)name_len,
        .line = (uint32_t)s->n,
        .place = s->places++,
        .hash = oid_hash(arcs, n),
        .value = v,
    };
    s->n++;
    s->sorted = false;
}

void set_sort(struct set *s)
{
    if (s->sorted)
        return;
    if (s->n > 0)
        qsort(s->objects, s->n, sizeof *s->objects, compare_objects);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct object *o = &s->objects[i];
        if (i + 1 < s->n && compare_arcs(o->arcs, o->n, o[1].arcs, o[1].n) == 0) {
            free(o->arcs);
            free(o->name);
            continue;
        }
        s->objects[kept++] = *o;
    }
    s->n = kept;
    size_t size = 64;
    while (size < kept * 2)
        size *= 2;
    s->mask = size - 1;
    s->index = must_realloc(s->index, size * sizeof *s->index);
    memset(s->index, 0, size * sizeof *s->index);
    for (size_t i = 0; i < kept; i++) {
        s->objects[i].line = (uint32_t)i; /* additions to come are later than all of these */
        size_t at = fmix64(s->objects[i].hash) & s->mask;
        while (s->index[at] != 0)
            at = (at + 1) & s->mask;
        s->index[at] = (uint32_t)i + 1;
    }
    s->sorted = true;
}

static const struct object *set_find(const struct set *s, const uint32_t *arcs, size_t n)
{
    uint64_t hash = oid_hash(arcs, n);
    for (size_t at = fmix64(hash) & s->mask; s->index[at] != 0; at = (at + 1) & s->mask) {
        const struct object *o = &s->objects[s->index[at] - 1];
        if (o->hash == hash && compare_arcs(o->arcs, o->n, arcs, n) == 0)
            return o;
    }
    return NULL;
}

/* Number of the first object at or behind the OID (behind: the OID itself does not count). */
static size_t set_bound(const struct set *s, const uint32_t *arcs, size_t n, bool behind)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = compare_arcs(s->objects[mid].arcs, s->objects[mid].n, arcs, n);
        if (c < 0 || (behind && c == 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Whether a GETNEXT would stop here: RFC 3584 4.2.2.1 hides Counter64 from SNMPv1. */
static bool visible(const struct object *o, int version)
{
    enum type t = o->value->type;
    if (t == T_NOSUCHOBJECT || t == T_NOSUCHINSTANCE)
        return false;
    return version != SNMP_V1 || t != T_COUNTER64;
}

static size_t skip_hidden(const struct set *s, size_t at, int version)
{
    while (at < s->n && !visible(&s->objects[at], version))
        at++;
    return at;
}

/* What an agent finds that keeps its objects as the spec has them and looks for the first one behind an
 * OID (NULL: any) from a place on. */
static size_t next_place(const struct set *s, const uint32_t *arcs, size_t n, uint32_t from)
{
    size_t found = s->n;
    for (size_t i = 0; i < s->n; i++) {
        const struct object *o = &s->objects[i];
        bool behind = arcs == NULL || compare_arcs(o->arcs, o->n, arcs, n) > 0;
        if (behind && o->place >= from && (found == s->n || o->place < s->objects[found].place))
            found = i;
    }
    return found;
}

/* ---- agents ---- */

static struct agent *slot(const struct farm *f, uint32_t addr)
{
    size_t at = fmix64(addr) & f->mask;
    while (f->agents[at].addr != 0 && f->agents[at].addr != addr)
        at = (at + 1) & f->mask;
    return &f->agents[at];
}

struct agent *agent_find(const struct farm *f, uint32_t addr)
{
    struct agent *a = f->agents != NULL && addr != 0 ? slot(f, addr) : NULL;
    return a != NULL && a->addr != 0 ? a : NULL;
}

void behaviour_init(struct behaviour *b, struct set *set)
{
    *b = (struct behaviour){
        .set = set,
        .community = "public",
        .community_len = 6,
        .version = -1,
        .max_size = ANSWER_MAX,
        .toobig_above = UINT32_MAX,
        .seed = 1,
        .drop_of = 1,
        .die_after = UINT64_MAX,
        .recover = UINT64_MAX,
        .during_last = UINT64_MAX,
        .share_n = 1,
        .share_of = 1,
        .copies = 1,
        .error = -1,
    };
}

struct agent *agent_put(struct farm *f, uint32_t addr, const struct behaviour *b)
{
    if (f->agents == NULL || f->n * 2 > f->mask) {
        struct farm old = *f;
        size_t size = old.agents != NULL ? (old.mask + 1) * 2 : 1024;
        f->agents = must_realloc(NULL, size * sizeof *f->agents);
        memset(f->agents, 0, size * sizeof *f->agents);
        f->mask = size - 1;
        for (size_t i = 0; old.agents != NULL && i <= old.mask; i++)
            if (old.agents[i].addr != 0)
                *slot(f, old.agents[i].addr) = old.agents[i];
        free(old.agents);
    }
    struct agent *a = slot(f, addr);
    f->n += a->addr == 0;
    *a = (struct agent){.addr = addr, .b = b, .rng = b->seed + addr};
    return a;
}

/* ---- rows: what the right answer says ---- */

static void add_row(struct job *j, const uint8_t *name, size_t name_len, const struct object *o,
                    const uint8_t *tlv, size_t tlv_len)
{
    if (j->n < MAX_ROWS)
        j->rows[j->n++] = (struct row){name, name_len, o, tlv, tlv_len};
}

/* The request's own bindings: what goes with an error. */
static void echo_rows(struct job *j)
{
    j->n = 0;
    for (size_t i = 0; i < j->req->n; i++) {
        const struct snmp_varbind *vb = &j->req->vb[i];
        add_row(j, vb->name, vb->name_len, NULL, vb->value, vb->value_len);
    }
}

static void fail(struct job *j, int32_t status, size_t index)
{
    j->status = status;
    j->index = (int32_t)index;
    echo_rows(j);
    if (status == ERR_TOOBIG && j->req->version == SNMP_V2C)
        j->n = 0; /* RFC 3416 4.2.1: tooBig comes with an empty list */
}

/* An object that is not there. False: the whole request has failed. */
static bool miss(struct job *j, size_t i, const uint32_t *arcs, size_t n)
{
    const struct snmp_varbind *vb = &j->req->vb[i];
    enum missing how = j->b->missing;
    if (how == MISSING_NULL) {
        add_row(j, vb->name, vb->name_len, NULL, tlv_null, 2);
        return true;
    }
    if (how == MISSING_NOSUCHNAME || j->req->version == SNMP_V1) {
        fail(j, ERR_NOSUCHNAME, i + 1);
        return false;
    }
    if (how == MISSING_AUTO) {
        const struct set *s = j->b->set;
        size_t at = n > 0 ? set_bound(s, arcs, n - 1, false) : s->n;
        bool sibling = at < s->n && s->objects[at].n >= n &&
                       compare_arcs(s->objects[at].arcs, n - 1, arcs, n - 1) == 0;
        how = sibling ? MISSING_INSTANCE : MISSING_OBJECT;
    }
    const uint8_t *tlv = how == MISSING_INSTANCE ? tlv_nosuchinstance : tlv_nosuchobject;
    add_row(j, vb->name, vb->name_len, NULL, tlv, 2);
    return true;
}

static bool get(struct job *j)
{
    for (size_t i = 0; i < j->req->n; i++) {
        const struct snmp_varbind *vb = &j->req->vb[i];
        uint32_t arcs[OID_MAX_ARCS];
        size_t n;
        if (!ber_oid_decode(vb->name, vb->name_len, arcs, &n))
            return false;
        const struct object *o = set_find(j->b->set, arcs, n);
        if (o != NULL && j->req->version == SNMP_V1 &&
            (!visible(o, SNMP_V1) || o->value->type == T_ENDOFMIB))
            o = NULL;
        j->mute |= o != NULL && o->value->type == T_MUTE;
        if (o != NULL)
            add_row(j, vb->name, vb->name_len, o, NULL, 0);
        else if (!miss(j, i, arcs, n))
            return true;
    }
    return true;
}

/* Adds object number `at`, or the end of the MIB under the name given. False: it was the end. */
static bool add_next(struct job *j, size_t at, const uint8_t *name, size_t name_len)
{
    const struct set *s = j->b->set;
    if (at >= s->n || s->objects[at].value->type == T_ENDOFMIB) {
        add_row(j, name, name_len, NULL, tlv_endofmib, 2);
        return false;
    }
    j->mute |= s->objects[at].value->type == T_MUTE;
    add_row(j, s->objects[at].name, s->objects[at].name_len, &s->objects[at], NULL, 0);
    return true;
}

static bool first_next(const struct job *j, size_t i, size_t *at)
{
    uint32_t arcs[OID_MAX_ARCS];
    size_t n;
    if (!ber_oid_decode(j->req->vb[i].name, j->req->vb[i].name_len, arcs, &n))
        return false;
    *at = j->b->file_order
              ? next_place(j->b->set, arcs, n, 0)
              : skip_hidden(j->b->set, set_bound(j->b->set, arcs, n, true), j->req->version);
    return true;
}

/* GETNEXT of the first `count` bindings. */
static bool get_next(struct job *j, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct snmp_varbind *vb = &j->req->vb[i];
        size_t at;
        if (!first_next(j, i, &at))
            return false;
        if (!add_next(j, at, vb->name, vb->name_len) && j->req->version == SNMP_V1) {
            fail(j, ERR_NOSUCHNAME, i + 1);
            return true;
        }
    }
    return true;
}

static bool get_bulk(struct job *j)
{
    static struct column {
        size_t at;
        const uint8_t *name;
        size_t name_len;
        bool ended;
    } columns[SNMP_MAX_VARBINDS];
    const struct snmp_request *req = j->req;
    const struct set *s = j->b->set;
    int32_t non_repeaters = req->non_repeaters > 0 ? req->non_repeaters : 0;
    size_t first = (size_t)non_repeaters < req->n ? (size_t)non_repeaters : req->n;
    if (!get_next(j, first))
        return false;
    for (size_t i = first; i < req->n; i++) {
        columns[i] = (struct column){.name = req->vb[i].name, .name_len = req->vb[i].name_len};
        if (!first_next(j, i, &columns[i].at))
            return false;
    }
    size_t live = req->n - first;
    for (int32_t r = 0; r < req->max_repetitions && live > 0 && j->n < MAX_ROWS; r++) {
        for (size_t i = first; i < req->n; i++) {
            struct column *c = &columns[i];
            bool more = add_next(j, c->at, c->name, c->name_len);
            live -= !more && !c->ended;
            c->ended = !more;
            if (more) {
                c->name = s->objects[c->at].name;
                c->name_len = s->objects[c->at].name_len;
                c->at = j->b->file_order ? next_place(s, NULL, 0, s->objects[c->at].place + 1)
                                         : skip_hidden(s, c->at + 1, req->version);
            }
        }
    }
    return true;
}

static bool build_rows(struct job *j)
{
    const struct behaviour *b = j->b;
    if (j->faulty && b->error >= 0) {
        fail(j, b->error, (size_t)b->error_index);
        return true;
    }
    if (j->req->n > b->toobig_above) {
        fail(j, ERR_TOOBIG, 0);
        return true;
    }
    switch (j->req->pdu) {
    case SNMP_GET: return get(j);
    case SNMP_GETNEXT: return get_next(j, j->req->n);
    case SNMP_GETBULK: return get_bulk(j);
    default: fail(j, j->req->version == SNMP_V1 ? ERR_NOSUCHNAME : 17, 1); return true;
    }
}

/* ---- faults ---- */

static void rename_row(struct row *r, uint8_t name[OID_MAX_BYTES])
{
    uint32_t arcs[OID_MAX_ARCS];
    size_t n;
    if (!ber_oid_decode(r->name, r->name_len, arcs, &n))
        return;
    arcs[n - 1] += 1000000;
    r->name_len = ber_oid_encode(arcs, n, name);
    r->name = name;
}

/* GETNEXT and GETBULK answers that do not get on: every row bears the name that was asked. */
static void stick_rows(struct job *j)
{
    size_t n = j->req->n;
    size_t first = 0;
    if (j->req->pdu == SNMP_GETBULK && j->req->non_repeaters > 0)
        first = (size_t)j->req->non_repeaters < n ? (size_t)j->req->non_repeaters : n;
    for (size_t i = 0; i < j->n; i++) {
        if (i >= n && first == n)
            return;
        const struct snmp_varbind *vb = &j->req->vb[i < n ? i : first + (i - first) % (n - first)];
        j->rows[i].name = vb->name;
        j->rows[i].name_len = vb->name_len;
    }
}

static void spoil_rows(struct job *j)
{
    static uint8_t renamed[OID_MAX_BYTES];
    const struct behaviour *b = j->b;
    if (b->stuck && j->req->pdu != SNMP_GET)
        stick_rows(j);
    if (b->other_oid > 0 && b->other_oid <= j->n)
        rename_row(&j->rows[b->other_oid - 1], renamed);
    if (b->reorder)
        for (size_t i = 0; i < j->n / 2; i++) {
            struct row swap = j->rows[i];
            j->rows[i] = j->rows[j->n - 1 - i];
            j->rows[j->n - 1 - i] = swap;
        }
    if (b->omit_first && j->n > 0)
        memmove(j->rows, j->rows + 1, --j->n * sizeof *j->rows);
    if (b->omit_last && j->n > 0)
        j->n--;
    if (b->omit_after > 0 && j->n > b->omit_after)
        j->n = b->omit_after;
    if (b->extra)
        add_row(j, name_extra, sizeof name_extra, NULL, tlv_extra, sizeof tlv_extra);
}

static void spoil_bytes(struct job *j, struct reply *r)
{
    const struct behaviour *b = j->b;
    for (uint32_t i = 0; i < b->corrupt && r->len > 0; i++) {
        uint64_t x = next_random(j->agent);
        r->buf[(x >> 8) % r->len] ^= (uint8_t)(1 + x % 255);
    }
    if (b->truncate == TRUNCATE_AT && b->truncate_at < r->len)
        r->len = b->truncate_at;
    if (b->truncate == TRUNCATE_SWEEP && j->agent->sweep < r->len)
        r->len = j->agent->sweep++;
    if (b->oversized) {
        memset(r->buf + r->len, 0, ANSWER_MAX - r->len);
        r->len = ANSWER_MAX;
    }
}

/* ---- encoding ---- */

static void put_row(struct ber_out *out, const struct row *r, const struct job *j)
{
    static uint8_t scratch[ANSWER_MAX];
    const uint8_t *tlv = r->tlv;
    size_t len = r->tlv_len;
    const struct value *v = r->object != NULL ? r->object->value : NULL;
    if (v != NULL && v->tlv != NULL && !out->long_form) {
        tlv = v->tlv;
        len = v->tlv_len;
    } else if (v != NULL) {
        struct ber_out s = {.buf = scratch, .cap = sizeof scratch, .long_form = out->long_form};
        const struct value_ctx c = {
            .addr = j->agent->addr,
            .last = r->object->arcs[r->object->n - 1],
            .hash = r->object->hash,
            .requests = j->agent->requests,
            .uptime = j->b->uptime + (uint64_t)(j->now_ms - j->b->since_ms) / 10,
        };
        value_put(&s, v, &c);
        out->full |= s.full;
        tlv = scratch;
        len = s.len;
    }
    ber_put_head(out, BER_SEQUENCE, ber_head_size(out, r->name_len) + r->name_len + len);
    ber_put_bytes(out, BER_OID, r->name, r->name_len);
    ber_put_raw(out, tlv, len);
}

/* All rows that fit; false if some did not, which only GETBULK may leave at that. */
static bool put_rows(struct job *j, struct ber_out *body)
{
    for (size_t i = 0; i < j->n; i++) {
        size_t before = body->len;
        put_row(body, &j->rows[i], j);
        if (body->full) {
            body->len = before;
            body->full = false;
            j->n = i;
            return j->req->pdu == SNMP_GETBULK && i > 0;
        }
    }
    return true;
}

static void put_v3(struct farm *f, const struct snmp_head *head, const struct ber_out *body,
                   struct reply *r)
{
    struct ber_out out = {.buf = r->buf, .cap = REPLY_ROOM};
    usm_put(&f->message, head, body, &out);
    r->len = out.len;
}

static void encode(struct job *j, struct reply *r)
{
    const struct snmp_request *req = j->req;
    const struct behaviour *b = j->b;
    bool lies = j->faulty;
    /* what snmp_put_head or usm_put needs at most */
    size_t reserve = j->farm->v3 ? USM_ROOM : 48 + req->community_len;
    struct ber_out body = {
        .buf = r->buf + HEAD_ROOM,
        .cap = b->max_size > reserve ? b->max_size - reserve : 0,
        .long_form = lies && b->long_lengths,
    };
    if (!put_rows(j, &body)) {
        fail(j, ERR_TOOBIG, 0);
        body.len = 0;
        body.cap = ANSWER_MAX - reserve; /* an error may be as long as the question was */
        put_rows(j, &body);
    }
    struct snmp_head head = {
        .version = lies && b->wrong_version ? 1 - req->version : req->version,
        .pdu = lies && b->wrong_pdu ? req->pdu : SNMP_RESPONSE,
        .community = req->community,
        .community_len = req->community_len,
        .id = lies && b->wrong_id ? (int32_t)((uint32_t)req->id + 1) : req->id,
        .status = j->status,
        .index = j->index,
    };
    if (lies && b->wrong_community) {
        head.community = (const uint8_t *)"not-yours";
        head.community_len = 9;
    }
    j->farm->counters.varbinds += j->n;
    if (j->farm->v3) {
        put_v3(j->farm, &head, &body, r);
        return;
    }
    uint8_t room[HEAD_ROOM];
    struct ber_out front = {.buf = room, .cap = sizeof room, .long_form = body.long_form};
    snmp_put_head(&front, &head, body.len);
    memmove(r->buf + front.len, body.buf, body.len);
    memcpy(r->buf, room, front.len);
    r->len = front.len + body.len;
}

/* ---- the agent ---- */

static bool community_fits(const struct behaviour *b, const struct snmp_request *req)
{
    if (req->community_len > MAX_COMMUNITY)
        return false;
    return b->any_community || (b->community_len == req->community_len &&
                                memcmp(b->community, req->community, req->community_len) == 0);
}

/* Whether request number n goes unanswered whatever it asks. */
static bool ignores(const struct behaviour *b, struct agent *a, uint64_t n)
{
    bool lost = b->loss > 0 && (double)(next_random(a) >> 11) * 0x1p-53 < b->loss;
    if (n <= b->drop_first || (n - 1) % b->drop_of < b->drop_n)
        return true;
    if (n > b->die_after && n - b->die_after <= b->recover)
        return true;
    return lost;
}

static uint32_t draw_delay(const struct behaviour *b, struct agent *a)
{
    if (b->delay_max == b->delay_min)
        return b->delay_min;
    return b->delay_min + (uint32_t)(next_random(a) % (b->delay_max - b->delay_min + 1));
}

static void fill_reply(struct job *j, struct reply *r)
{
    const struct behaviour *b = j->b;
    if (j->faulty && b->zero_length) {
        r->len = 0;
    } else if (j->faulty && b->garbage > 0) {
        for (r->len = 0; r->len < b->garbage; r->len++)
            r->buf[r->len] = (uint8_t)next_random(j->agent);
    } else {
        if (j->faulty)
            spoil_rows(j);
        encode(j, r);
        if (j->faulty)
            spoil_bytes(j, r);
    }
}

/* A request, or what a Report answers: f->v3, and f->message says more. */
static enum fate take_request(struct farm *f, const struct agent *a, const uint8_t *data,
                              size_t len, int64_t now_ms)
{
    struct snmp_request *req = &f->request;
    f->v3 = a->b->user.set && snmp_version(data, len) == SNMP_V3;
    if (!f->v3) {
        f->message.report = 0;
        if (!snmp_decode(data, len, req))
            return FATE_MALFORMED;
        return community_fits(a->b, req) ? FATE_ANSWER : FATE_COMMUNITY;
    }
    switch (usm_take(&f->message, &a->b->user, a->addr, now_ms, data, len, req)) {
    case USM_MALFORMED: return FATE_MALFORMED;
    case USM_REPORT:
        req->version = SNMP_V2C;
        req->pdu = SNMP_GET;
        req->id = f->message.request_id;
        req->n = 0;
        return FATE_ANSWER;
    case USM_REQUEST: break;
    }
    return FATE_ANSWER;
}

static void report(struct farm *f, struct reply *r)
{
    uint8_t room[64];
    struct ber_out body = {.buf = room, .cap = sizeof room};
    const struct snmp_head head = {.pdu = SNMP_REPORT, .id = f->message.request_id};
    usm_put_report(&f->message, &body);
    put_v3(f, &head, &body, r);
}

enum fate agent_handle(struct farm *f, struct agent *a, const uint8_t *data, size_t len,
                       int64_t now_ms, struct reply *reply)
{
    static struct row rows[MAX_ROWS];
    const struct behaviour *b = a->b;
    struct snmp_request *req = &f->request;
    enum fate fate = take_request(f, a, data, len, now_ms);
    if (fate != FATE_ANSWER)
        return fate;
    uint64_t n = ++a->requests;
    uint32_t delay = draw_delay(b, a);
    if (ignores(b, a, n) || (!f->v3 && b->version >= 0 && b->version != req->version))
        return FATE_DROP;
    struct job j = {.farm = f, .agent = a, .b = b, .req = req, .now_ms = now_ms, .rows = rows};
    j.faulty = n >= b->during_first && n <= b->during_last && (n - 1) % b->share_of < b->share_n;
    if (j.faulty && b->silent)
        return FATE_DROP;
    if (f->message.report == 0 && !build_rows(&j))
        return FATE_MALFORMED;
    if (j.mute)
        return FATE_DROP;
    *reply = (struct reply){.buf = reply->buf, .copies = 1, .delay_ms = delay};
    if (f->message.report != 0)
        report(f, reply);
    else
        fill_reply(&j, reply);
    if (j.faulty) {
        reply->copies = b->copies;
        reply->delay_ms += b->late;
        reply->source = b->source;
    }
    a->answers++;
    return FATE_ANSWER;
}
