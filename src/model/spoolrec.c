#include "config.h"

#include "model/spoolrec.h"

#include <string.h>

static const char magic[8] = {'S', 'P', 'I', 'N', 'E', 'S', 'P', '1'};

enum { FRAME = 8, NAME_MAX_LEN = UINT16_MAX };

/* Four bits at a time: small, and fast enough for a file of last resort. */
uint32_t spoolrec_crc32(const void *data, size_t len)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *p = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc = table[(crc ^ p[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ p[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}

/* ---- writing ---- */

static void spoolrec_put(struct buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_putc(out, (char)(unsigned char)(value >> 8 * i));
}

static void put_at(struct buf *out, size_t at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        out->data[at + i] = (char)(unsigned char)(value >> 8 * i);
}

/* Room for size and CRC; close_frame() fills it in. */
static size_t open_frame(struct buf *out)
{
    size_t at = out->len;
    spoolrec_put(out, 0, FRAME);
    return at;
}

static void close_frame(struct buf *out, size_t at)
{
    size_t size = out->len - at - FRAME;
    put_at(out, at, (uint32_t)size);
    put_at(out, at + 4, spoolrec_crc32(out->data + at + FRAME, size));
}

void spoolrec_put_header(struct buf *out, const struct spoolrec_header *header)
{
    size_t len = header->database_len < NAME_MAX_LEN ? header->database_len : NAME_MAX_LEN;
    buf_append(out, magic, sizeof(magic));
    size_t at = open_frame(out);
    spoolrec_put(out, (uint32_t)header->poller_id, 4);
    spoolrec_put(out, header->interval_s, 4);
    spoolrec_put(out, len, 2);
    buf_append(out, header->database, len);
    close_frame(out, at);
}

size_t spoolrec_put_row(struct buf *out, const struct output_row *row)
{
    size_t name_len = strlen(row->rrd_name);
    if (name_len > NAME_MAX_LEN || name_len + row->output_len > SPOOLREC_SIZE_MAX - 64)
        return 0;
    size_t at = open_frame(out);
    spoolrec_put(out, row->local_data_id, 4);
    spoolrec_put(out, (uint64_t)row->time, 8);
    spoolrec_put(out, name_len, 2);
    buf_append(out, row->rrd_name, name_len);
    spoolrec_put(out, row->output_len, 4);
    buf_append(out, row->output, row->output_len);
    close_frame(out, at);
    return out->len - at;
}

/* ---- reading ---- */

struct reader {
    const unsigned char *at;
    size_t left;
    bool short_of;
};

static const unsigned char *spoolrec_take(struct reader *r, size_t len)
{
    static const unsigned char nothing[8];
    if (r->short_of || r->left < len) {
        r->short_of = true;
        return nothing;
    }
    const unsigned char *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static uint64_t spoolrec_number(struct reader *r, unsigned bytes)
{
    const unsigned char *p = spoolrec_take(r, bytes);
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)p[i] << 8 * i;
    return value;
}

static const char *spoolrec_text(struct reader *r, size_t len)
{
    const char *at = (const char *)spoolrec_take(r, len);
    return r->short_of ? "" : at;
}

/* *ret reads the inside of the frame at data. */
static enum spoolrec_result open_reader(const char *data, size_t len, struct reader *ret)
{
    struct reader r = {.at = (const unsigned char *)data, .left = len};
    uint64_t size = spoolrec_number(&r, 4);
    if (!r.short_of && (size == 0 || size > SPOOLREC_SIZE_MAX))
        return SPOOLREC_DAMAGED;
    uint64_t crc = spoolrec_number(&r, 4);
    if (r.short_of || r.left < size)
        return SPOOLREC_MORE;
    r.left = (size_t)size;
    if (spoolrec_crc32(r.at, r.left) != crc)
        return SPOOLREC_DAMAGED;
    *ret = r;
    return SPOOLREC_OK;
}

enum spoolrec_result spoolrec_get_header(const char *data, size_t len, struct spoolrec_header *ret,
                                         size_t *ret_size)
{
    struct reader r;
    size_t common = len < sizeof(magic) ? len : sizeof(magic);
    if (memcmp(data, magic, common) != 0)
        return SPOOLREC_DAMAGED;
    if (len < sizeof(magic))
        return SPOOLREC_MORE;
    enum spoolrec_result result = open_reader(data + sizeof(magic), len - sizeof(magic), &r);
    if (result != SPOOLREC_OK)
        return result;
    size_t size = sizeof(magic) + FRAME + r.left;
    ret->poller_id = (int32_t)(uint32_t)spoolrec_number(&r, 4);
    ret->interval_s = (uint32_t)spoolrec_number(&r, 4);
    ret->database_len = (size_t)spoolrec_number(&r, 2);
    ret->database = spoolrec_text(&r, ret->database_len);
    *ret_size = size;
    return r.short_of || r.left > 0 ? SPOOLREC_DAMAGED : SPOOLREC_OK;
}

enum spoolrec_result spoolrec_get_row(const char *data, size_t len, struct spoolrec_row *ret,
                                      size_t *ret_size)
{
    struct reader r;
    enum spoolrec_result result = open_reader(data, len, &r);
    if (result != SPOOLREC_OK)
        return result;
    size_t size = FRAME + r.left;
    ret->local_data_id = (uint32_t)spoolrec_number(&r, 4);
    ret->time = (int64_t)spoolrec_number(&r, 8);
    ret->name_len = (size_t)spoolrec_number(&r, 2);
    ret->name = spoolrec_text(&r, ret->name_len);
    ret->output_len = (size_t)spoolrec_number(&r, 4);
    ret->output = spoolrec_text(&r, ret->output_len);
    *ret_size = size;
    return r.short_of || r.left > 0 ? SPOOLREC_DAMAGED : SPOOLREC_OK;
}
