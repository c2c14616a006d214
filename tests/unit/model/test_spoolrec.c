#include "config.h"

#include "model/spoolrec.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const struct spoolrec_header header = {
    .database = "cacti", .database_len = 5, .poller_id = 7, .interval_s = 300};

static struct output_row row_of(uint32_t id, const char *output, size_t len)
{
    return (struct output_row){.local_data_id = id,
                               .rrd_name = "traffic_in",
                               .time = 1700000000 + id,
                               .output = output,
                               .output_len = len};
}

static void the_checksum_is_the_usual_one(void **state UNUSED)
{
    assert_int_equal(spoolrec_crc32("", 0), 0);
    assert_int_equal(spoolrec_crc32("123456789", 9), 0xCBF43926);
}

static void a_header_is_read_back(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    struct spoolrec_header got;
    size_t size;
    spoolrec_put_header(&b, &header);
    assert_memory_equal(b.data, "SPINESP1", 8);
    assert_int_equal(spoolrec_get_header(b.data, b.len, &got, &size), SPOOLREC_OK);
    assert_int_equal(size, b.len);
    assert_int_equal(got.poller_id, 7);
    assert_int_equal(got.interval_s, 300);
    assert_int_equal(got.database_len, 5);
    assert_memory_equal(got.database, "cacti", 5);
    buf_done(&b);
}

static void assert_row(const char *data, size_t len, const struct output_row *expected,
                       size_t *ret_size)
{
    struct spoolrec_row got;
    assert_int_equal(spoolrec_get_row(data, len, &got, ret_size), SPOOLREC_OK);
    assert_int_equal(got.local_data_id, expected->local_data_id);
    assert_int_equal(got.time, expected->time);
    assert_int_equal(got.name_len, strlen(expected->rrd_name));
    assert_memory_equal(got.name, expected->rrd_name, got.name_len);
    assert_int_equal(got.output_len, expected->output_len);
    assert_memory_equal(got.output, expected->output, got.output_len);
}

static void rows_are_read_back_byte_for_byte(void **state UNUSED)
{
    char large[70000];
    memset(large, 'x', sizeof(large));
    struct output_row rows[] = {
        row_of(1, "42", 2),
        row_of(2, "", 0),
        row_of(UINT32_MAX - 1700000000U, "a\0b'\\\"\xff\n", 8),
        row_of(3, large, sizeof(large)),
    };
    rows[1].rrd_name = "";
    rows[0].time = -1;
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_not_equal(spoolrec_put_row(&b, &rows[i]), 0);
    size_t at = 0, size = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++, at += size)
        assert_row(b.data + at, b.len - at, &rows[i], &size);
    assert_int_equal(at, b.len);
    buf_done(&b);
}

static void a_row_that_is_too_large_is_not_written(void **state UNUSED)
{
    char *huge = mem_zalloc(SPOOLREC_SIZE_MAX, 1);
    struct output_row row = row_of(1, huge, SPOOLREC_SIZE_MAX);
    struct buf b = BUF_INIT;
    assert_int_equal(spoolrec_put_row(&b, &row), 0);
    assert_int_equal(b.len, 0);
    buf_done(&b);
    free(huge);
}

static void a_row_at_the_limits_is_read_back(void **state UNUSED)
{
    enum { OUTPUT_MAX = SPOOLREC_SIZE_MAX - 64 - 10 }; /* beside a name of ten */
    char *name = mem_zalloc(UINT16_MAX + 2, 1), *output = mem_zalloc(OUTPUT_MAX + 1, 1);
    memset(name, 'n', UINT16_MAX + 1);
    struct output_row named = row_of(1, "42", 2), wide = row_of(1, output, OUTPUT_MAX + 1);
    named.rrd_name = name;
    struct buf b = BUF_INIT;
    size_t size;
    assert_int_equal(spoolrec_put_row(&b, &named), 0);
    assert_int_equal(spoolrec_put_row(&b, &wide), 0);
    name[UINT16_MAX] = '\0';
    wide.output_len = OUTPUT_MAX;
    assert_int_not_equal(spoolrec_put_row(&b, &named), 0);
    assert_row(b.data, b.len, &named, &size);
    buf_clear(&b);
    assert_int_not_equal(spoolrec_put_row(&b, &wide), 0);
    assert_row(b.data, b.len, &wide, &size);
    buf_done(&b);
    free(name);
    free(output);
}

/* A copy on the heap, so that a sanitizer sees every byte read behind it. */
static enum spoolrec_result get_copy(bool is_header, const char *data, size_t len)
{
    struct spoolrec_header h;
    struct spoolrec_row r;
    size_t size;
    char *copy = mem_zalloc(len + 1, 1);
    char *end = copy + 1;
    memcpy(end, data, len);
    enum spoolrec_result result = is_header ? spoolrec_get_header(end, len, &h, &size)
                                            : spoolrec_get_row(end, len, &r, &size);
    free(copy);
    return result;
}

/* As a crash or a full disk leaves it: cut at every byte. */
static void what_is_cut_short_is_told_from_what_is_damaged(void **state UNUSED)
{
    struct buf h = BUF_INIT, b = BUF_INIT;
    struct output_row row = row_of(9, "1234567890", 10);
    spoolrec_put_header(&h, &header);
    (void)spoolrec_put_row(&b, &row);
    for (size_t len = 0; len < h.len; len++)
        assert_int_equal(get_copy(true, h.data, len), SPOOLREC_MORE);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(get_copy(false, b.data, len), SPOOLREC_MORE);
    buf_done(&h);
    buf_done(&b);
}

/* Every bit of the content matters; a wrong size is seen as damage or as a cut. */
static void no_flipped_bit_goes_unnoticed(void **state UNUSED)
{
    struct buf h = BUF_INIT, b = BUF_INIT;
    struct output_row row = row_of(9, "1234567890", 10);
    spoolrec_put_header(&h, &header);
    (void)spoolrec_put_row(&b, &row);
    for (size_t bit = 0; bit < (h.len + b.len) * 8; bit++) {
        struct buf *at = bit < h.len * 8 ? &h : &b;
        size_t i = at == &h ? bit : bit - h.len * 8;
        at->data[i / 8] ^= (char)(1 << i % 8);
        assert_int_not_equal(get_copy(at == &h, at->data, at->len), SPOOLREC_OK);
        at->data[i / 8] ^= (char)(1 << i % 8);
    }
    buf_done(&h);
    buf_done(&b);
}

/* Writes size and checksum of a frame with `size` bytes in it. */
static void seal(char *frame, size_t size)
{
    uint32_t crc = spoolrec_crc32(frame + 8, size);
    for (unsigned i = 0; i < 4; i++) {
        frame[i] = (char)(unsigned char)(size >> 8 * i);
        frame[4 + i] = (char)(unsigned char)(crc >> 8 * i);
    }
}

static void bytes_too_many_or_too_few_are_damage(void **state UNUSED)
{
    struct buf h = BUF_INIT, b = BUF_INIT;
    struct output_row row = row_of(9, "12345", 5);
    row.rrd_name = "";
    spoolrec_put_header(&h, &header);
    (void)spoolrec_put_row(&b, &row);
    buf_putc(&h, 'x');
    buf_putc(&b, 'x');
    seal(h.data + 8, h.len - 16);
    seal(b.data, b.len - 8);
    assert_int_equal(get_copy(true, h.data, h.len), SPOOLREC_DAMAGED);
    assert_int_equal(get_copy(false, b.data, b.len), SPOOLREC_DAMAGED);
    seal(h.data + 8, 8); /* they end where a length would begin */
    seal(b.data, 14);
    assert_int_equal(get_copy(true, h.data, 16 + 8), SPOOLREC_DAMAGED);
    assert_int_equal(get_copy(false, b.data, 8 + 14), SPOOLREC_DAMAGED);
    buf_done(&h);
    buf_done(&b);
}

static void a_size_that_no_record_has_is_damage(void **state UNUSED)
{
    enum { OTHERS = 4 + 8 + 2 + 4 }; /* numbers of a row without a name */
    char *frame = mem_zalloc(8 + SPOOLREC_SIZE_MAX + 1, 1);
    for (size_t size = SPOOLREC_SIZE_MAX; size <= SPOOLREC_SIZE_MAX + 1; size++) {
        bool fits = size == SPOOLREC_SIZE_MAX;
        for (unsigned i = 0; i < 4; i++)
            frame[8 + 14 + i] = (char)(unsigned char)((size - OTHERS) >> 8 * i);
        seal(frame, size);
        assert_int_equal(get_copy(false, frame, 8 + size), fits ? SPOOLREC_OK : SPOOLREC_DAMAGED);
        assert_int_equal(get_copy(false, frame, 8), fits ? SPOOLREC_MORE : SPOOLREC_DAMAGED);
    }
    memset(frame, 0, 8); /* a file system may fill with zeros what it has lost */
    for (size_t len = 4; len <= 16; len++)
        assert_int_equal(get_copy(false, frame, len), SPOOLREC_DAMAGED);
    free(frame);
}

/* A record with a right checksum and lengths that do not fit together. */
static void lengths_that_lie_are_damage(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    struct output_row row = row_of(9, "1234567890", 10);
    (void)spoolrec_put_row(&b, &row);
    static const size_t places[] = {8 + 12, 8 + 13, 8 + 14 + 10, 8 + 14 + 13};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char old = b.data[places[i]];
        b.data[places[i]] = (char)(old + 1);
        seal(b.data, b.len - 8);
        assert_int_equal(get_copy(false, b.data, b.len), SPOOLREC_DAMAGED);
        b.data[places[i]] = old;
    }
    buf_done(&b);
}

static void a_file_of_another_program_is_not_a_spool(void **state UNUSED)
{
    assert_int_equal(get_copy(true, "#!/bin/sh\necho precious\n", 24), SPOOLREC_DAMAGED);
    assert_int_equal(get_copy(true, "S", 1), SPOOLREC_MORE);
    assert_int_equal(get_copy(true, "SX", 2), SPOOLREC_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_the_usual_one),
        cmocka_unit_test(a_header_is_read_back),
        cmocka_unit_test(rows_are_read_back_byte_for_byte),
        cmocka_unit_test(a_row_that_is_too_large_is_not_written),
        cmocka_unit_test(a_row_at_the_limits_is_read_back),
        cmocka_unit_test(what_is_cut_short_is_told_from_what_is_damaged),
        cmocka_unit_test(no_flipped_bit_goes_unnoticed),
        cmocka_unit_test(bytes_too_many_or_too_few_are_damage),
        cmocka_unit_test(a_size_that_no_record_has_is_damage),
        cmocka_unit_test(lengths_that_lie_are_damage),
        cmocka_unit_test(a_file_of_another_program_is_not_a_spool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
