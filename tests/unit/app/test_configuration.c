#include "config.h"

#include "app/configuration.h"

#include "app/options.h"
#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test_config.XXXXXX";
static char file[64];
static struct config *c;
static struct err err;

static int set_up(void **state UNUSED)
{
    unsetenv("SPINE_EVENT_LOOP");
    err = (struct err)ERR_INIT;
    c = configuration_new();
    return 0;
}

static int tear_down(void **state UNUSED)
{
    configuration_free(c);
    c = NULL;
    return 0;
}

static enum configuration_request args(const char *line)
{
    char *copy = mem_strdup(line), *rest = copy;
    char *argv[32] = {copy};
    int argc = 1;
    while (*line != '\0' && rest != NULL)
        argv[argc++] = strsep(&rest, "|");
    enum configuration_request request = configuration_parse_args(c, argc, argv, &err);
    free(copy);
    return request;
}

static bool read_conf(const char *text)
{
    char line[100];
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    snprintf(line, sizeof(line), "-C|%s", file);
    assert_int_equal(args(line), CONFIG_RUN);
    return configuration_read_file(c, &err);
}

static void assert_warning(const char *fmt, ...) PRINTF(1, 2);

static void assert_warning(const char *fmt, ...)
{
    struct buf expected = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&expected, fmt, ap);
    va_end(ap);
    char *warning = configuration_take_warning(c);
    assert_non_null(warning);
    assert_string_equal(warning, expected.data);
    free(warning);
    buf_done(&expected);
}

static void assert_no_warning(void)
{
    char *warning = configuration_take_warning(c);
    if (warning != NULL)
        fail_msg("unexpected: %s", warning);
}

static bool described(const char *expected)
{
    const char *line;
    for (size_t i = 0; (line = configuration_describe(c, i)) != NULL; i++)
        if (strcmp(line, expected) == 0)
            return true;
    return false;
}

/* ---- defaults ---- */

#ifdef HAVE_LIBEVENT
enum { LOOP_STANDARD = 1 };
#else
enum { LOOP_STANDARD = 0 };
#endif

static void without_any_source_the_defaults_hold(void **state UNUSED)
{
    configuration_finish(c);
    assert_int_equal(c->poller_id, 1);
    assert_false(c->has_range || c->has_host_list || c->mibs || c->read_only || c->ping_only);
    assert_int_equal(c->mode, MODE_ONLINE);
    assert_int_equal(c->event_loop, LOOP_STANDARD);
    assert_false(c->async_snmp);
    assert_int_equal(c->event_loop_source, SOURCE_DEFAULT);
    assert_int_equal(c->threads, 5);
    assert_int_equal(c->poller_interval_s, 300);
    assert_int_equal(c->active_profiles, 0);
    assert_int_equal(c->snmp_retries, 3);
    assert_string_equal(c->snmp_client_address, "");
    assert_int_equal(c->ping_failure_count, 2);
    assert_int_equal(c->ping_recovery_count, 3);
    assert_int_equal(c->script_timeout_s, 25);
    assert_int_equal(c->php_servers, 2);
    assert_string_equal(c->path_php_binary, "");
    assert_string_equal(c->path_webroot, "");
    assert_false(c->boost);
    assert_int_equal(c->invalid_log, 0);
    assert_int_equal(c->cacti_version, 0);
    assert_int_equal(c->debug_devices.count, 0);
    assert_int_equal(c->log.level, LOG_ALWAYS);
    assert_int_equal(c->log.destination, LOG_TO_FILE);
    assert_string_equal(c->log.path, "");
    assert_int_equal(c->log.date_separator, '/');
    assert_int_equal(c->log.poller_id, 1);
    assert_false(c->log.syslog_errors || c->log.syslog_warnings || c->log.syslog_stats);
    const struct db_params *const dbs[] = {&c->db, &c->rdb};
    for (size_t i = 0; i < ARRAY_LEN(dbs); i++) {
        assert_string_equal(dbs[i]->host, "localhost");
        assert_string_equal(dbs[i]->database, "cacti");
        assert_string_equal(dbs[i]->user, "cactiuser");
        assert_string_equal(dbs[i]->password, "cactiuser");
        assert_int_equal(dbs[i]->port, 3306);
        assert_false(dbs[i]->use_ssl);
        assert_string_equal(dbs[i]->ssl_key, "");
        assert_string_equal(dbs[i]->ssl_cert, "");
        assert_string_equal(dbs[i]->ssl_ca, "");
    }
    assert_null(configuration_file_path(c));
    assert_no_warning();
    configuration_free(NULL);
}

/* ---- command line ---- */

static void the_command_line_of_cacti_is_understood(void **state UNUSED)
{
    assert_int_equal(args("--mode=recovery|--poller=2|--first=3|--last=9|--mibs"), CONFIG_RUN);
    assert_int_equal(c->poller_id, 2);
    assert_int_equal(c->log.poller_id, 2);
    assert_int_equal(c->mode, MODE_RECOVERY);
    assert_true(c->has_range);
    assert_int_equal(c->first, 3);
    assert_int_equal(c->last, 9);
    assert_true(c->mibs);
}

static void ranges_follow_the_contract(void **state UNUSED)
{
    static const char one_end[] = "ERROR: must provide both -f/-l, a hostlist (-H/--hostlist), or "
                                  "neither; see spine --help";
    static const char order[] = "ERROR: Invalid row spec; first host_id must be less than the "
                                "second; see spine --help";
    static const struct {
        const char *line, *error; /* NULL: fine */
    } cases[] = {
        {"", NULL},
        {"0|0", NULL},
        {"-f|5|-l|5", NULL},
        {"-H|1", NULL},
        {"-f|5", one_end},
        {"-l|5", one_end},
        {"7", one_end},
        {"6|5", order},
        {"-H|1|6|5", order},
        {"-H|1|-f|5", order},
        {"-H|1|-l|5", NULL},
        {"-H|1|-f|1|-l|2", NULL},
        {"-f|4294967295|-l|0", order},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(args(cases[i].line), cases[i].error == NULL ? CONFIG_RUN : CONFIG_ERROR);
        if (cases[i].error != NULL) {
            assert_string_equal(err.text, cases[i].error);
            assert_int_equal(err_exit_status(&err), 64);
        }
        tear_down(NULL);
        set_up(NULL);
    }
    assert_int_equal(args("-H|9,3,3|-f|1|-l|2"), CONFIG_RUN);
    assert_true(c->has_host_list && c->has_range);
    assert_int_equal(c->host_list.count, 2);
    assert_true(id_list_contains(&c->host_list, 3) && id_list_contains(&c->host_list, 9));
    assert_false(id_list_contains(&c->host_list, 4));
}

static void help_and_version_need_neither_file_nor_sense(void **state UNUSED)
{
    assert_int_equal(args("-f|5|--help"), CONFIG_HELP);
    assert_int_equal(args("--version"), CONFIG_VERSION);
    assert_int_equal(args("--nonsense|--version"), CONFIG_ERROR);
}

static void the_last_override_wins(void **state UNUSED)
{
    assert_int_equal(args("-V|3|-V|2|-S|--log=FILE|-O|threads:9|-t|8|-O|thread:1"), CONFIG_RUN);
    assert_int_equal(c->log.level, 2);
    assert_int_equal(c->log.destination, LOG_TO_FILE);
    assert_int_equal(c->threads, 8);
    assert_warning(
        "WARNING: -O thread:1 is ignored: there is no such setting; did you mean threads?");
    assert_no_warning();
}

/* ---- spine.conf ---- */

static void every_key_of_the_file_is_used(void **state UNUSED)
{
    assert_true(read_conf("db_host h1\nDB_DATABASE d1\nDB_User u1\nDB_Pass \"p 1\"\nDB_Port 1\n"
                          "DB_UseSSL 1\nDB_SSL_Key k1\nDB_SSL_Cert c1\nDB_SSL_CA a1\n"
                          "RDB_Host h2\nRDB_Database d2\nRDB_User u2\nRDB_Pass\nRDB_Port 2\n"
                          "RDB_UseSSL on\nRDB_SSL_Key k2\nRDB_SSL_Cert c2\nRDB_SSL_CA a2\n"
                          "Poller 7\nCacti_Log /tmp/x.log\nSNMP_Clientaddr 10.0.0.1\n"
                          "Event_Loop on"));
    assert_string_equal(c->db.host, "h1");
    assert_string_equal(c->db.database, "d1");
    assert_string_equal(c->db.user, "u1");
    assert_string_equal(c->db.password, "p 1");
    assert_int_equal(c->db.port, 1);
    assert_true(c->db.use_ssl);
    assert_string_equal(c->db.ssl_key, "k1");
    assert_string_equal(c->db.ssl_cert, "c1");
    assert_string_equal(c->db.ssl_ca, "a1");
    assert_string_equal(c->rdb.host, "h2");
    assert_string_equal(c->rdb.database, "d2");
    assert_string_equal(c->rdb.user, "u2");
    assert_string_equal(c->rdb.password, "");
    assert_int_equal(c->rdb.port, 2);
    assert_true(c->rdb.use_ssl);
    assert_string_equal(c->rdb.ssl_key, "k2");
    assert_string_equal(c->rdb.ssl_cert, "c2");
    assert_string_equal(c->rdb.ssl_ca, "a2");
    assert_int_equal(c->poller_id, 7);
    assert_int_equal(c->log.poller_id, 7);
    assert_string_equal(c->snmp_client_address, "10.0.0.1");
    assert_true(c->event_loop);
    assert_string_equal(c->log.path, "/tmp/x.log");
    assert_int_equal(c->log.destination, LOG_TO_BOTH);
    assert_string_equal(configuration_file_path(c), file);
    assert_no_warning();
}

static void keys_without_a_value_mean_the_default(void **state UNUSED)
{
    assert_true(
        read_conf("DB_Port 5\nDB_Port\nDB_UseSSL 1\nDB_UseSSL \nPoller\nEvent_Loop\nDB_Host\n"
                  "RDB_Port 0\nCacti_Log /x\nCacti_Log\n"));
    assert_int_equal(c->db.port, 3306);
    assert_int_equal(c->rdb.port, 3306);
    assert_false(c->db.use_ssl);
    assert_int_equal(c->poller_id, 1);
    assert_string_equal(c->db.host, "localhost");
    assert_string_equal(c->log.path, "");
    assert_int_equal(c->log.destination, LOG_TO_FILE);
    assert_no_warning();
}

static void repeated_keys_the_last_one_wins(void **state UNUSED)
{
    assert_true(read_conf("DB_Host a\nDB_Host b\n"));
    assert_string_equal(c->db.host, "b");
}

static void doubtful_lines_are_warned_about(void **state UNUSED)
{
    assert_true(read_conf("DB_PreG 0\nDB_Pass my pass\nBogus v\nDB_Hots x\nDB_Pas secret\n"
                          "My_Password secret\nDB_Pass=secret\nDB_Pass:secret\n"));
    assert_string_equal(c->db.password, "my");
    assert_warning("WARNING: DB_PreG is no longer supported");
    assert_warning(
        "WARNING: %s:2: only the first word of the value of DB_Pass is used; put a value "
        "with blanks into double quotes",
        file);
    assert_warning(
        "WARNING: Unrecongized directive: Bogus=*** in %s, line 3; all keys: spine --help", file);
    assert_warning(
        "WARNING: Unrecongized directive: DB_Hots=*** in %s, line 4; did you mean DB_Host?", file);
    assert_warning(
        "WARNING: Unrecongized directive: DB_Pas=*** in %s, line 5; did you mean DB_Pass?", file);
    assert_warning(
        "WARNING: Unrecongized directive: My_Password=*** in %s, line 6; all keys: spine --help",
        file);
    assert_warning("WARNING: Unrecongized directive: DB_Pass=*** in %s, line 7; key and value are "
                   "separated by blanks, not by '='",
                   file);
    assert_warning("WARNING: Unrecongized directive: DB_Pass=*** in %s, line 8; did you mean "
                   "DB_Pass?",
                   file);
    assert_no_warning();
}

static void a_file_that_all_users_can_read_is_warned_about(void **state UNUSED)
{
    char line[100];
    assert_true(read_conf("DB_Host x\n"));
    assert_no_warning();
    chmod(file, 0644);
    snprintf(line, sizeof(line), "-C|%s", file);
    assert_int_equal(args(line), CONFIG_RUN);
    assert_true(configuration_read_file(c, &err));
    assert_warning(
        "WARNING: %s holds passwords and can be read by every user; chmod 640 it and give it "
        "to the web server's group",
        file);
    unlink(file);
}

static void bad_values_in_the_file_name_file_and_line(void **state UNUSED)
{
    static const struct {
        const char *text, *error; /* after "ERROR: <file>:" */
    } cases[] = {
        {"\nDB_Port x\n",
         "2: DB_Port must be a number from 0 to 65535, not 'x'; correct or remove the line"},
        {"db_port 65536",
         "1: DB_Port must be a number from 0 to 65535, not '65536'; correct or remove the line"},
        {"Poller 0\n",
         "1: Poller must be a number from 1 to 2147483647, not '0'; correct or remove the line"},
        {"Event_Loop maybe\n",
         "1: Event_Loop must be on or off, not 'maybe'; correct or remove the line"},
        {"DB_UseSSL 2\n", "1: DB_UseSSL must be on or off, not '2'; correct or remove the line"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[400];
        assert_false(read_conf(cases[i].text));
        snprintf(expected, sizeof(expected), "ERROR: %s:%s", file, cases[i].error);
        assert_string_equal(err.text, expected);
        assert_int_equal(err_exit_status(&err), 78);
    }
}

static void a_missing_file_is_a_configuration_error(void **state UNUSED)
{
    assert_int_equal(args("-C|/nonexistent"), CONFIG_RUN);
    assert_false(configuration_read_file(c, &err));
    assert_string_equal(err.text,
                        "ERROR: Could not read config file: /nonexistent: No such file or "
                        "directory; name a readable spine.conf with -C");
    assert_int_equal(err_exit_status(&err), 78);
}

/* Also with its examples ("#DB_Port 3306", unlike "# text") taken into use. */
static void the_sample_file_is_understood(void **state UNUSED)
{
    const char *srcdir = getenv("TEST_SRCDIR");
    if (srcdir == NULL) {
        print_message("SKIP: TEST_SRCDIR, which `make check` sets, does not say where it is\n");
        skip();
    }
    char path[4096], text[16384], *out = text;
    snprintf(path, sizeof(path), "%s/../spine.conf.dist", srcdir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    assert_true(read_conf(text));
    assert_no_warning();
    assert_string_equal(c->db.password, "cactiuser");
    for (const char *in = text; *in != '\0'; in++)
        if (*in != '#' || in[1] == ' ' || in[1] == '\n')
            *out++ = *in;
    *out = '\0';
    assert_true(read_conf(text));
    assert_no_warning();
    assert_string_equal(c->rdb.host, "main.example.net");
}

/* ---- precedence ---- */

static void stronger_sources_win_in_any_order_of_arrival(void **state UNUSED)
{
    configuration_set_setting(c, "log_destination", "3");
    configuration_set_setting(c, "path_cactilog", "/settings.log");
    assert_true(read_conf("Cacti_Log /file.log\nPoller 5\n"));
    assert_string_equal(c->log.path, "/settings.log");
    assert_int_equal(c->log.destination, LOG_TO_SYSLOG);
    assert_int_equal(c->poller_id, 5);
    assert_int_equal(args("-p|6|-O|path_cactilog:/args.log|-D|STDOUT"), CONFIG_RUN);
    assert_string_equal(c->log.path, "/args.log");
    assert_int_equal(c->log.destination, LOG_TO_STDOUT);
    assert_int_equal(c->poller_id, 6);
    configuration_set_setting(c, "path_cactilog", "/settings.log");
    configuration_finish(c);
    assert_string_equal(c->log.path, "/args.log");
}

/* Each source alone and every pair of neighbours, both values. */
static bool event_loop(void)
{
    return c->event_loop;
}

static bool async_snmp(void)
{
    return c->async_snmp;
}

static const struct {
    const char *key, *row, *variable, *option;
    bool (*get)(void);
} gates[] = {
    {"Event_Loop", "spine_event_loop", "SPINE_EVENT_LOOP", "--event-loop", event_loop},
    {"Async_SNMP", "spine_async_snmp", "SPINE_ASYNC_SNMP", "--async-snmp", async_snmp},
};

static void give_gate(size_t gate, unsigned given, const char *const *word)
{
    char text[32];
    snprintf(text, sizeof(text), "%s %s", gates[gate].key, word[SOURCE_FILE]);
    assert_true(read_conf(given & 2 ? text : ""));
    if (given & 1)
        configuration_set_setting(c, gates[gate].row, word[SOURCE_SETTINGS]);
    if (given & 4)
        setenv(gates[gate].variable, word[SOURCE_ENVIRONMENT], 1);
    assert_true(configuration_read_environment(c, &err));
    snprintf(text, sizeof(text), "%s=%s", gates[gate].option, word[SOURCE_COMMAND_LINE]);
    if (given & 8)
        assert_int_equal(args(text), CONFIG_RUN);
    unsetenv(gates[gate].variable);
}

static void a_gate_has_five_sources(void **state UNUSED)
{
    static const enum config_source order[] = {SOURCE_DEFAULT, SOURCE_SETTINGS, SOURCE_FILE,
                                               SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE};
    for (unsigned k = 0; k < 16 * 2 * ARRAY_LEN(gates); k++) {
        unsigned given = k % 16;
        bool on = k / 16 % 2 == 1;
        size_t gate = k / 32;
        enum config_source strongest = SOURCE_DEFAULT;
        for (unsigned i = 0; i < 4; i++)
            if (given & (1U << i))
                strongest = order[i + 1];
        const char *word[5];
        for (int s = 0; s < 5; s++)
            word[s] = ((int)strongest == s) == on ? "on" : "off";
        give_gate(gate, given, word);
        if (gate == 0)
            assert_int_equal(c->event_loop_source, strongest);
        assert_int_equal(gates[gate].get(),
                         strongest != SOURCE_DEFAULT ? on : gate == 0 && LOOP_STANDARD);
        tear_down(NULL);
        set_up(NULL);
    }
}

static void the_environment_is_checked(void **state UNUSED)
{
    setenv("SPINE_EVENT_LOOP", "", 1);
    assert_true(configuration_read_environment(c, &err));
    assert_int_equal(c->event_loop_source, SOURCE_DEFAULT);
    setenv("SPINE_EVENT_LOOP", "maybe", 1);
    assert_false(configuration_read_environment(c, &err));
    assert_string_equal(err.text,
                        "ERROR: environment variable SPINE_EVENT_LOOP must be on or off, not "
                        "'maybe'; correct or unset it");
    assert_int_equal(err_exit_status(&err), 78);
    unsetenv("SPINE_EVENT_LOOP");
}

/* ---- settings rows ---- */

static void settings_rows_fill_the_configuration(void **state UNUSED)
{
    static const char *const rows[][2] = {
        {"log_verbosity", "4"},
        {"path_webroot", "/usr/share/cacti"},
        {"path_cactilog", ""},
        {"default_datechar", "2"},
        {"log_destination", "2"},
        {"path_php_binary", "/usr/bin/php"},
        {"ping_recovery_count", "5"},
        {"ping_failure_count", "4"},
        {"snmp_retries", "1"},
        {"log_perror", "on"},
        {"log_pwarn", "on"},
        {"log_pstats", ""},
        {"boost_redirect", "on"},
        {"boost_rrd_update_enable", "on"},
        {"threads", "10"},
        {"poller_interval", "60"},
        {"script_timeout", "30"},
        {"selective_device_debug", "5,3"},
        {"spine_log_level", "2"},
        {"php_servers", "3"},
        {"active_profiles", "1"},
        {"cacti_version", "1.2.24"},
        {"spine_unknown", "1"},
        {"SNMP_Clientaddr", "x"},
        {"poller", "9"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        configuration_set_setting(c, rows[i][0], rows[i][1]);
    configuration_finish(c);
    assert_int_equal(c->log.level, LOG_HIGH);
    assert_string_equal(c->path_webroot, "/usr/share/cacti");
    assert_string_equal(c->log.path, "/usr/share/cacti/log/cacti.log");
    assert_int_equal(c->log.date_separator, '.');
    assert_int_equal(c->log.destination, LOG_TO_BOTH);
    assert_string_equal(c->path_php_binary, "/usr/bin/php");
    assert_int_equal(c->ping_recovery_count, 5);
    assert_int_equal(c->ping_failure_count, 4);
    assert_int_equal(c->snmp_retries, 1);
    assert_true(c->log.syslog_errors && c->log.syslog_warnings && !c->log.syslog_stats);
    assert_true(c->boost);
    assert_int_equal(c->threads, 10);
    assert_int_equal(c->poller_interval_s, 60);
    assert_int_equal(c->script_timeout_s, 30);
    assert_int_equal(c->debug_devices.count, 2);
    assert_true(id_list_contains(&c->debug_devices, 5));
    assert_int_equal(c->invalid_log, 2);
    assert_int_equal(c->php_servers, 3);
    assert_int_equal(c->active_profiles, 1);
    assert_int_equal(c->cacti_version, 1224);
    assert_string_equal(c->snmp_client_address, "");
    assert_int_equal(c->poller_id, 1);
    assert_no_warning();
}

static void bad_rows_are_warned_about_unless_overridden(void **state UNUSED)
{
    configuration_set_setting(c, "threads", "0");
    configuration_set_setting(c, "PING_failure_count", "0");
    assert_int_equal(c->threads, 1);
    assert_int_equal(c->ping_failure_count, 2);
    assert_warning(
        "WARNING: setting threads: 0 is not within 1 to 100, 1 is used; correct it in Cacti's "
        "settings");
    assert_warning(
        "WARNING: setting ping_failure_count: 0 is not within 1 to 1000000, the default 2 is "
        "used; correct it in Cacti's settings");
    assert_int_equal(args("-t|9"), CONFIG_RUN);
    configuration_set_setting(c, "threads", "0");
    assert_int_equal(c->threads, 9);
    assert_no_warning();
}

static void log_destinations_of_the_database(void **state UNUSED)
{
    static const struct {
        const char *row;
        enum log_destination destination;
    } cases[] = {{"1", LOG_TO_FILE},        {"file", LOG_TO_FILE}, {"3", LOG_TO_SYSLOG},
                 {"STDOUT", LOG_TO_STDOUT}, {"0", LOG_TO_NOTHING}, {"7", LOG_TO_NOTHING},
                 {"word", LOG_TO_FILE},     {"", LOG_TO_FILE}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        configuration_set_setting(c, "log_destination", cases[i].row);
        assert_int_equal(c->log.destination, cases[i].destination);
    }
}

static void cacti_versions_become_numbers(void **state UNUSED)
{
    static const struct {
        const char *row;
        int version;
    } cases[] = {{"1.2.24", 1224},     {"1.2.22", 1222},       {"1.3.0", 1300}, {"0.8.8", 808},
                 {"1.2.24-dev", 1224}, {"new_install", 0},     {"", 0},         {"1.2", 0},
                 {"1..2", 0},          {"99999999999.1.1", 0}, {".1.2", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        configuration_set_setting(c, "cacti_version", cases[i].row);
        assert_int_equal(c->cacti_version, cases[i].version);
    }
}

static void an_online_remote_poller_needs_the_main_database(void **state UNUSED)
{
    assert_true(read_conf("DB_Host x\n"));
    assert_int_equal(args("-p|2"), CONFIG_RUN);
    configuration_finish(c);
    configuration_finish(c);
    assert_warning(
        "WARNING: poller 2 is online, but %s has no RDB_Host; the main database is looked "
        "for on this machine",
        file);
    assert_no_warning();
}

/* ---- telling ---- */

static void each_value_is_told_with_its_source_but_no_secret(void **state UNUSED)
{
    assert_true(read_conf("DB_Pass geheim\nRDB_Pass geheim\nDB_Host h\n"));
    configuration_set_setting(c, "path_webroot", "/w");
    configuration_set_setting(c, "threads", "200");
    assert_int_equal(args("-H|3,1|-R"), CONFIG_RUN);
    assert_true(described("DB_Pass = *** (spine.conf)"));
    assert_true(described("DB_Host = h (spine.conf)"));
    assert_true(described("path_webroot = /w (settings table)"));
    assert_true(described("path_cactilog = /w/log/cacti.log (default)"));
    assert_true(described("threads = 100 (settings table)"));
    assert_true(described("hostlist = 1,3 (command line)"));
    assert_true(described("readonly = on (command line)"));
    assert_true(described("mibs = off (default)"));
    assert_true(described(LOOP_STANDARD ? "spine_event_loop = on (default)"
                                        : "spine_event_loop = off (default)"));
    const char *line;
    for (size_t i = 0; (line = configuration_describe(c, i)) != NULL; i++)
        assert_null(strstr(line, "geheim"));
}

static void help_names_every_option(void **state UNUSED)
{
    fflush(stdout);
    int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    configuration_print_help();
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    static char text[65536];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    close(fd);
    size_t first = strcspn(text, "\n");
    struct buf version = BUF_INIT;
    options_version_line(NULL, &version);
    assert_memory_equal(text, buf_str(&version), first);
    buf_done(&version);
    assert_memory_equal(text + first, "\n\nUsage: ", 9);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *def = option_get((enum option_id)i);
        const char *name = def->longs[0] != NULL ? def->longs[0] : def->name;
        if (strstr(text, name) == NULL && !def->row_only)
            fail_msg("--help does not mention %s", name);
        if (def->key != NULL && strstr(text, def->key) == NULL)
            fail_msg("--help does not mention the key %s", def->key);
        if (def->variable != NULL && strstr(text, def->variable) == NULL)
            fail_msg("--help does not mention the variable %s", def->variable);
    }
    assert_null(strstr(text, "(null)"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_any_source_the_defaults_hold),
        TEST(the_command_line_of_cacti_is_understood),
        TEST(ranges_follow_the_contract),
        TEST(help_and_version_need_neither_file_nor_sense),
        TEST(the_last_override_wins),
        TEST(every_key_of_the_file_is_used),
        TEST(keys_without_a_value_mean_the_default),
        TEST(repeated_keys_the_last_one_wins),
        TEST(doubtful_lines_are_warned_about),
        TEST(a_file_that_all_users_can_read_is_warned_about),
        TEST(bad_values_in_the_file_name_file_and_line),
        TEST(a_missing_file_is_a_configuration_error),
        TEST(the_sample_file_is_understood),
        TEST(stronger_sources_win_in_any_order_of_arrival),
        TEST(a_gate_has_five_sources),
        TEST(the_environment_is_checked),
        TEST(settings_rows_fill_the_configuration),
        TEST(bad_rows_are_warned_about_unless_overridden),
        TEST(log_destinations_of_the_database),
        TEST(cacti_versions_become_numbers),
        TEST(an_online_remote_poller_needs_the_main_database),
        TEST(each_value_is_told_with_its_source_but_no_secret),
        TEST(help_names_every_option),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/spine.conf", dir);
    int failed = cmocka_run_group_tests_name("config", tests, NULL, NULL);
    unlink(file);
    rmdir(dir);
    return failed;
}
