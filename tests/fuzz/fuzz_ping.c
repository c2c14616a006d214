/* Any bytes on an ICMP socket: only an echo reply to a request of ours is one, and what the network returns is about
 * a request of ours or about none.
 *
 * Input: family and kind of socket, a mode, then bytes.  With the mode 'm' they are changes of a right message. */
#include "config.h"

#include "fuzz.h"

#include "../../src/drivers/ping_private.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { ID = 0x1234, SEQ = 0x5678, IP_HEADER = 20, MESSAGE_MAX = 1500 };

struct message {
    int family;
    enum ping_socket_kind kind;
    uint8_t bytes[MESSAGE_MAX];
    size_t len;
};

static uint32_t sum_of(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static bool has_ip_header(const struct message *m)
{
    return m->family == AF_INET && m->kind == PING_SOCKET_RAW;
}

/* ---- replies ---- */

/* RFC 792 and RFC 4443, by the text: type, code, checksum, identifier, number, data. */
static bool is_reply(const struct message *m, uint16_t *ret_seq)
{
    const uint8_t *p = m->bytes;
    size_t len = m->len;
    if (has_ip_header(m)) {
        size_t header = len < IP_HEADER ? MESSAGE_MAX : 4 * (size_t)(p[0] % 16);
        if (header < IP_HEADER || header > len || p[0] / 16 != 4 || p[9] != 1)
            return false;
        p += header;
        len -= header;
        if (sum_of(p, len) != 0xffff)
            return false;
    }
    if (len != 8 + strlen("cacti-monitoring-system"))
        return false;
    if (m->kind == PING_SOCKET_RAW && (p[4] != ID >> 8 || p[5] != (ID & 0xff)))
        return false;
    *ret_seq = (uint16_t)(p[6] * 256 + p[7]);
    return p[0] == (m->family == AF_INET ? 0 : 129) && p[1] == 0 &&
           memcmp(p + 8, "cacti-monitoring-system", len - 8) == 0;
}

static void check_reply(const struct message *m)
{
    uint16_t seq = 0, expected = 0;
    uint8_t *copy = mem_alloc(m->len + 1);
    memcpy(copy, m->bytes, m->len);
    bool reply = ping_parse_reply(m->family, m->kind, ID, copy, m->len, &seq);
    CHECK(reply == is_reply(m, &expected));
    CHECK(!reply || seq == expected);
    free(copy);
}

/* ---- reports ---- */

static void check_report(const struct message *m, const struct wire_report *report)
{
    uint8_t request[PING_PACKET_LEN], *copy = mem_alloc(m->len + 1);
    uint16_t seq = 0;
    memcpy(copy, m->bytes, m->len);
    enum ping_report r = ping_parse_report(m->family, m->kind, ID, report, copy, m->len, &seq);
    CHECK((int)r >= 0 && r < PING_REPORTS);
    CHECK((ping_report_text(r) == NULL) == (r == PING_REPORT_NONE));
    if (r != PING_REPORT_NONE) {
        size_t len = m->len < sizeof(request) ? m->len : sizeof(request);
        uint16_t id = m->kind == PING_SOCKET_RAW ? ID : (uint16_t)(copy[4] << 8 | copy[5]);
        ping_build_request(m->family, id, seq, request);
        memcpy(request + 2, copy + 2, 2); /* the checksum may have been changed on the way */
        CHECK(report->family == m->family && len >= PING_HEADER_LEN);
        CHECK(memcmp(request, copy, len) == 0);
    }
    free(copy);
}

/* ---- messages ---- */

/* A reply or a returned request as it would be; then bytes of it are changed. */
static void take_right(struct feed *f, struct message *m, bool reply)
{
    uint8_t *icmp = m->bytes;
    memset(m->bytes, 0, sizeof(m->bytes));
    if (reply && has_ip_header(m)) {
        m->bytes[0] = 0x45;
        m->bytes[9] = IPPROTO_ICMP;
        icmp += IP_HEADER;
    }
    ping_build_request(m->family, ID, SEQ, icmp);
    if (reply) {
        icmp[0] = m->family == AF_INET ? 0 : 129;
        icmp[2] = icmp[3] = 0;
        uint32_t sum = ~sum_of(icmp, PING_PACKET_LEN);
        icmp[2] = (uint8_t)(sum >> 8);
        icmp[3] = (uint8_t)sum;
    }
    m->len = (size_t)(icmp - m->bytes) + PING_PACKET_LEN;
    m->len -= feed_byte(f) % (m->len + 1);
    while (f->left >= 2) {
        size_t at = feed_byte(f);
        m->bytes[at] = (uint8_t)(m->bytes[at] + feed_byte(f));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    uint8_t what = feed_byte(&f), mode = feed_byte(&f);
    struct message m = {.family = (what & 1) != 0 ? AF_INET6 : AF_INET,
                        .kind = (what & 2) != 0 ? PING_SOCKET_RAW : PING_SOCKET_DATAGRAM};
    struct wire_report report = {.family = (what & 4) != 0 ? AF_INET6 : AF_INET};
    report.type = feed_byte(&f);
    report.code = feed_byte(&f);
    if (mode == 'm') {
        take_right(&f, &m, (what & 8) != 0);
    } else {
        m.len = f.left < sizeof(m.bytes) ? f.left : sizeof(m.bytes);
        if (m.len > 0)
            memcpy(m.bytes, f.at, m.len);
    }
    check_reply(&m);
    check_report(&m, &report);
    return 0;
}
