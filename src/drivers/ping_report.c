#include "config.h"

#include "ping_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
    V4_UNREACHABLE = 3, /* RFC 792; its codes: RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1 */
    V4_TIME_EXCEEDED = 11,
    V6_UNREACHABLE = 1, /* RFC 4443 section 3 */
    V6_TIME_EXCEEDED = 3,
};

/* By code.  "Fragmentation needed" cannot be about a message of 51 bytes. */
static const enum ping_report v4_unreachable[] = {
    [0] = PING_REPORT_NETWORK,     [1] = PING_REPORT_HOST,        [2] = PING_REPORT_PROTOCOL,
    [3] = PING_REPORT_PORT,        [4] = PING_REPORT_NONE,        [5] = PING_REPORT_UNREACHABLE,
    [6] = PING_REPORT_NETWORK,     [7] = PING_REPORT_HOST,        [8] = PING_REPORT_HOST,
    [9] = PING_REPORT_PROHIBITED,  [10] = PING_REPORT_PROHIBITED, [11] = PING_REPORT_NETWORK,
    [12] = PING_REPORT_HOST,       [13] = PING_REPORT_PROHIBITED, [14] = PING_REPORT_PROHIBITED,
    [15] = PING_REPORT_PROHIBITED,
};

static const enum ping_report v6_unreachable[] = {
    [0] = PING_REPORT_NETWORK,    [1] = PING_REPORT_PROHIBITED, [2] = PING_REPORT_NETWORK,
    [3] = PING_REPORT_HOST,       [4] = PING_REPORT_PORT,       [5] = PING_REPORT_PROHIBITED,
    [6] = PING_REPORT_PROHIBITED,
};

static enum ping_report report_of_code(const enum ping_report *of, size_t count, uint8_t code)
{
    return code < count ? of[code] : PING_REPORT_UNREACHABLE;
}

static enum ping_report report_of(const struct wire_report *r)
{
    bool v6 = r->family == AF_INET6;
    if (r->type == (v6 ? V6_TIME_EXCEEDED : V4_TIME_EXCEEDED))
        return PING_REPORT_TIME_TO_LIVE;
    if (v6 && r->type == V6_UNREACHABLE)
        return report_of_code(v6_unreachable, ARRAY_LEN(v6_unreachable), r->code);
    if (!v6 && r->type == V4_UNREACHABLE)
        return report_of_code(v4_unreachable, ARRAY_LEN(v4_unreachable), r->code);
    return PING_REPORT_NONE;
}

/* The checksum is left out: a router on the way may have changed what it covers. */
enum ping_report ping_parse_report(int family, enum ping_socket_kind kind, uint16_t id,
                                   const struct wire_report *report, const uint8_t *bytes,
                                   size_t len, uint16_t *ret_seq)
{
    uint8_t sent[PING_PACKET_LEN];
    if (report->family != family || len < PING_HEADER_LEN)
        return PING_REPORT_NONE;
    uint16_t quoted_id = (uint16_t)(bytes[4] << 8 | bytes[5]);
    uint16_t seq = (uint16_t)(bytes[6] << 8 | bytes[7]);
    if (kind == PING_SOCKET_RAW && quoted_id != id)
        return PING_REPORT_NONE;
    ping_build_request(family, id, seq, sent);
    size_t payload = (len < sizeof(sent) ? len : sizeof(sent)) - PING_HEADER_LEN;
    if (memcmp(bytes, sent, 2) != 0 ||
        memcmp(bytes + PING_HEADER_LEN, sent + PING_HEADER_LEN, payload) != 0)
        return PING_REPORT_NONE;
    *ret_seq = seq;
    return report_of(report);
}

enum ping_report ping_report_of_errno(int number)
{
    switch (number) {
    case ENETUNREACH: return PING_REPORT_NETWORK;
    case EHOSTUNREACH: return PING_REPORT_HOST;
    default: return PING_REPORT_UNREACHABLE;
    }
}

const char *ping_report_text(enum ping_report r)
{
    static const char *const texts[PING_REPORTS] = {
        [PING_REPORT_NETWORK] = "ICMP: Network unreachable",
        [PING_REPORT_HOST] = "ICMP: Host unreachable",
        [PING_REPORT_PROTOCOL] = "ICMP: Protocol unreachable",
        [PING_REPORT_PORT] = "ICMP: Port unreachable",
        [PING_REPORT_PROHIBITED] = "ICMP: Administratively prohibited",
        [PING_REPORT_TIME_TO_LIVE] = "ICMP: Time to live exceeded",
        [PING_REPORT_UNREACHABLE] = "ICMP: Destination unreachable",
    };
    return texts[r];
}
