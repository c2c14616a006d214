#include "config.h"

#include "app/options.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- command lines as text: "-f 1 -l 2" gives "first=1 last=2" ---- */

struct told {
    struct buf assigned, warned;
    struct err err;
    enum configuration_request request;
};

static void on_assign(void *arg, enum option_id id, struct option_value *value)
{
    struct told *t = arg;
    const struct option_def *def = option_get(id);
    buf_printf(&t->assigned, "%s%s=", t->assigned.len == 0 ? "" : " ", def->name);
    assert_true(value->set);
    if (def->type == OPTION_TYPE_IDS)
        for (size_t i = 0; i < value->ids.count; i++)
            buf_printf(&t->assigned, "%s%u", i == 0 ? "" : ",", value->ids.ids[i]);
    else if (def->type == OPTION_TYPE_TEXT || def->type == OPTION_TYPE_PATH)
        buf_puts(&t->assigned, value->text);
    else
        buf_printf(&t->assigned, "%lld", (long long)value->number);
    option_value_done(value);
}

static void on_warn(void *arg, const char *text)
{
    struct told *t = arg;
    buf_printf(&t->warned, "%s\n", text);
}

/* Arguments are separated by '|', so that they may hold blanks and be empty; "" is no argument at
 * all. */
static struct told parse(const char *line)
{
    struct told t = {.assigned = BUF_INIT, .warned = BUF_INIT, .err = ERR_INIT};
    char *copy = mem_strdup(line), *rest = copy;
    char *argv[64] = {copy};
    int argc = 1;
    while (*line != '\0' && rest != NULL)
        argv[argc++] = strsep(&rest, "|");
    struct options_sink sink = {on_assign, on_warn, &t};
    t.request = options_parse_args(argc, argv, &sink, &t.err);
    free(copy);
    return t;
}

static void done(struct told *t)
{
    buf_done(&t->assigned);
    buf_done(&t->warned);
}

static void assert_assigned(const char *line, const char *expected)
{
    struct told t = parse(line);
    if (t.request != CONFIG_RUN || strcmp(buf_str(&t.assigned), expected) != 0)
        fail_msg("'%s' gives '%s' and '%s', not '%s'", line, buf_str(&t.assigned), t.err.text,
                 expected);
    assert_string_equal(buf_str(&t.warned), "");
    done(&t);
}

static void assert_usage(const char *line, const char *expected)
{
    struct told t = parse(line);
    char full[1024];
    snprintf(full, sizeof(full), "%s; see spine --help", expected);
    if (t.request != CONFIG_ERROR || strcmp(t.err.text, full) != 0)
        fail_msg("'%s' gives '%s' and '%s', not '%s'", line, buf_str(&t.assigned), t.err.text,
                 full);
    assert_int_equal(err_exit_status(&t.err), 64);
    done(&t);
}

static void every_spelling_of_the_contract_is_taken(void **state UNUSED)
{
    static const struct {
        const char *line, *assigned;
    } cases[] = {
        {"", ""},
        /* as Cacti starts it */
        {"-C|/etc/spine.conf|--mode=offline|--poller=2|--first=0|--last=99|--mibs",
         "conf=/etc/spine.conf mode=1 poller=2 first=0 last=99 mibs=1"},
        {"--poller=1|--first=0|--last=5", "poller=1 first=0 last=5"},
        /* as people type it */
        {"-R|-S|-V|5|-f|42|-l|42", "readonly=1 log_destination=4 log_verbosity=5 first=42 last=42"},
        {"-f=42|-l=42|-C=x|-V=5|-R", "first=42 last=42 conf=x log_verbosity=5 readonly=1"},
        {"-f=5", "first=5"},
        {"-f|5", "first=5"},
        {"--first=5", "first=5"},
        {"--first|5", "first=5"},
        {"--FIRST=5|--Last|6", "first=5 last=6"},
        {"-f|4294967295", "first=4294967295"},
        {"1|20", "first=1 last=20"},
        {"7", "first=7"},
        {"-f|1|9", "first=1 last=9"},
        {"9|-l|10", "first=9 last=10"},
        {"-l|10|9", "last=10 first=9"},
        {"00012", "first=12"},
        {"-H|3,1,2,3", "hostlist=1,2,3"},
        {"--hostlist=5", "hostlist=5"},
        {"--HOSTLIST|0,4294967295", "hostlist=0,4294967295"},
        {"-H=1, 2 ,\t3", "hostlist=1,2,3"},
        {"-p|2147483647", "poller=2147483647"},
        {"--Poller=3", "poller=3"},
        {"-t|1", "threads=1"},
        {"-t=100", "threads=100"},
        {"--threads|7", "threads=7"},
        {"-C|-x", "conf=-x"},
        {"-C|a=b", "conf=a=b"},
        {"--conf=a=b", "conf=a=b"},
        {"-C|one|-C|two", "conf=one conf=two"},
        {"-O|path_cactilog:/a:b=c", "path_cactilog=/a:b=c"},
        {"-O=path_cactilog:/a:b=c", "path_cactilog=/a:b=c"},
        {"--option=PING_Failure_Count:4", "ping_failure_count=4"},
        {"-O|threads:9|-O|threads:8", "threads=9 threads=8"},
        {"-O|path_webroot:", "path_webroot="},
        {"-O|selective_device_debug:9,8", "selective_device_debug=8,9"},
        {"-O|selective_device_debug:", "selective_device_debug="},
        {"-O|log_perror:YES", "log_perror=1"},
        {"-O|spine_event_loop:on", "spine_event_loop=1"},
        {"-O|log_destination:syslog", "log_destination=3"},
        {"-M|--MIBS|--mibs=no", "mibs=1 mibs=1 mibs=1"},
        {"-N|offline", "mode=1"},
        {"-N|offline|-f|1|-l|2", "mode=1 first=1 last=2"},
        {"--mode=ONLINE|--Mode|Recovery", "mode=0 mode=2"},
        {"--readonly|--read-only|--READONLY=0", "readonly=1 readonly=1 readonly=1"},
        {"-S|--stdout|--stdout=x", "log_destination=4 log_destination=4 log_destination=4"},
        {"-D|both|--log=FILE|--LOG|4", "log_destination=2 log_destination=1 log_destination=4"},
        {"-D|0|-D|17", "log_destination=0 log_destination=17"},
        {"--check|--format=json", "check=1 format=1"},
        {"--CHECK|--check|--Format|TEXT", "check=1 check=1 format=0"},
        {"-P|--pingonly|--PingOnly=1", "pingonly=1 pingonly=1 pingonly=1"},
        {"-V|none|-V|Low|-V|MEDIUM|-V|high|-V|Debug|-V|DEVDBG",
         "log_verbosity=1 log_verbosity=2 log_verbosity=3 log_verbosity=4 log_verbosity=5 "
         "log_verbosity=6"},
        {"-V|1|--verbosity=6", "log_verbosity=1 log_verbosity=6"},
        {"-V|3|-V|2", "log_verbosity=3 log_verbosity=2"},
        {"--event-loop=on|--event-loop|off", "spine_event_loop=1 spine_event_loop=0"},
        {"--Event-Loop=TRUE", "spine_event_loop=1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_assigned(cases[i].line, cases[i].assigned);
}

#define ID_RANGE     "must be a number from 0 to 4294967295"
#define DESTINATIONS "must be FILE, BOTH, SYSLOG or STDOUT, or a number"
#define LEVELS       "must be NONE, LOW, MEDIUM, HIGH, DEBUG or DEVDBG, or a number from 1 to 6"

struct bad_line {
    const char *line, *text;
};

static void unknown_arguments_are_named(void **state UNUSED)
{
    static const struct bad_line cases[] = {
        {"--bogus", "ERROR: --bogus is an unknown command-line parameter"},
        {"--frist=5", "ERROR: --frist is an unknown command-line parameter; did you mean --first?"},
        {"--hostlst|5",
         "ERROR: --hostlst is an unknown command-line parameter; did you mean --hostlist?"},
        {"-first", "ERROR: -first is an unknown command-line parameter; did you mean --first?"},
        {"--event_loop=on",
         "ERROR: --event_loop is an unknown command-line parameter; did you mean --event-loop?"},
        {"-x", "ERROR: -x is an unknown command-line parameter"},
        {"-L|5", "ERROR: -L is an unknown command-line parameter; did you mean -l?"},
        {"-m", "ERROR: -m is an unknown command-line parameter; did you mean -M?"},
        {"-f5", "ERROR: -f5 is an unknown command-line parameter"},
        {"--", "ERROR: -- is an unknown command-line parameter"},
        {"-", "ERROR: - is an unknown command-line parameter"},
        {"-=", "ERROR: - is an unknown command-line parameter"},
        {"=5", "ERROR: '' is an unknown command-line parameter"},
        {"-R|", "ERROR: '' is an unknown command-line parameter"},
        {"word", "ERROR: word is an unknown command-line parameter"},
        {"5=3", "ERROR: 5 is an unknown command-line parameter"},
        {"1|2|3", "ERROR: 3 is an unknown command-line parameter"},
        {"-f|1|-l|2|3", "ERROR: 3 is an unknown command-line parameter"},
        {"-5", "ERROR: -5 is an unknown command-line parameter"},
        {"a\nb", "ERROR: a?b is an unknown command-line parameter"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_usage(cases[i].line, cases[i].text);
}

static void bad_values_are_shown_with_what_is_wanted(void **state UNUSED)
{
    static const struct bad_line cases[] = {
        {"-f", "ERROR: option -f requires a parameter"},
        {"-R|--hostlist", "ERROR: option --hostlist requires a parameter"},
        {"-O", "ERROR: option -O requires a parameter"},
        {"-C=", "ERROR: option -C requires a parameter"},
        {"--event-loop", "ERROR: option --event-loop requires a parameter"},
        {"-f|1|-f|1", "ERROR: -f can only be used once"},
        {"--last=1|-l|2", "ERROR: -l can only be used once"},
        {"1|--first=1", "ERROR: --first can only be used once"},
        {"-f|-5", "ERROR: '-f=-5' is invalid first-host ID, it " ID_RANGE},
        {"--first=x", "ERROR: '--first=x' is invalid first-host ID, it " ID_RANGE},
        {"-f=", "ERROR: '-f=' is invalid first-host ID, it " ID_RANGE},
        {"-f|1x", "ERROR: '-f=1x' is invalid first-host ID, it " ID_RANGE},
        {"-f|+1", "ERROR: '-f=+1' is invalid first-host ID, it " ID_RANGE},
        {"-f|-l|5", "ERROR: '-f=-l' is invalid first-host ID, it " ID_RANGE},
        {"-l|4294967296", "ERROR: '-l=4294967296' is invalid last-host ID, it " ID_RANGE},
        {"99999999999", "ERROR: '99999999999' is invalid first-host ID, it " ID_RANGE},
        {"-p|0", "ERROR: '-p=0' is invalid, poller must be a number from 1 to 2147483647"},
        {"-p|2147483648",
         "ERROR: '-p=2147483648' is invalid, poller must be a number from 1 to 2147483647"},
        {"--poller=one",
         "ERROR: '--poller=one' is invalid, poller must be a number from 1 to 2147483647"},
        {"-t|0", "ERROR: '-t=0' is invalid, threads must be a number from 1 to 100"},
        {"-t|101", "ERROR: '-t=101' is invalid, threads must be a number from 1 to 100"},
        {"-t|-1", "ERROR: '-t=-1' is invalid, threads must be a number from 1 to 100"},
        {"-N|sideways", "ERROR: invalid polling mode 'sideways' specified, it must be online, "
                        "offline or recovery"},
        {"--mode=1",
         "ERROR: invalid polling mode '1' specified, it must be online, offline or recovery"},
        {"-H|1;select 1",
         "ERROR: '-H=1;select 1' is invalid, hostlist must be a comma list of device ids"},
        {"-H|", "ERROR: '-H=' is invalid, hostlist must be a comma list of device ids"},
        {"-H|,", "ERROR: '-H=,' is invalid, hostlist must be a comma list of device ids"},
        {"-H|1,,2", "ERROR: '-H=1,,2' is invalid, hostlist must be a comma list of device ids"},
        {"-H|1 2", "ERROR: '-H=1 2' is invalid, hostlist must be a comma list of device ids"},
        {"-H|4294967296",
         "ERROR: '-H=4294967296' is invalid, hostlist must be a comma list of device ids"},
        {"-V|9", "ERROR: '-V=9' is invalid, log_verbosity " LEVELS},
        {"-V|0", "ERROR: '-V=0' is invalid, log_verbosity " LEVELS},
        {"--verbosity=loud", "ERROR: '--verbosity=loud' is invalid, log_verbosity " LEVELS},
        {"-D|printer", "ERROR: '-D=printer' is invalid, log_destination " DESTINATIONS},
        {"--check|--replay=x", "ERROR: --check and --replay cannot be used together"},
        {"--replay|x|--check", "ERROR: --replay and --check cannot be used together"},
        {"--format=xml", "ERROR: '--format=xml' is invalid, format must be text or json"},
        {"--event-loop=maybe",
         "ERROR: '--event-loop=maybe' is invalid, spine_event_loop must be on or off"},
        {"-O|x", "ERROR: -O requires setting:value, not 'x'"},
        {"-O|threads=5", "ERROR: -O requires setting:value, not 'threads=5'"},
        {"-O|:x", "ERROR: -O requires setting:value, not ':x'"},
        {"-O=", "ERROR: -O requires setting:value, not ''"},
        {"-O|threads:0",
         "ERROR: '-O=threads:0' is invalid, threads must be a number from 1 to 100"},
        {"-O|threads:", "ERROR: '-O=threads:' is invalid, threads must be a number from 1 to 100"},
        {"-O|log_pstats:", "ERROR: '-O=log_pstats:' is invalid, log_pstats must be on or off"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_usage(cases[i].line, cases[i].text);
}

static void arguments_are_processed_from_left_to_right(void **state UNUSED)
{
    static const struct {
        const char *line;
        enum configuration_request request;
    } cases[] = {
        {"-h", CONFIG_HELP},
        {"--HELP", CONFIG_HELP},
        {"-v", CONFIG_VERSION},
        {"--version=1", CONFIG_VERSION},
        {"-v|--bogus", CONFIG_VERSION},
        {"-h|-v", CONFIG_HELP},
        {"--bogus|-v", CONFIG_ERROR},
        {"-f|x|-h", CONFIG_ERROR},
        {"-C|-h", CONFIG_RUN},
        {"-V|1|-v", CONFIG_VERSION},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct told t = parse(cases[i].line);
        assert_int_equal(t.request, cases[i].request);
        done(&t);
    }
}

static void unknown_overrides_are_ignored_with_a_warning(void **state UNUSED)
{
    static const struct {
        const char *line, *warning;
    } cases[] = {
        {"-O|version:1.2.3|-f|1",
         "WARNING: -O version:1.2.3 is ignored: the version always comes from the database\n"},
        {"-O|cacti_version:1.2.3|-f|1", "WARNING: -O cacti_version:1.2.3 is ignored: the version "
                                        "always comes from the database\n"},
        {"-O|thread:1|-f|1", "WARNING: -O thread:1 is ignored: there is no such setting; did you "
                             "mean threads?\n"},
        {"--option=DB_Pass:x|-f|1", "WARNING: --option DB_Pass:x is ignored: there is no such "
                                    "setting; see spine --help\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct told t = parse(cases[i].line);
        assert_int_equal(t.request, CONFIG_RUN);
        assert_string_equal(buf_str(&t.assigned), "first=1");
        assert_string_equal(buf_str(&t.warned), cases[i].warning);
        done(&t);
    }
}

static void any_number_of_overrides_is_taken(void **state UNUSED)
{
    enum { COUNT = 5000 };
    static char *argv[2 * COUNT + 1];
    struct told t = {.assigned = BUF_INIT, .warned = BUF_INIT, .err = ERR_INIT};
    struct options_sink sink = {on_assign, on_warn, &t};
    static char o[] = "-O", value[] = "threads:7";
    for (int i = 1; i <= 2 * COUNT; i++)
        argv[i] = i % 2 == 1 ? o : value;
    assert_int_equal(options_parse_args(2 * COUNT + 1, argv, &sink, &t.err), CONFIG_RUN);
    assert_int_equal(t.assigned.len, COUNT * strlen("threads=7 ") - 1);
    done(&t);
}

static void arguments_of_any_length_are_reported_in_one_short_line(void **state UNUSED)
{
    char *big = mem_alloc(300001);
    static const char *const starts[] = {"--", "-H=1,", "-f=", "-N=", "-O=x", "-O=threads:", "x"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        memset(big, 'z', 300000);
        big[300000] = '\0';
        memcpy(big, starts[i], strlen(starts[i]));
        struct told t = parse(big);
        assert_int_equal(t.request, CONFIG_ERROR);
        assert_null(strchr(t.err.text, '\n'));
        assert_string_equal(t.err.text + strlen(t.err.text) - 18, "; see spine --help");
        done(&t);
    }
    free(big);
}

static void a_host_list_of_any_length_is_taken(void **state UNUSED)
{
    struct buf line = BUF_INIT, why = BUF_INIT;
    for (int i = 50000; i > 0; i--)
        buf_printf(&line, "%d,%d%s", i, i, i == 1 ? "" : ",");
    struct option_value v;
    assert_true(option_parse(option_get(OPTION_HOST_LIST), line.data, &v, &why));
    assert_int_equal(v.ids.count, 50000);
    for (size_t i = 0; i < v.ids.count; i++)
        assert_int_equal(v.ids.ids[i], i + 1);
    option_value_done(&v);
    buf_done(&line);
    buf_done(&why);
}

/* ---- settings rows ---- */

static void assert_row(enum option_id id, const char *text, const char *expected,
                       const char *remark)
{
    struct option_value v = {0};
    struct buf why = BUF_INIT, got = BUF_INIT;
    if (option_parse_row(option_get(id), text, &v, &why))
        buf_printf(&got, "%lld", (long long)v.number);
    else
        buf_puts(&got, "default");
    if (strcmp(got.data, expected) != 0 || strcmp(buf_str(&why), remark) != 0)
        fail_msg("%s '%s' gives %s and '%s'", option_get(id)->name, text, got.data, buf_str(&why));
    option_value_done(&v);
    buf_done(&why);
    buf_done(&got);
}

static void rows_out_of_bounds_are_clamped_or_replaced(void **state UNUSED)
{
    assert_row(OPTION_THREADS, "1", "1", "");
    assert_row(OPTION_THREADS, "100", "100", "");
    assert_row(OPTION_THREADS, "101", "100", "101 is not within 1 to 100, 100 is used");
    assert_row(OPTION_THREADS, "0", "1", "0 is not within 1 to 100, 1 is used");
    assert_row(OPTION_THREADS, "-1", "1", "-1 is not within 1 to 100, 1 is used");
    assert_row(OPTION_THREADS, "abc", "1", "'abc' is not a number, 1 is used");
    assert_row(OPTION_THREADS, "7 or so", "7", "'7 or so' is not a number, 7 is used");
    assert_row(OPTION_THREADS, "99999999999999999999", "100",
               "'99999999999999999999' is not a number, 100 is used");
    assert_row(OPTION_SCRIPT_TIMEOUT, "4", "5", "4 is not within 5 to 86400, 5 is used");
    assert_row(OPTION_SCRIPT_TIMEOUT, "", "5", "");
    assert_row(OPTION_PHP_SERVERS, "16", "15", "16 is not within 1 to 15, 15 is used");
    assert_row(OPTION_PHP_SERVERS, "0", "1", "0 is not within 1 to 15, 1 is used");
    assert_row(OPTION_POLLER_INTERVAL, "0", "default",
               "0 is not within 1 to 86400, the default 300 is used");
    assert_row(OPTION_POLLER_INTERVAL, "", "default", "");
    assert_row(OPTION_POLLER_INTERVAL, "60", "60", "");
    assert_row(OPTION_PING_FAILURE_COUNT, "0", "default",
               "0 is not within 1 to 1000000, the default 2 is used");
    assert_row(OPTION_PING_FAILURE_COUNT, "1", "1", "");
    assert_row(OPTION_PING_RECOVERY_COUNT, "-4", "default",
               "-4 is not within 1 to 1000000, the default 3 is used");
    assert_row(OPTION_PING_RECOVERY_COUNT, "5000000", "1000000",
               "5000000 is not within 1 to 1000000, 1000000 is used");
    assert_row(OPTION_DEFAULT_DATECHAR, "3", "default",
               "3 is not within 0 to 2, the default 1 is used");
    assert_row(OPTION_DEFAULT_DATECHAR, "-1", "default",
               "-1 is not within 0 to 2, the default 1 is used");
    assert_row(OPTION_DEFAULT_DATECHAR, "2", "2", "");
    assert_row(OPTION_ACTIVE_PROFILES, "-1", "0", "-1 is not within 0 to 2147483647, 0 is used");
    assert_row(OPTION_MAX_GET_SIZE, "129", "128", "129 is not within 0 to 128, 128 is used");
    assert_row(OPTION_SNMP_RETRIES, "0", "0", "");
    assert_row(OPTION_SNMP_RETRIES, "-1", "default",
               "-1 is not within 0 to 100, the default 3 is used");
}

static void rows_with_words_are_read_as_cacti_does(void **state UNUSED)
{
    assert_row(OPTION_LOG_VERBOSITY, "5", "5", "");
    assert_row(OPTION_LOG_VERBOSITY, "debug", "5", "");
    assert_row(OPTION_LOG_VERBOSITY, "7", "6", "7 is not within 1 to 6, 6 is used");
    assert_row(OPTION_LOG_VERBOSITY, "0", "default",
               "0 is not within 1 to 6, the default LOW is used");
    assert_row(OPTION_LOG_VERBOSITY, "loud", "default",
               "'loud' is unknown, the default LOW is used");
    assert_row(OPTION_LOG_VERBOSITY, "", "default", "");
    assert_row(OPTION_LOG_DESTINATION, "2", "2", "");
    assert_row(OPTION_LOG_DESTINATION, "Stdout", "4", "");
    assert_row(OPTION_LOG_DESTINATION, "9", "9", "");
    assert_row(OPTION_LOG_DESTINATION, "printer", "default",
               "'printer' is unknown, the default FILE is used");
    assert_row(OPTION_LOG_PERROR, "on", "1", "");
    assert_row(OPTION_LOG_PERROR, "0", "0", "");
    assert_row(OPTION_LOG_PERROR, "", "default", "");
    assert_row(OPTION_LOG_PERROR, "x", "default", "'x' is neither on nor off, it is ignored");
    assert_row(OPTION_PATH_CACTILOG, "", "default", "");
    assert_row(OPTION_SELECTIVE_DEVICE_DEBUG, "", "0", "");
}

static void a_device_list_in_a_row_keeps_what_is_good(void **state UNUSED)
{
    struct option_value v;
    struct buf why = BUF_INIT;
    const struct option_def *def = option_get(OPTION_SELECTIVE_DEVICE_DEBUG);
    assert_true(option_parse_row(def, "5, x,3,,5,0", &v, &why));
    assert_int_equal(v.ids.count, 3);
    assert_int_equal(v.ids.ids[0], 0);
    assert_int_equal(v.ids.ids[1], 3);
    assert_int_equal(v.ids.ids[2], 5);
    assert_string_equal(why.data, "2 of its items are not device ids and are ignored");
    option_value_done(&v);
    buf_done(&why);
}

/* ---- the table itself and what is written about it ---- */

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

static void no_two_options_share_a_name(void **state UNUSED)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *a = option_get((enum option_id)i);
        assert_non_null(a->name);
        assert_non_null(a->help);
        assert_true(a->type != OPTION_TYPE_WORD || a->words != NULL);
        assert_true(a->type != OPTION_TYPE_INTEGER || a->standard != NULL);
        for (int j = 0; j < i; j++) {
            const struct option_def *b = option_get((enum option_id)j);
            assert_false(same(a->name, b->name));
            assert_false(same(a->key, b->key));
            assert_false(a->letter != 0 && a->letter == b->letter);
            for (int k = 0; k < 4; k++)
                assert_false(same(a->longs[k / 2], b->longs[k % 2]));
        }
    }
}

static void the_version_line_passes_cactis_test(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    options_version_line("1.2.99", &b);
    assert_non_null(strstr(buf_str(&b), "Cacti 1.2.99"));
    assert_memory_equal(buf_str(&b), "SPINE 1.2.99  Copyright ", 24);
    buf_clear(&b);
    options_version_line("", &b);
    const char *line = buf_str(&b);
    assert_memory_equal(line, "SPINE " SPINE_COMPAT_VERSION "  Copyright ",
                        strlen("SPINE " SPINE_COMPAT_VERSION "  Copyright "));
    assert_null(strchr(line, '\n'));
    assert_non_null(strstr(line, PACKAGE_VERSION));
    buf_done(&b);
}

static char *read_file(const char *name)
{
    const char *dir = getenv("TEST_SRCDIR");
    char path[4096];
    if (dir == NULL) {
        print_message("SKIP: TEST_SRCDIR, which `make check` sets, does not say where it is\n");
        return NULL;
    }
    snprintf(path, sizeof(path), "%s/../%s", dir, name);
    FILE *f = fopen(path, "re");
    struct buf b = BUF_INIT;
    char chunk[4096];
    assert_non_null(f);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_append(&b, chunk, n);
    fclose(f);
    return buf_take(&b);
}

/* Rows of the document's option tables begin with "| `name` |". */
static const char *row_of(const char *document, const char *name, char *row, size_t size)
{
    char start[100];
    snprintf(start, sizeof(start), "\n| `%s` |", name);
    const char *p = strstr(document, start);
    if (p == NULL)
        return NULL;
    snprintf(row, size, "%.*s", (int)strcspn(p + 1, "\n"), p + 1);
    return row;
}

static void assert_row_has(const char *row, const char *before, const char *text, const char *after)
{
    char expected[200];
    snprintf(expected, sizeof(expected), "%s%s%s", before, text, after);
    if (strstr(row, expected) == NULL)
        fail_msg("docs/configuration.md: '%s' is missing in: %s", expected, row);
}

static void the_document_describes_each_option(void **state UNUSED)
{
    char *document = read_file("docs/configuration.md"), row[1000];
    if (document == NULL)
        skip();
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *d = option_get((enum option_id)i);
        if (row_of(document, d->name, row, sizeof(row)) == NULL)
            fail_msg("docs/configuration.md has no row for %s", d->name);
        if (d->key != NULL)
            assert_row_has(row, "`", d->key, "`");
        if (d->variable != NULL)
            assert_row_has(row, "`", d->variable, "`");
        if (d->letter != 0)
            assert_row_has(row, "`-", (char[]){d->letter, 0}, "`");
        for (int j = 0; j < 2 && d->longs[j] != NULL; j++)
            assert_row_has(row, "`--", d->longs[j], "`");
        if (i == OPTION_EVENT_LOOP) /* off in a build without libevent, which its row says */
            assert_row_has(row, "| ", "on", " |");
        else if (d->standard != NULL && *d->standard != '\0')
            assert_row_has(row, "| ", d->standard, " |");
        if (d->type == OPTION_TYPE_INTEGER) {
            char bounds[64];
            snprintf(bounds, sizeof(bounds), "%lld..%lld%s%s", (long long)d->min, (long long)d->max,
                     d->unit == NULL ? "" : " ", d->unit == NULL ? "" : d->unit);
            assert_row_has(row, " ", bounds, " |");
        }
    }
    free(document);
}

static void the_document_describes_nothing_else(void **state UNUSED)
{
    char *document = read_file("docs/configuration.md");
    if (document == NULL)
        skip();
    int rows = 0;
    for (const char *p = document; (p = strstr(p, "\n| `")) != NULL; rows++) {
        char name[100];
        p += strlen("\n| `");
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "`"), p);
        int i = 0;
        while (i < OPTION_COUNT && strcmp(option_get((enum option_id)i)->name, name) != 0)
            i++;
        if (i == OPTION_COUNT)
            fail_msg("docs/configuration.md has a row for %s, which does not exist", name);
    }
    assert_int_equal(rows, OPTION_COUNT);
    free(document);
}

/* Rows whose name begins with spine_ are asked for by a pattern. */
static void every_settings_row_is_asked_for(void **state UNUSED)
{
    char *source = read_file("src/drivers/store_load.c"), *to = source;
    if (source == NULL)
        skip();
    for (const char *p = source; *p != '\0'; p++) /* a name may continue in the next literal */
        if (strncmp(p, "\"\n", 2) == 0)
            p += 1 + strspn(p + 1, " \n");
        else
            *to++ = *p;
    *to = '\0';
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *d = option_get((enum option_id)i);
        char name[100];
        snprintf(name, sizeof(name), "'%s'", d->name);
        if ((d->setting || d->row_only) && strncmp(d->name, "spine_", 6) != 0 &&
            strstr(source, name) == NULL)
            fail_msg("src/drivers/store_load.c does not ask for the row %s", d->name);
    }
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_options_share_a_name),
        cmocka_unit_test(every_spelling_of_the_contract_is_taken),
        cmocka_unit_test(unknown_arguments_are_named),
        cmocka_unit_test(bad_values_are_shown_with_what_is_wanted),
        cmocka_unit_test(arguments_are_processed_from_left_to_right),
        cmocka_unit_test(unknown_overrides_are_ignored_with_a_warning),
        cmocka_unit_test(any_number_of_overrides_is_taken),
        cmocka_unit_test(arguments_of_any_length_are_reported_in_one_short_line),
        cmocka_unit_test(a_host_list_of_any_length_is_taken),
        cmocka_unit_test(rows_out_of_bounds_are_clamped_or_replaced),
        cmocka_unit_test(rows_with_words_are_read_as_cacti_does),
        cmocka_unit_test(a_device_list_in_a_row_keeps_what_is_good),
        cmocka_unit_test(the_version_line_passes_cactis_test),
        cmocka_unit_test(the_document_describes_each_option),
        cmocka_unit_test(the_document_describes_nothing_else),
        cmocka_unit_test(every_settings_row_is_asked_for),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
