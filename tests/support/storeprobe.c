/* Stores what a script might print through the real normaliser and the real store.
 *
 *   storeprobe SOCKET DATABASE USER PASSWORD auto|off < lines
 *
 * A line is "t HEX" (output of a script), "o HEX" (an SNMP OCTET STRING), "r HEX" (what goes to the
 * store as it is), "z HEX" (the same, without a time) or "n HEX" (a name of a data source, whose output is 1);
 * line n becomes local_data_id n. The last argument is DB_Bulk. The test reads poller_output back and compares
 * bytes.
 */
#include "config.h"

#include "base/buf.h"
#include "base/clock.h"
#include "drivers/store.h"
#include "model/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, c);
    return at == NULL || c == '\0' ? -1 : (int)(at - digits);
}

static void unhex(const char *hex, struct buf *out)
{
    for (; digit(hex[0]) >= 0 && digit(hex[1]) >= 0; hex += 2)
        buf_putc(out, (char)(digit(hex[0]) * 16 + digit(hex[1])));
}

static void add_line(struct batch *batch, uint32_t number, const char *line)
{
    struct buf raw = BUF_INIT, value = BUF_INIT;
    buf_reserve(&raw, 1);
    unhex(line + 2, &raw);
    if (line[0] == 'o') {
        struct varbind vb = {.type = VARBIND_OCTETS};
        vb.octets.data = (const uint8_t *)raw.data;
        vb.octets.len = raw.len;
        value_from_varbind(&vb, &value);
    } else if (line[0] == 'n') {
        buf_puts(&value, "1");
    } else if (line[0] == 'r' || line[0] == 'z') {
        buf_append(&value, raw.data, raw.len);
    } else {
        value_normalise(raw.data, raw.len, &value);
    }
    struct output_row row = {.local_data_id = number,
                             .rrd_name = line[0] == 'n' ? buf_str(&raw) : "value",
                             .time = line[0] == 'z' ? 0 : 1000000000,
                             .output = buf_str(&value),
                             .output_len = value.len};
    batch_add_row(batch, &row);
    buf_done(&raw);
    buf_done(&value);
}

static struct batch *read_batch(void)
{
    struct batch *batch = batch_new();
    char *line = NULL;
    size_t cap = 0;
    for (uint32_t number = 1; getline(&line, &cap, stdin) > 2; number++)
        add_line(batch, number, line);
    free(line);
    return batch;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct store_outcome out = {0};
    if (argc != 6)
        return EX_USAGE;
    struct db_params params = {.host = argv[1],
                               .database = argv[2],
                               .user = argv[3],
                               .password = argv[4],
                               .port = 3306,
                               .bulk = strcmp(argv[5], "off") == 0 ? DB_BULK_OFF : DB_BULK_AUTO,
                               .ssl_key = "",
                               .ssl_cert = "",
                               .ssl_ca = ""};
    if (!db_library_start(&err))
        return EX_OSERR;
    struct batch *batch = read_batch();
    struct store *store = store_open(&params, clock_mono_ms() + 5000, &err);
    bool ok = store != NULL;
    if (ok) {
        store_set_deadline(store, clock_mono_ms() + 20000);
        ok = store_write(store, batch, false, &out, &err);
    }
    printf("%zu stored, %zu lost %s\n", out.rows_stored, out.rows_rejected + out.rows_left,
           err.text);
    store_close(store);
    batch_free(batch);
    db_library_stop();
    return ok ? EX_OK : EX_UNAVAILABLE;
}
