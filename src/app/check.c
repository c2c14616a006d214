#include "config.h"

#include "app/check.h"

#include "app/configuration.h"
#include "app/findings.h"
#include "base/buf.h"
#include "base/jsonout.h"

#include <stdio.h>
#include <stdlib.h>

static void check_configuration(struct findings *f, struct config *c)
{
    struct err err = ERR_INIT;
    char *warning;
    bool ok = configuration_read_file(c, &err) && configuration_read_environment(c, &err) &&
              configuration_read_secrets(c, &err);
    configuration_finish(c);
    while ((warning = configuration_take_warning(c)) != NULL) {
        findings_add(f, FINDING_WARN, "configuration", NULL, "%s", warning);
        free(warning);
    }
    if (!ok)
        findings_add(f, FINDING_FAIL, "configuration", NULL, "%s", err.text);
    else
        findings_add(f, FINDING_OK, "configuration", NULL, "%s", configuration_file_path(c));
}

static void check_print(const struct findings *f, enum config_format format)
{
    if (format == FORMAT_TEXT) {
        findings_print(f, stdout);
        return;
    }
    struct buf b = BUF_INIT;
    jsonout_open(&b, NULL, '{');
    jsonout_int(&b, "status", findings_worst(f));
    findings_json(f, "checks", &b);
    jsonout_close(&b, '}');
    puts(buf_str(&b));
    buf_done(&b);
}

int check_run(struct config *config, const struct ping_sockets *sockets UNUSED)
{
    struct findings f = FINDINGS_INIT;
    check_configuration(&f, config);
    check_print(&f, config->format);
    int status = (int)findings_worst(&f);
    findings_done(&f);
    return status;
}
