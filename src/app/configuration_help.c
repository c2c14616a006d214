#include "config.h"

#include "app/configuration.h"

#include "app/options.h"
#include "base/buf.h"

#include <stdio.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc" /* the Makefile's -DSYSCONFDIR names the real one */
#endif

static void print_entry(FILE *out, const struct option_def *def)
{
    struct buf b = BUF_INIT;
    if (def->section == OPTION_SETTING || def->section == OPTION_FILE)
        buf_printf(&b, "  %s", def->name);
    else if (def->letter != 0)
        buf_printf(&b, "  -%c, --%s", def->letter, def->longs[0]);
    else
        buf_printf(&b, "      --%s", def->longs[0]);
    if (def->placeholder != NULL && def->section == OPTION_SETTING)
        buf_printf(&b, ":%s", def->placeholder);
    else if (def->placeholder != NULL && def->attached_only)
        buf_printf(&b, "[=%s]", def->placeholder);
    else if (def->placeholder != NULL)
        buf_printf(&b, "%c%s", def->section == OPTION_FILE ? ' ' : '=', def->placeholder);
    fprintf(out, "%-34s %s", b.data, def->help);
    if (def->standard != NULL && *def->standard != '\0' && def->type != OPTION_TYPE_SECRET)
        fprintf(out, " [%s%s%s]", def->standard, def->unit == NULL ? "" : " ",
                def->unit == NULL ? "" : def->unit);
    fputc('\n', out);
    buf_done(&b);
}

/* A key of spine.conf, or a variable of the environment, for what has another name above. */
static void print_alias(FILE *out, const char *name, const struct option_def *def, char between)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "  %s", name);
    if (def->placeholder != NULL)
        buf_printf(&b, "%c%s", between, def->placeholder);
    if (def->longs[0] != NULL)
        fprintf(out, "%-34s as --%s\n", b.data, def->longs[0]);
    else
        fprintf(out, "%-34s as -O %s\n", b.data, def->name);
    buf_done(&b);
}

static void print_aliases(FILE *out)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *def = option_get((enum option_id)i);
        if (def->key != NULL && def->section != OPTION_FILE)
            print_alias(out, def->key, def, ' ');
    }
    fputs("\nEnvironment:\n", out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_def *def = option_get((enum option_id)i);
        if (def->variable != NULL)
            print_alias(out, def->variable, def, '=');
    }
}

static void print_help(FILE *out)
{
    struct buf version = BUF_INIT;
    options_version_line(NULL, &version);
    fprintf(
        out,
        "%s\n\nUsage: spine [options] [first last]\n\n"
        "Polls the devices of a Cacti site once; Cacti's poller.php starts it. A value may follow\n"
        "after '=' or as the next argument. Long options may be written in any case.\n",
        buf_str(&version));
    buf_done(&version);
    const char *title;
    for (enum option_section s = 0; (title = option_section_title(s)) != NULL; s++) {
        fprintf(out, "\n%s:\n", title);
        for (int i = 0; i < OPTION_COUNT; i++) {
            const struct option_def *def = option_get((enum option_id)i);
            if (def->section == s && !def->row_only)
                print_entry(out, def);
        }
    }
    print_aliases(out);
    fputs("\nWithout -C the first of these is read: ./spine.conf, /etc/spine.conf,\n"
          "/etc/cacti/spine.conf, ../etc/spine.conf, " SYSCONFDIR "/spine.conf.\n"
          "\nExamples:\n"
          "  spine -R -S -V MEDIUM -f 42 -l 42    show what device 42 answers, or why it\n"
          "                                       does not; store nothing\n"
          "  spine --poller=1 --hostlist=3,5,8    poll three devices\n"
          "\nExit status: 0 done, 3 no daemon (--status), 64 usage, 65 replayed otherwise than\n"
          "recorded, or --verify found a difference, 66 none of the devices asked for can be\n"
          "polled, 69 database unreachable or no daemon, 70 internal, 71 operating system,\n"
          "75 deadline hit or results partly stored, 78 spine.conf or schema.\n",
          out);
}

void configuration_print_help(void)
{
    print_help(stdout);
}
