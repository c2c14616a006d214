/* Any bytes as answers of an agent: they are taken for an answer only if they are one to the request, and no item gets
 * a value that did not come under its own name.
 *
 * A device run with three items asks through the real exchange and the real library; the network is ours.
 *
 * Input: version and options, then messages: a letter, a length, bytes.
 *   'r'  the bytes, in which DE AD BE EF stands for the request's id and DE AD CA FE for the message's
 *   'a'  the right answer; the bytes are pairs: where, and what is added there
 *   'p'  the SNMPv3 Report of the first byte's number, changed like 'a'
 *   't'  nothing comes in time */
#include "config.h"

#include "fuzz.h"

#include "../support/fake_wire.h"
#include "../unit/drivers/snmp_ber.h"

#include "drivers/snmp_exchange.h"
#include "model/avail.h"
#include "model/devrun.h"
#include "model/value.h"

#include <stdio.h>

enum { ITEMS = 3, MESSAGES_MAX = 12, SEEN_MAX = 256, SERVED_MAX = 400, MS = 1000 };

static const uint32_t subs[ITEMS][9] = {
    {1, 3, 6, 1, 2, 1, 1, 3, 0}, {1, 3, 6, 1, 2, 1, 1, 7, 0}, {1, 3, 6, 1, 2, 1, 1, 8, 0}};

struct bench {
    struct feed feed;
    struct fake_wire wire;
    struct snmp_exchange *exchange;
    struct exchange *x;
    struct devrun *run;
    int64_t now_us;
    struct target target;
    struct item items[ITEMS];
    struct device device;
    struct address agent;
    unsigned messages;
    bool with_community; /* a message that has it has come for this request */
    struct ask ask;
    bool asking, finished;
    size_t rows;
    struct { /* values that came under the name of an item */
        size_t item;
        struct buf text;
    } seen[SEEN_MAX];
    size_t seen_count;
};

/* ---- messages ---- */

static struct seen last_request(const struct bench *b)
{
    const struct fake_message *m = &b->wire.sent[b->wire.sent_count - 1];
    return see(m->bytes, m->len);
}

/* The request's names with values. */
static struct bytes right_list(const struct bench *b)
{
    struct bytes list = {.len = 0};
    for (size_t i = 0; i < b->ask.snmp.count; i++) {
        struct bytes name = {.b = {0x2b}, .len = 1};
        for (size_t k = 2; k < b->ask.snmp.names[i].len; k++)
            name.b[name.len++] = (uint8_t)b->ask.snmp.names[i].sub[k];
        list = cat(list, tlv(0x30, cat(tlv(0x06, name), integer(0x02, 1000 + (int32_t)i))));
    }
    return tlv(0x30, list);
}

static struct bytes v3_of(const struct seen *r, struct bytes pdu)
{
    static const uint8_t flags = 0;
    static const char engine[] = "\x80\x00\x1f\x88\x04lab1";
    struct bytes head =
        cat(cat(integer(2, r->msg_id), integer(2, 65507)), cat(octets(&flags, 1), integer(2, 3)));
    struct bytes usm = cat(cat(octets(engine, 9), integer(2, 3)),
                           cat(integer(2, 1000), octets(r->user, strlen(r->user))));
    usm = tlv(0x30, cat(usm, cat(octets("", 0), octets("", 0))));
    struct bytes scoped = tlv(0x30, cat(cat(octets(engine, 9), octets("", 0)), pdu));
    return tlv(0x30, cat(cat(integer(2, 3), tlv(0x30, head)), cat(tlv(0x04, usm), scoped)));
}

static struct bytes right_answer(const struct bench *b, const struct seen *r)
{
    struct bytes head = cat(integer(2, r->request_id), cat(integer(2, 0), integer(2, 0)));
    struct bytes pdu = tlv(0xa2, cat(head, right_list(b)));
    return r->version == 3 ? v3_of(r, pdu) : message_of(r->version, "secret", pdu);
}

static struct bytes report(const struct seen *r, uint8_t which)
{
    const uint8_t name[] = {0x2b, 6, 1, 6, 3, 15, 1, 1, which & 0x7f, 0};
    return v3_of(r, pdu_of(0xa8, r->request_id, name, sizeof(name), integer(0x41, 1)));
}

static void change(struct bytes *m, struct feed *f)
{
    while (f->left >= 2) {
        size_t at = feed_byte(f) * (m->len > 255 ? 2U : 1U);
        if (at < m->len)
            m->b[at] = (uint8_t)(m->b[at] + feed_byte(f));
    }
}

static void put_id(struct bytes *m, const char *mark, int32_t id)
{
    uint8_t *at;
    while ((at = memmem(m->b, m->len, mark, 4)) != NULL)
        for (int i = 0; i < 4; i++)
            at[i] = (uint8_t)((uint32_t)id >> (24 - 8 * i));
}

/* false: nothing comes. */
static bool next_message(struct bench *b, struct bytes *ret)
{
    uint8_t kind = feed_byte(&b->feed);
    size_t len = feed_byte(&b->feed);
    struct feed part = {b->feed.at, len < b->feed.left ? len : b->feed.left};
    b->feed.at += part.left;
    b->feed.left -= part.left;
    struct seen r = last_request(b);
    *ret = (struct bytes){.len = part.left};
    if (kind == 'a') {
        *ret = right_answer(b, &r);
        change(ret, &part);
    } else if (kind == 'p') {
        *ret = report(&r, feed_byte(&part));
        change(ret, &part);
    } else if (kind == 'r') {
        memcpy(ret->b, part.at, part.left);
        put_id(ret, "\xde\xad\xbe\xef", r.request_id);
        put_id(ret, "\xde\xad\xca\xfe", r.msg_id);
    }
    return kind != 't' && ret->len > 0;
}

/* ---- the exchange ---- */

static void bench_event(struct bench *b, enum exchange_event_kind kind)
{
    b->wire.now_us = b->now_us;
    exchange_feed(
        b->x, &(struct exchange_event){.kind = kind, .now_us = b->now_us, .address = &b->agent});
}

static void wait_io(struct bench *b)
{
    struct bytes m;
    if (b->feed.left > 0 && b->messages++ < MESSAGES_MAX && next_message(b, &m)) {
        b->with_community |= memmem(m.b, m.len, "secret", 6) != NULL;
        b->now_us += MS;
        fake_wire_give(&b->wire, m.b, m.len, &b->agent, 0);
        bench_event(b, EXCHANGE_READY);
    } else {
        CHECK(b->x->want.until_us != INT64_MAX); /* or it would wait forever */
        b->now_us = b->x->want.until_us > b->now_us ? b->x->want.until_us : b->now_us;
        bench_event(b, EXCHANGE_TIME);
    }
}

static void serve(struct bench *b)
{
    int served = 0;
    b->wire.sent_count = b->wire.incoming_count = b->wire.taken = 0;
    b->with_community = false;
    snmp_exchange_begin(b->exchange, &b->ask.snmp, b->now_us, b->now_us + 60000 * MS);
    while (b->x->want.kind != WANT_NOTHING) {
        CHECK(++served < SERVED_MAX);
        switch (b->x->want.kind) {
        case WANT_ADDRESS: bench_event(b, EXCHANGE_ADDRESS_FOUND); break;
        case WANT_JOB:
            b->x->want.job(b->x->want.arg);
            bench_event(b, EXCHANGE_JOB_DONE);
            break;
        case WANT_IO:
        case WANT_TIME: wait_io(b); break;
        case WANT_NOTHING: break;
        }
    }
}

/* ---- what came and what became of it ---- */

static size_t item_of(struct oid name)
{
    for (size_t i = 0; i < ITEMS; i++)
        if (name.len == ARRAY_LEN(subs[i]) && memcmp(name.sub, subs[i], sizeof(subs[i])) == 0)
            return i;
    return ITEMS;
}

static void note_varbind(struct bench *b, const struct varbind *vb)
{
    struct buf text = BUF_INIT;
    size_t item = item_of(vb->name);
    varbind_text(vb, &text); /* looks at every byte */
    CHECK(strlen(buf_str(&text)) == text.len || vb->type == VARBIND_OCTETS ||
          vb->type == VARBIND_OPAQUE);
    buf_clear(&text);
    bool known = value_from_varbind(vb, &text);
    if (item < ITEMS && known && b->seen_count < SEEN_MAX) {
        b->seen[b->seen_count].item = item;
        b->seen[b->seen_count++].text = text;
        return;
    }
    buf_done(&text);
}

static void check_reply(struct bench *b, const struct snmp_reply *reply)
{
    if (reply->outcome != SNMP_ANSWERED) {
        CHECK(reply->detail != NULL && reply->detail[0] != '\0');
        return;
    }
    CHECK(b->target.version == 3 || b->with_community);
    for (size_t i = 0; i < reply->count; i++)
        note_varbind(b, &reply->varbinds[i]);
}

static void check_row(const struct bench *b, const struct output_row *row)
{
    size_t item = row->local_data_id;
    CHECK(item < ITEMS);
    if (strcmp(row->output, "U") == 0)
        return;
    for (size_t i = 0; i < b->seen_count; i++)
        if (b->seen[i].item == item && strcmp(buf_str(&b->seen[i].text), row->output) == 0)
            return;
    CHECK(!"a value that did not come under the item's name");
}

static void take_actions(struct bench *b)
{
    const struct action *a;
    b->asking = false;
    while ((a = devrun_next_action(b->run)) != NULL) {
        CHECK(!b->finished);
        if (a->kind == ACTION_ROW) {
            check_row(b, &a->row);
            b->rows++;
        } else if (a->kind == ACTION_FINISHED) {
            b->finished = true;
        } else if (a->kind == ACTION_ASK) {
            CHECK(a->ask.kind == ASK_SNMP && !b->asking);
            b->ask = a->ask;
            b->asking = true;
        }
    }
}

static void bench_init(struct bench *b, struct feed feed)
{
    memset(b, 0, sizeof(*b));
    b->feed = feed;
    uint8_t options = feed_byte(&b->feed);
    b->now_us = 7000000;
    b->agent = fake_address("192.0.2.1", 161);
    b->target = (struct target){.hostname = "192.0.2.1",
                                .port = 161,
                                .version = (uint8_t)(1 + options % 4 % 3),
                                .timeout_ms = 100,
                                .community = "secret",
                                .username = "user",
                                .password = "",
                                .auth_protocol = "SHA",
                                .priv_passphrase = "",
                                .priv_protocol = "[None]",
                                .context = "",
                                .engine_id = ""};
    for (size_t i = 0; i < ITEMS; i++)
        b->items[i] = (struct item){.local_data_id = (uint32_t)i,
                                    .action = ITEM_SNMP,
                                    .rrd_name = "x",
                                    .arg1 = "x",
                                    .target = &b->target,
                                    .oid = {subs[i], ARRAY_LEN(subs[i])}};
    b->device = (struct device){.id = 1,
                                .device_threads = 1,
                                .max_oids = 1 + (options >> 2) % 4,
                                .snmp = b->target,
                                .availability_method = AVAIL_NONE,
                                .items = b->items,
                                .item_count = ITEMS};
    fake_wire_init(&b->wire);
    b->exchange = snmp_exchange_new(&(struct snmp_options){.retries = 1, .client_address = ""},
                                    &b->wire.wire);
    b->x = snmp_exchange_base(b->exchange);
    b->run = devrun_new(
        &b->device,
        &(struct devrun_options){.log_level = LOG_DEVDBG, .failure_count = 2, .recovery_count = 3});
}

static void bench_done(struct bench *b)
{
    devrun_free(b->run);
    snmp_exchange_free(b->exchange);
    CHECK(b->wire.closed == b->wire.opened);
    for (size_t i = 0; i < b->seen_count; i++)
        buf_done(&b->seen[i].text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    static struct bench b;
    if (!started)
        CHECK(snmp_library_start(NULL));
    started = true;
    bench_init(&b, (struct feed){data, size});
    devrun_start(b.run, &(struct moment){b.now_us, 1700000000000000});
    take_actions(&b);
    for (int asks = 0; b.asking; asks++) {
        struct snmp_reply reply;
        CHECK(asks < DEVRUN_STEPS + ITEMS * DEVRUN_STEPS_ITEM);
        serve(&b);
        snmp_exchange_reply(b.exchange, &reply);
        check_reply(&b, &reply);
        devrun_answer_snmp(b.run, b.ask.id, &reply, &(struct moment){b.now_us, 1700000000000000});
        take_actions(&b);
    }
    CHECK(b.finished && b.rows == ITEMS);
    bench_done(&b);
    return 0;
}
