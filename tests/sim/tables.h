/* tables.h - what the simulated database holds after a cycle (fake_db.c). */
#ifndef SIM_TABLES_H
#define SIM_TABLES_H

#include "plan.h"

#include "drivers/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TABLE_ROWS = 1024, TABLE_HOSTS = 32, TABLE_COMMANDS = 64, TABLE_TEXT = 64 };

struct table_output {
    uint32_t local_data_id;
    char rrd_name[24];
    int64_t time;
    char output[TABLE_TEXT];
    unsigned writes;
};

struct table_outputs {
    struct table_output rows[TABLE_ROWS];
    size_t count;
};

/* What was written of a device's row. */
struct table_host {
    unsigned statuses, times; /* how often */
    int64_t status, event_count, fail_date, rec_date, total_polls, failed_polls;
    double min_time, max_time, cur_time, avg_time, availability, polling_time;
    char last_error[256];
};

struct table_command {
    uint32_t device, query;
};

struct tables {
    struct table_outputs output, boost;
    struct table_host hosts[TABLE_HOSTS]; /* by id */
    unsigned advanced[TABLE_HOSTS];
    struct table_command commands[TABLE_COMMANDS], asserts[TABLE_COMMANDS];
    char assert_values[TABLE_COMMANDS][TABLE_TEXT];
    size_t command_count, assert_count;
    struct {
        int pid;
        bool open;
    } cycles[8];
    size_t cycle_count;
    unsigned dates;
    unsigned connections, most_connections;
    size_t statements;
    size_t faults; /* that have struck */
    bool broken;   /* a fault that may keep rows from being stored or make one be sent twice */
    int64_t last_write_us;
};

extern struct tables tables;

void tables_begin(void);
void tables_end(void);

/* ---- fake_sql.c ---- */

/* 0, or the number of the server's error; *ret_id: of the row of poller_time that it has made. */
int sql_carry_out(const char *sql, uint64_t *ret_id);
void sql_answer(const char *sql, const struct db_reader *reader);
/* The table that an INSERT of outputs begins with, taken off; NULL: another statement. */
struct table_outputs *sql_output_table(const char **at);
void sql_put_output(struct table_outputs *t, uint32_t id, const char *name, int64_t time,
                    const char *output);
/* The server never takes rows of this item. */
bool sql_refuses(uint32_t local_data_id);

#endif
