/* build-aux/describe.c - the option table (app/options.h) as manual pages and shell completions.
 *
 * Why:     the manual and the completions know each option without being edited.
 * Use:     describe PROGRAM manual TEMPLATE    a manual page; the places to fill are listed below
 *          describe PROGRAM bash|zsh           the completion for that shell
 *          PROGRAM is the installed name.  The result goes to standard output.
 * Threads: one.
 * Promise: the same table gives the same text.
 *
 * A template is roff.  A line that consists of one of these words is replaced: @options@ (all of the
 * command line, section by section), @settings@ (rows that -O takes), @keys@ (of spine.conf),
 * @environment@.  Within lines, comments apart, @PROGRAM@, @VERSION@ and @SYSCONFDIR@ are.
 */
#include "config.h"

#include "app/options.h"
#include "base/compiler.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char *program;

/* The next option from *id on that `wanted` names, or NULL; *id is then behind it. */
static const struct option_def *next(int *id, bool (*wanted)(const struct option_def *))
{
    while (*id < OPTION_COUNT) {
        const struct option_def *def = option_get((enum option_id)(*id)++);
        if (wanted(def))
            return def;
    }
    return NULL;
}

static bool is_argument(const struct option_def *def)
{
    return def->letter != 0 || def->longs[0] != NULL;
}

static bool is_setting(const struct option_def *def)
{
    return def->setting && !def->row_only;
}

static bool is_key(const struct option_def *def)
{
    return def->key != NULL;
}

static bool is_variable(const struct option_def *def)
{
    return def->variable != NULL;
}

static bool takes_value(const struct option_def *def)
{
    return def->type != OPTION_TYPE_ACTION && def->type != OPTION_TYPE_FLAG;
}

/* ---- manual pages ---- */

/* Text as roff prints it literally. */
static void put_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*text);
    }
}

static void put_bold(const char *before, const char *text)
{
    fputs("\\fB", stdout);
    put_roff(before);
    put_roff(text);
    fputs("\\fR", stdout);
}

static void put_placeholder(const struct option_def *def, char between)
{
    if (def->placeholder == NULL)
        return;
    if (between != 0)
        putchar(between);
    fputs("\\fI", stdout);
    put_roff(def->placeholder);
    fputs("\\fR", stdout);
}

/* In lines of the usual length. */
static void put_lines(char *text)
{
    enum { WIDTH = 76 };
    while (strlen(text) > WIDTH) {
        char *blank = text + WIDTH;
        while (blank > text && *blank != ' ')
            blank--;
        if (blank == text)
            break;
        *blank = '\0';
        put_roff(text);
        putchar('\n');
        text = blank + 1;
    }
    put_roff(text);
    putchar('\n');
}

/* The help as a sentence. */
static void put_help(const struct option_def *def)
{
    struct buf b = BUF_INIT;
    buf_puts(&b, def->help);
    b.data[0] = (char)toupper((unsigned char)b.data[0]);
    buf_puts(&b, ".");
    put_lines(b.data);
    buf_done(&b);
}

static void put_values(const struct option_def *def)
{
    if (def->type == OPTION_TYPE_INTEGER || def->type == OPTION_TYPE_BOOLEAN ||
        def->type == OPTION_TYPE_WORD) {
        struct buf b = BUF_INIT;
        option_expected(def, &b);
        fputs("Values: ", stdout);
        put_roff(b.data);
        if (def->unit != NULL)
            printf(" (%s)", def->unit);
        fputs(".\n", stdout);
        buf_done(&b);
    }
    if (takes_value(def) && def->standard != NULL && *def->standard != '\0' &&
        def->type != OPTION_TYPE_SECRET) {
        fputs("Default: ", stdout);
        put_roff(def->standard);
        fputs(def->unit == NULL ? "" : " ", stdout);
        fputs(def->unit == NULL ? "" : def->unit, stdout);
        fputs(".\n", stdout);
    }
}

/* The other places that the same value comes from. */
static void put_sources(const struct option_def *def)
{
    if (def->key != NULL) {
        fputs("In spine.conf: ", stdout);
        put_bold("", def->key);
        fputs(".\n", stdout);
    }
    if (def->variable != NULL) {
        fputs("In the environment: ", stdout);
        put_bold("", def->variable);
        fputs(".\n", stdout);
    }
    if (def->setting && strcmp(def->name, def->longs[0] == NULL ? def->name : def->longs[0]) != 0) {
        fputs("In the settings table, and for \\fB\\-O\\fR: ", stdout);
        put_bold("", def->name);
        fputs(".\n", stdout);
    } else if (def->setting && def->longs[0] != NULL) {
        fputs("Also set in Cacti, and for \\fB\\-O\\fR by this name.\n", stdout);
    }
}

static void put_argument(const struct option_def *def)
{
    char letter[2] = {def->letter, '\0'};
    fputs(".TP\n", stdout);
    if (def->letter != 0)
        put_bold("-", letter);
    for (int i = 0; i < 2 && def->longs[i] != NULL; i++) {
        fputs(def->letter != 0 || i > 0 ? ", " : "", stdout);
        put_bold("--", def->longs[i]);
    }
    fputs(def->attached_only ? "[" : "", stdout);
    put_placeholder(def, '=');
    fputs(def->attached_only ? "]\n" : "\n", stdout);
    put_help(def);
    put_values(def);
    put_sources(def);
}

static void put_options(void)
{
    const char *title;
    for (enum option_section s = 0; (title = option_section_title(s)) != NULL; s++) {
        const struct option_def *def;
        bool titled = false;
        for (int id = 0; (def = next(&id, is_argument)) != NULL;) {
            if (def->section != s)
                continue;
            if (!titled) {
                fputs(".SS ", stdout);
                put_roff(title);
                putchar('\n');
            }
            titled = true;
            put_argument(def);
        }
    }
}

static void put_settings(void)
{
    const struct option_def *def;
    for (int id = 0; (def = next(&id, is_setting)) != NULL;) {
        fputs(".TP\n", stdout);
        put_bold("", def->name);
        put_placeholder(def, ':');
        putchar('\n');
        put_help(def);
        put_values(def);
    }
}

static void put_keys(void)
{
    const struct option_def *def;
    for (int id = 0; (def = next(&id, is_key)) != NULL;) {
        fputs(".TP\n", stdout);
        put_bold("", def->key);
        put_placeholder(def, ' ');
        putchar('\n');
        put_help(def);
        put_values(def);
        if (def->longs[0] != NULL) {
            fputs("On the command line: ", stdout);
            put_bold("--", def->longs[0]);
            fputs(".\n", stdout);
        }
        if (def->setting) {
            fprintf(stdout, "%s the row of the settings table: ",
                    def->file_beats_settings ? "Stronger than" : "Weaker than");
            put_bold("", def->name);
            fputs(".\n", stdout);
        }
    }
}

static void put_environment(void)
{
    const struct option_def *def;
    for (int id = 0; (def = next(&id, is_variable)) != NULL;) {
        fputs(".TP\n", stdout);
        put_bold("", def->variable);
        put_placeholder(def, '=');
        fputs("\nAs ", stdout);
        put_bold("--", def->longs[0] == NULL ? def->name : def->longs[0]);
        fputs(".\n", stdout);
    }
}

static void put_line(const char *line)
{
    static const struct {
        const char *name, *text;
    } words[] = {{"@VERSION@", PACKAGE_VERSION}, {"@SYSCONFDIR@", SYSCONFDIR}};
    for (const char *p = line; *p != '\0'; p++) {
        bool found = strncmp(p, "@PROGRAM@", strlen("@PROGRAM@")) == 0;
        if (found) {
            put_roff(program);
            p += strlen("@PROGRAM@") - 1;
        }
        for (size_t i = 0; !found && i < ARRAY_LEN(words); i++) {
            found = strncmp(p, words[i].name, strlen(words[i].name)) == 0;
            if (found) {
                put_roff(words[i].text);
                p += strlen(words[i].name) - 1;
            }
        }
        if (!found)
            putchar(*p);
    }
}

static int put_manual(const char *template)
{
    static const struct {
        const char *line;
        void (*put)(void);
    } places[] = {{"@options@\n", put_options},
                  {"@settings@\n", put_settings},
                  {"@keys@\n", put_keys},
                  {"@environment@\n", put_environment}};
    char line[4096];
    FILE *in = fopen(template, "re");
    if (in == NULL) {
        perror(template);
        return EX_NOINPUT;
    }
    while (fgets(line, sizeof(line), in) != NULL) {
        size_t i = 0;
        while (i < ARRAY_LEN(places) && strcmp(line, places[i].line) != 0)
            i++;
        if (i < ARRAY_LEN(places))
            places[i].put();
        else if (strncmp(line, ".\\\"", 3) != 0)
            put_line(line);
    }
    fclose(in);
    return EX_OK;
}

/* ---- completions ---- */

/* The program's name as a part of a function's name. */
static void put_identifier(void)
{
    for (const char *p = program; *p != '\0'; p++)
        putchar(isalnum((unsigned char)*p) ? *p : '_');
}

static void put_value_words(const struct option_def *def)
{
    if (def->type == OPTION_TYPE_BOOLEAN)
        fputs("on off", stdout);
    for (const struct option_word *w = def->words; w != NULL && w->word != NULL; w++)
        printf("%s%s", w == def->words ? "" : " ", w->word);
}

static void put_setting_names(const char *behind)
{
    const struct option_def *def;
    const char *between = "";
    for (int id = 0; (def = next(&id, is_setting)) != NULL; between = " ")
        printf("%s%s%s", between, def->name, behind);
}

static void put_bash_pattern(const struct option_def *def)
{
    const char *between = "";
    if (def->letter != 0) {
        printf("-%c", def->letter);
        between = " | ";
    }
    for (int i = 0; i < 2 && def->longs[i] != NULL; i++, between = " | ")
        printf("%s--%s", between, def->longs[i]);
}

static void put_bash_values(void)
{
    const struct option_def *def;
    for (int id = 0; (def = next(&id, is_argument)) != NULL;) {
        if (!takes_value(def) || def->attached_only)
            continue;
        fputs("    ", stdout);
        put_bash_pattern(def);
        fputs(")\n", stdout);
        if (def->type == OPTION_TYPE_PATH) {
            fputs("        compopt -o filenames\n"
                  "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n",
                  stdout);
        } else if (def->type == OPTION_TYPE_NAMED) {
            fputs("        compopt -o nospace\n        mapfile -t COMPREPLY < <(compgen -W '",
                  stdout);
            put_setting_names(":");
            fputs("' -- \"$cur\")\n", stdout);
        } else if (def->type == OPTION_TYPE_BOOLEAN || def->type == OPTION_TYPE_WORD) {
            fputs("        mapfile -t COMPREPLY < <(compgen -W '", stdout);
            put_value_words(def);
            fputs("' -- \"$cur\")\n", stdout);
        }
        fputs("        return\n        ;;\n", stdout);
    }
}

static void put_bash(void)
{
    const struct option_def *def;
    printf("# bash completion of %s\n_", program);
    put_identifier();
    fputs("_complete() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    # \"=\" is a word of its own.\n"
          "    if [[ $cur == = ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == = ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    case $prev in\n",
          stdout);
    put_bash_values();
    fputs("    esac\n    mapfile -t COMPREPLY < <(compgen -W '", stdout);
    for (int id = 0; (def = next(&id, is_argument)) != NULL;) {
        if (def->letter != 0)
            printf("-%c ", def->letter);
        for (int i = 0; i < 2 && def->longs[i] != NULL; i++)
            printf("--%s%s ", def->longs[i], takes_value(def) && !def->attached_only ? "=" : "");
    }
    fputs("' -- \"$cur\")\n"
          "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
          "    return 0\n"
          "}\n"
          "complete -F _",
          stdout);
    put_identifier();
    printf("_complete %s\n", program);
}

/* Text within single quotes, and within the brackets of _arguments. */
static void put_zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text) != NULL)
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void put_zsh_spelling(const struct option_def *def, const char *spelling, bool is_long)
{
    printf(" \\\n    '%s", def->type == OPTION_TYPE_NAMED ? "*" : "");
    fputs(spelling, stdout);
    if (takes_value(def))
        fputs(def->attached_only ? "=-" : is_long ? "=" : "+", stdout);
    putchar('[');
    put_zsh_text(def->help);
    putchar(']');
    if (takes_value(def)) {
        fputs(def->attached_only ? "::" : ":", stdout);
        put_zsh_text(def->placeholder == NULL ? def->name : def->placeholder);
        putchar(':');
        if (def->type == OPTION_TYPE_PATH)
            fputs("_files", stdout);
        if (def->type == OPTION_TYPE_BOOLEAN || def->type == OPTION_TYPE_WORD) {
            putchar('(');
            put_value_words(def);
            putchar(')');
        }
        if (def->type == OPTION_TYPE_NAMED) {
            fputs("{compadd -S \"\" -- ", stdout);
            put_setting_names("\\:");
            putchar('}');
        }
    }
    putchar('\'');
}

static void put_zsh(void)
{
    const struct option_def *def;
    printf("#compdef %s\n_arguments -s", program);
    for (int id = 0; (def = next(&id, is_argument)) != NULL;) {
        char spelling[64];
        if (def->letter != 0) {
            snprintf(spelling, sizeof(spelling), "-%c", def->letter);
            put_zsh_spelling(def, spelling, false);
        }
        for (int i = 0; i < 2 && def->longs[i] != NULL; i++) {
            snprintf(spelling, sizeof(spelling), "--%s", def->longs[i]);
            put_zsh_spelling(def, spelling, true);
        }
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    int status = EX_OK;
    program = argc > 1 ? argv[1] : "";
    if (argc == 4 && strcmp(argv[2], "manual") == 0) {
        status = put_manual(argv[3]);
    } else if (argc == 3 && strcmp(argv[2], "bash") == 0) {
        put_bash();
    } else if (argc == 3 && strcmp(argv[2], "zsh") == 0) {
        put_zsh();
    } else {
        fputs("usage: describe PROGRAM manual TEMPLATE | bash | zsh\n", stderr);
        status = EX_USAGE;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? status : EX_IOERR;
}
