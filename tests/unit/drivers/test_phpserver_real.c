/* Cacti's own script_server.php on php-cli, without a database. */
#include "config.h"

#include "drivers/phpserver.h"

#include "../../support/php_pool.h"

#include <glob.h>
#include <inttypes.h>

static char site[512]; /* a directory like Cacti's site, with its script_server.php */

/* What script_server.php needs of Cacti, without a database. */
static const char cli_check[] =
    "<?php\n"
    "define('POLLER_VERBOSITY_DEBUG', 5); define('POLLER_VERBOSITY_HIGH', 4);\n"
    "define('POLLER_VERBOSITY_MEDIUM', 3); define('COPYRIGHT_YEARS', '');\n"
    "$config = array('cacti_server_os' => 'unix', 'base_path' => dirname(__DIR__));\n"
    "function cacti_log() {} function db_close() {} function get_cacti_version() { return ''; }\n"
    "function read_config_option() { return 300; } function cacti_count($a) { return count($a); "
    "}\n";

static const char functions[] =
    "<?php\n"
    "echo \"printed while included\\n\";\n"
    "function t_value($a = 'none') { return $a; }\n"
    "function t_two($a, $b) { return \"$a|$b\"; }\n"
    "function t_nothing() { }\n"
    "function t_lines() { return \"1\\n2\"; }\n"
    "function t_noise() { print \"noise\\n\"; usleep(60000); return 3; }\n"
    "function t_print() { print 'noise '; return 3; }\n"
    "function t_exit() { exit; }\n"
    "function t_fatal() { undefined_function_here(); }\n"
    "function t_sleep() { usleep(5000000); return 1; }\n"
    "function t_nap() { usleep(20000); return 4; }\n"
    "function t_length($a) { return strlen($a); }\n"
    "function t_system() { system('sleep 99 > /dev/null 2>&1 &'); return 6; }\n";

static void put_file(const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", site, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static bool try_site(const char *directory)
{
    struct buf command = BUF_INIT;
    char file[700];
    snprintf(file, sizeof(file), "%s/script_server.php", directory);
    if (access(file, R_OK) != 0)
        return false;
    snprintf(site, sizeof(site), "/tmp/spine-site-%d", (int)getpid());
    buf_printf(&command, "mkdir -p %s/include && cp '%s' %s/", site, file, site);
    assert_int_equal(system(command.data), 0);
    buf_done(&command);
    put_file("include/cli_check.php", cli_check);
    put_file("functions.php", functions);
    return true;
}

/* The last of these in order is the newest. */
static bool try_cache(const char *cache)
{
    char pattern[600];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%.500s/cacti-[0-9]*/usr/share/cacti/site", cache);
    bool ok = glob(pattern, 0, NULL, &found) == 0 && try_site(found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return ok;
}

/* Cacti's file from the unpacked package, where the integration tests keep it, or an installation. */
static bool make_site(void)
{
    const char *tree = getenv("CACTI_TREE"), *cache = getenv("SPINE_LAB_CACHE");
    char path[700];
    if (access("/usr/bin/php", X_OK) != 0) {
        print_message("SKIP: /usr/bin/php is not installed (Debian package php-cli)\n");
        return false;
    }
    snprintf(path, sizeof(path), "%.500s/usr/share/cacti/site", tree == NULL ? "" : tree);
    if (tree != NULL && try_site(path))
        return true;
    snprintf(path, sizeof(path), "%s../../build/cache", php_pool_support());
    if (try_cache(cache == NULL ? path : cache) || try_site("/usr/share/cacti/site"))
        return true;
    print_message("SKIP: Cacti's package is not unpacked in %s, see docs/testing.md\n",
                  cache == NULL ? path : cache);
    return false;
}

struct real_row {
    const char *call;
    enum script_outcome outcome;
    const char *output;
};

static const struct real_row real_rows[] = {
    {"t_value 42", SCRIPT_OUTPUT, "42"},
    {"t_value", SCRIPT_OUTPUT, "none"},
    {"t_value 'a b'", SCRIPT_OUTPUT, "a b"},
    {"t_two a \"b c\"", SCRIPT_OUTPUT, "a|b c"},
    {"t_nothing", SCRIPT_OUTPUT, ""},
    {"t_missing", SCRIPT_OUTPUT, "U"},
    {"t_lines", SCRIPT_LOST, ""},
    {"t_value 43", SCRIPT_OUTPUT, "43"},
    {"t_noise", SCRIPT_LOST, ""},
    {"t_value 44", SCRIPT_OUTPUT, "44"},
    {"t_print", SCRIPT_OUTPUT, "noise 3"},
    {"t_value 'unbalanced", SCRIPT_OUTPUT, "U"},
    {"t_value 45", SCRIPT_OUTPUT, "45"},
    {"t_value 'a`b'", SCRIPT_OUTPUT, "U"},
    {"t_value 46", SCRIPT_OUTPUT, "46"},
    {"t_exit", SCRIPT_LOST, ""},
    {"t_fatal", SCRIPT_LOST, ""},
    {"t_value 47", SCRIPT_OUTPUT, "47"},
    {"t_system", SCRIPT_OUTPUT, "6"},
    {"t_sleep", SCRIPT_TIMED_OUT, ""},
    {"t_value 48", SCRIPT_OUTPUT, "48"},
};

static struct php_pool real_world(const struct face_kind *kind, char *script, size_t size)
{
    struct php_pool w = php_pool_of(kind, "");
    snprintf(script, size, "%s/script_server.php", site);
    w.options.php = "/usr/bin/php";
    w.options.script = script;
    return w;
}

static void the_real_script_server_is_understood(void **state)
{
    char script[600], commands[ARRAY_LEN(real_rows)][700];
    struct question q[ARRAY_LEN(real_rows)] = {{0}};
    struct php_pool w = real_world(*state, script, sizeof(script));
    w.options.timeout_ms = 2000;
    php_pool_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        snprintf(commands[i], sizeof(commands[i]), "%s/functions.php %s", site, real_rows[i].call);
        q[i].command = commands[i];
        ask_all(&w.asking, &q[i], 1);
    }
    php_pool_end(&w);
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        if (real_rows[i].outcome == SCRIPT_OUTPUT)
            assert_answer(&q[i], real_rows[i].output);
        else
            assert_none(&q[i], real_rows[i].outcome, "");
    }
    forget(q, ARRAY_LEN(q));
    php_pool_done(&w);
}

static void the_longest_request_reaches_the_real_script_server_whole(void **state)
{
    char script[600], command[1100];
    struct php_pool w = real_world(*state, script, sizeof(script));
    int n = snprintf(command, sizeof(command), "%s/functions.php t_length ", site);
    memset(command + n, 'x', 1021 - (size_t)n);
    command[1021] = '\0';
    struct question q[2] = {{.command = command}, {.command = command}};
    char expected[16];
    snprintf(expected, sizeof(expected), "%d", 1021 - n);
    php_pool_open(&w);
    ask_all(&w.asking, q, 2);
    php_pool_end(&w);
    assert_answer(&q[0], expected);
    assert_answer(&q[1], expected);
    assert_int_equal(w.figures.started, 1 + (w.asking.turns == 0));
    forget(q, 2);
    php_pool_done(&w);
}

static void a_hundred_requests_to_real_servers_are_answered(void **state)
{
    enum { MANY = 100 };
    char script[600], command[700];
    snprintf(command, sizeof(command), "%s/functions.php t_nap", site);
    static const int counts[] = {1, 4, 10};
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        struct php_pool w = real_world(*state, script, sizeof(script));
        struct question *q = mem_zalloc(MANY, sizeof(q[0]));
        int64_t begun_ms = clock_mono_ms();
        w.options.count = counts[k];
        php_pool_open(&w);
        for (int i = 0; i < MANY; i++)
            q[i].command = command;
        ask_all(&w.asking, q, MANY);
        print_message("    %d x 20 ms on %d servers: %" PRId64 " ms\n", MANY, counts[k],
                      clock_mono_ms() - begun_ms);
        php_pool_end(&w);
        for (int i = 0; i < MANY; i++)
            assert_answer(&q[i], "4");
        assert_int_equal(w.figures.started, counts[k]);
        assert_quiet(&w);
        forget(q, MANY);
        free(q);
        php_pool_done(&w);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_script_server_is_understood),
        cmocka_unit_test(the_longest_request_reaches_the_real_script_server_whole),
        cmocka_unit_test(a_hundred_requests_to_real_servers_are_answered),
    };
    char command[600];
    if (!make_site())
        return 77;
    int failed = face_run_tests(tests, ARRAY_LEN(tests), 1, false);
    snprintf(command, sizeof(command), "rm -r %s", site);
    return failed + (system(command) != 0);
}
