#include "config.h"

#include "check_private.h"

#include "app/configuration.h"
#include "base/buf.h"
#include "base/jsonout.h"
#include "base/log.h"
#include "core/loop.h"
#include "drivers/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *check_plain(const char *text)
{
    static const char *const classes[] = {"ERROR: ", "FATAL: ", "WARNING: "};
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (strncmp(text, classes[i], strlen(classes[i])) == 0)
            return text + strlen(classes[i]);
    return text;
}

/* What the configuration complains about. */
static void check_warnings(struct check *k, const char *name)
{
    char *warning;
    while ((warning = configuration_take_warning(k->config)) != NULL) {
        findings_add(&k->findings, FINDING_WARN, name, NULL, "%s", check_plain(warning));
        free(warning);
    }
}

static bool check_configuration(struct check *k)
{
    struct err err = ERR_INIT;
    struct config *c = k->config;
    bool ok = configuration_read_file(c, &err) && configuration_read_environment(c, &err) &&
              configuration_read_secrets(c, &err);
    configuration_finish(c);
    if (ok)
        check_conf_file(k);
    else
        findings_add(&k->findings, FINDING_FAIL, "configuration", NULL, "%s",
                     check_plain(err.text));
    check_warnings(k, "configuration");
    return ok;
}

/* ---- gates ---- */

static const char *source_word(enum config_source source)
{
    static const char *const words[] = {"by default", "by spine.conf", "by the settings",
                                        "by the environment", "by the command line"};
    return words[source];
}

static void check_event_loop(struct check *k)
{
    const struct config *c = k->config;
    bool built = loop_kind_is_built(LOOP_LIBEVENT);
    if (c->event_loop && !built)
        findings_add(&k->findings, FINDING_WARN, "event loop",
                     "configure --with-libevent, or set Event_Loop off",
                     "on %s, but this build has no libevent: the legacy loop polls",
                     source_word(c->event_loop_source));
    else
        findings_add(&k->findings, FINDING_OK, "event loop", NULL, "%s %s%s",
                     c->event_loop ? "on" : "off", source_word(c->event_loop_source),
                     built ? "" : "; this build has no libevent");
    if (c->async_snmp && !(c->event_loop && built))
        findings_add(&k->findings, FINDING_WARN, "async SNMP", "set Event_Loop on, too",
                     "on, but without the event loop it has no effect");
    else
        findings_add(&k->findings, FINDING_OK, "async SNMP", NULL, "%s",
                     c->async_snmp ? "on" : "off");
}

static void check_cacti(struct check *k)
{
    const struct config *c = k->config;
    if (c->cacti_version == 0)
        findings_add(&k->findings, FINDING_WARN, "Cacti",
                     "let Cacti's installer finish, which writes table version",
                     "table version holds '%s', no version of Cacti", c->cacti_version_text);
    else if (c->cacti_version < 1200)
        findings_add(&k->findings, FINDING_FAIL, "Cacti", "upgrade to 1.2 or newer",
                     "%s is older than 1.2", c->cacti_version_text);
    else
        findings_add(&k->findings, FINDING_OK, "Cacti", NULL, "%s", c->cacti_version_text);
}

/* ---- telling ---- */

static void check_print_settings(struct config *c)
{
    struct configuration_entry e;
    printf("\nSettings, and where each comes from:\n");
    for (size_t i = 0; configuration_entry(c, i, &e); i++)
        printf("  %-26s %s (%s)\n", e.name, *e.value == '\0' ? "-" : e.value, e.source);
}

static void check_put_settings(struct config *c, struct buf *out)
{
    struct configuration_entry e;
    jsonout_open(out, "settings", '[');
    for (size_t i = 0; configuration_entry(c, i, &e); i++) {
        jsonout_open(out, NULL, '{');
        jsonout_text(out, "name", e.name);
        jsonout_text(out, "value", e.value);
        jsonout_text(out, "source", e.source);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
}

static void check_print(const struct check *k)
{
    struct config *c = k->config;
    if (c->format == FORMAT_TEXT) {
        findings_print(&k->findings, stdout);
        check_print_settings(c);
        return;
    }
    const char *path = configuration_file_path(c);
    struct buf b = BUF_INIT;
    jsonout_open(&b, NULL, '{');
    jsonout_text(&b, "version", PACKAGE_VERSION);
    jsonout_text(&b, "configuration", path);
    jsonout_int(&b, "status", findings_worst(&k->findings));
    findings_json(&k->findings, "checks", &b);
    check_put_settings(c, &b);
    jsonout_close(&b, '}');
    puts(buf_str(&b));
    buf_done(&b);
}

/* ---- the command ---- */

static void check_all(struct check *k)
{
    struct err err = ERR_INIT;
    if (!check_configuration(k))
        return;
    check_user(k);
    if (!db_library_start(&err)) {
        findings_add(&k->findings, FINDING_FAIL, "database", NULL, "%s", err.text);
        return;
    }
    check_databases(k);
    if (k->settings_known) {
        check_warnings(k, "settings");
        check_cacti(k);
        check_php(k);
    } else {
        findings_add(&k->findings, FINDING_WARN, "settings",
                     "correct what is said about the database, and check again",
                     "not known: PHP is not checked, and files only as spine.conf names them");
    }
    check_files(k);
    check_ping(k);
    check_event_loop(k);
    if (!k->left_behind)
        db_library_stop();
}

struct app_end check_run(struct config *config, const struct ping_sockets *sockets)
{
    struct check k = {.config = config, .sockets = sockets, .findings = FINDINGS_INIT};
    /* Not even what goes wrong is written to a log. */
    log_configure(&(struct log_options){.level = LOG_NONE,
                                        .destination = LOG_TO_NOTHING,
                                        .date_separator = '/',
                                        .poller_id = config->poller_id});
    check_all(&k);
    check_print(&k);
    struct app_end end = {.status = (int)findings_worst(&k.findings), .at_once = k.left_behind};
    findings_done(&k.findings);
    return end;
}
