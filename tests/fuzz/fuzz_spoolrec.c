/* Any bytes as a spool file: nothing outside the data is read, and what is accepted is exactly what
 * writing it again gives.
 */
#include "config.h"

#include "fuzz.h"

#include "model/spoolrec.h"

static size_t check_header(const char *data, size_t len)
{
    struct spoolrec_header h;
    struct buf again = BUF_INIT;
    size_t size = 0;
    if (spoolrec_get_header(data, len, &h, &size) == SPOOLREC_OK) {
        CHECK(size <= len);
        spoolrec_put_header(&again, &h);
        CHECK(again.len == size && memcmp(again.data, data, size) == 0);
        buf_done(&again);
    }
    return size;
}

static size_t check_row(const char *data, size_t len)
{
    struct spoolrec_row r;
    struct buf again = BUF_INIT;
    size_t size = 0;
    if (spoolrec_get_row(data, len, &r, &size) != SPOOLREC_OK)
        return 0;
    CHECK(size <= len);
    char *name = mem_strndup(r.name, r.name_len);
    struct output_row row = {.local_data_id = r.local_data_id,
                             .rrd_name = name,
                             .time = r.time,
                             .output = r.output,
                             .output_len = r.output_len};
    if (strlen(name) == r.name_len && spoolrec_put_row(&again, &row) > 0)
        CHECK(again.len == size && memcmp(again.data, data, size) == 0);
    free(name);
    buf_done(&again);
    return size;
}

/* The input with right checksums, so that damage behind them is met, too. */
static void mend(char *data, size_t len, size_t at)
{
    while (len - at >= 8) {
        const unsigned char *p = (const unsigned char *)data + at;
        size_t size = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
        if (size == 0 || size > len - at - 8)
            return;
        uint32_t crc = spoolrec_crc32(data + at + 8, size);
        for (unsigned i = 0; i < 4; i++)
            data[at + 4 + i] = (char)(unsigned char)(crc >> 8 * i);
        at += 8 + size;
    }
}

static void read_all(const char *data, size_t len)
{
    size_t at = check_header(data, len), size;
    while ((size = check_row(data + at, len - at)) > 0)
        at += size;
    (void)check_row(data, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_zalloc(size + 1, 1); /* one byte before, none behind */
    memcpy(copy + 1, data, size);
    read_all(copy + 1, size);
    mend(copy + 1, size, size >= 8 ? 8 : size);
    read_all(copy + 1, size);
    free(copy);
    return 0;
}
