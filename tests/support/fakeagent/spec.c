#include "spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DELAY = 3600000 }; /* ms */

static const char *const blanks = " \t\r\n";

__attribute__((format(printf, 2, 3))) static bool fail(struct spec *s, const char *format, ...)
{
    char message[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    snprintf(s->error, sizeof s->error, "%.80s:%d: %s", s->file, s->line, message);
    return false;
}

/* ---- small pieces of text ---- */

/* Cuts the next word off *rest; NULL at the end. */
static char *word(char **rest)
{
    char *start = *rest + strspn(*rest, blanks);
    if (*start == '\0')
        return NULL;
    char *end = start + strcspn(start, blanks);
    *rest = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return start;
}

/* A '#' at the start of a word, outside quotes, ends the line. */
static void strip(char *text)
{
    bool quoted = false;
    for (char *p = text; *p != '\0'; p++) {
        if (quoted && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (*p == '#' && !quoted && (p == text || strchr(blanks, p[-1]) != NULL))
            *p = '\0';
        if (*p == '\0')
            break;
    }
    size_t len = strlen(text);
    while (len > 0 && strchr(blanks, text[len - 1]) != NULL)
        text[--len] = '\0';
}

/* An unsigned number of at most max that ends at one of the characters in stop; *text moves behind
 * it. */
static bool number(const char **text, const char *stop, uint64_t max, uint64_t *value)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    unsigned long long v = strtoull(*text, &end, 0);
    if (errno != 0 || v > max || (*end != '\0' && strchr(stop, *end) == NULL))
        return false;
    *value = v;
    *text = end;
    return true;
}

static bool whole_number(const char *text, uint64_t max, uint64_t *value)
{
    return number(&text, "", max, value);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Hex digits, blanks and colons between the bytes allowed, decoded in place. */
static bool unhex(char *text, size_t *len)
{
    uint8_t *out = (uint8_t *)text;
    *len = 0;
    while (*text != '\0') {
        if (*text == ':' || *text == ' ' || *text == '\t') {
            text++;
            continue;
        }
        int hi = hex_digit(text[0]);
        int lo = hi >= 0 ? hex_digit(text[1]) : -1;
        if (lo < 0)
            return false;
        out[(*len)++] = (uint8_t)(hi << 4 | lo);
        text += 2;
    }
    return true;
}

/* Takes the quotes and backslash escapes off, in place. A text without quotes is taken as it is. */
static bool unquote(char *text, size_t *len)
{
    *len = strlen(text);
    if (text[0] != '"')
        return true;
    char *out = text, *in = text + 1;
    for (; *in != '"'; in++) {
        if (*in == '\\' && *++in == 'x') {
            int hi = hex_digit(in[1]);
            int lo = hi >= 0 ? hex_digit(in[2]) : -1;
            if (lo < 0)
                return false;
            *out++ = (char)(hi << 4 | lo);
            in += 2;
            continue;
        }
        if (*in == '\0')
            return false;
        bool escaped = in[-1] == '\\';
        *out++ = escaped && *in == 'n' ? '\n' : escaped && *in == 't' ? '\t' : *in;
        if (escaped && *in == '\\')
            in[0] = ' '; /* so that it does not escape what follows */
    }
    *len = (size_t)(out - text);
    return in[1] == '\0';
}

/* ---- objects ---- */

/* Dotted numbers, with or without a dot in front. */
static bool parse_oid(const char *text, uint32_t arcs[OID_MAX_ARCS], size_t *n)
{
    *n = 0;
    do {
        uint64_t arc;
        if (*text == '.')
            text++;
        if (*n == OID_MAX_ARCS || !number(&text, ".", UINT32_MAX, &arc))
            return false;
        arcs[(*n)++] = (uint32_t)arc;
    } while (*text == '.');
    return *n >= 2 && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40);
}

/* "@name", "@name*FACTOR", "@name+OFFSET", "@name*FACTOR-OFFSET" */
static bool parse_generator(const char *text, struct value *v)
{
    static const struct {
        const char *name;
        enum gen gen;
    } gens[] = {{"@addr", GEN_ADDR},
                {"@mix", GEN_MIX},
                {"@reqs", GEN_REQS},
                {"@uptime", GEN_UPTIME},
                {"@last", GEN_LAST}};
    size_t len = strcspn(text, "*+-");
    for (size_t i = 0; i < sizeof gens / sizeof *gens; i++)
        if (strlen(gens[i].name) == len && memcmp(gens[i].name, text, len) == 0)
            v->gen = gens[i].gen;
    if (v->gen == GEN_CONST)
        return false;
    text += len;
    if (*text == '*') {
        text++;
        if (!number(&text, "+-", UINT64_MAX, &v->factor))
            return false;
    }
    if (*text == '\0')
        return true;
    bool minus = *text == '-';
    if (!whole_number(text + 1, UINT64_MAX, &v->offset))
        return false;
    if (minus)
        v->offset = 0 - v->offset;
    return true;
}

static bool parse_number(const char *text, struct value *v)
{
    static const uint64_t limits[T_COUNT] = {
        [T_INT] = INT32_MAX,
        [T_COUNTER32] = UINT32_MAX,
        [T_GAUGE32] = UINT32_MAX,
        [T_TIMETICKS] = UINT32_MAX,
        [T_FILL] = ANSWER_MAX,
        [T_COUNTER64] = UINT64_MAX,
        [T_OPAQUE_COUNTER64] = UINT64_MAX,
        [T_OPAQUE_UINT64] = UINT64_MAX,
        [T_OPAQUE_INT64] = INT64_MAX,
    };
    if (*text == '@')
        return v->type != T_FILL && parse_generator(text, v);
    bool minus = *text == '-' && (v->type == T_INT || v->type == T_OPAQUE_INT64);
    if (!whole_number(text + minus, limits[v->type] + minus, &v->number))
        return false;
    if (minus)
        v->number = 0 - v->number;
    return true;
}

static bool parse_real(const char *text, struct value *v)
{
    char *end;
    if (*text == '@')
        return parse_generator(text, v);
    v->real = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool parse_string(char *text, struct value *v)
{
    if (!unquote(text, &v->len))
        return false;
    for (size_t i = 0; i < v->len; i++) {
        if (text[i] != '@')
            continue;
        size_t n = text_generator(text + i + 1, v->len - i - 1);
        if (n == 0)
            return false;
        v->template_text = true;
        i += n;
    }
    return true;
}

static bool parse_raw(char *text, struct value *v)
{
    char *tag = word(&text);
    size_t n;
    if (tag == NULL || strlen(tag) != 2 || !unhex(tag, &n))
        return false;
    v->raw_tag = (uint8_t)tag[0];
    memmove(tag, text, strlen(text) + 1);
    return unhex(tag, &v->len);
}

/* text is what follows the type; on success v->bytes may be it. */
static bool parse_value(char *text, struct value *v)
{
    struct in_addr in;
    uint32_t arcs[OID_MAX_ARCS];
    uint8_t oid[OID_MAX_BYTES];
    size_t n;
    switch (v->type) {
    case T_NULL:
    case T_NOSUCHOBJECT:
    case T_NOSUCHINSTANCE:
    case T_ENDOFMIB:
    case T_MUTE: return *text == '\0';
    case T_STRING:
        if (!parse_string(text, v))
            return false;
        break;
    case T_HEX:
        if (!unhex(text, &v->len))
            return false;
        break;
    case T_RAW:
        if (!parse_raw(text, v))
            return false;
        break;
    case T_OID:
        if (!parse_oid(text, arcs, &n))
            return false;
        v->len = ber_oid_encode(arcs, n, oid);
        v->bytes = must_copy(oid, v->len);
        return true;
    case T_IPADDRESS:
        if (*text == '@')
            return parse_generator(text, v);
        if (inet_pton(AF_INET, text, &in) != 1)
            return false;
        v->number = ntohl(in.s_addr);
        return true;
    case T_OPAQUE_FLOAT:
    case T_OPAQUE_DOUBLE: return parse_real(text, v);
    default: return parse_number(text, v);
    }
    v->bytes = must_copy(text, v->len);
    return true;
}

/* Adds the objects of an OID whose arcs may be ranges, {FIRST-LAST}. */
static bool add_range(struct spec *s, const char *text, uint32_t arcs[OID_MAX_ARCS], size_t n,
                      const struct value *v)
{
    while (*text != '\0') {
        uint64_t first, last;
        if (*text == '.')
            text++;
        if (n == OID_MAX_ARCS)
            return fail(s, "OID too long");
        if (*text != '{') {
            if (!number(&text, ".", UINT32_MAX, &first))
                return fail(s, "not an OID");
            arcs[n++] = (uint32_t)first;
            continue;
        }
        text++;
        if (!number(&text, "-", UINT32_MAX, &first) || *text++ != '-' ||
            !number(&text, "}", UINT32_MAX, &last) || *text++ != '}' || last < first)
            return fail(s, "a range is {FIRST-LAST}");
        for (uint64_t i = first; i <= last; i++) {
            arcs[n] = (uint32_t)i;
            if (!add_range(s, text, arcs, n + 1, v))
                return false;
        }
        return true;
    }
    if (n < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] >= 40))
        return fail(s, "not an OID");
    if (s->current->n >= SPEC_MAX_OBJECTS)
        return fail(s, "more than %d objects in one set", SPEC_MAX_OBJECTS);
    set_add(s->current, arcs, n, v);
    return true;
}

static bool object_line(struct spec *s, char *rest)
{
    uint32_t arcs[OID_MAX_ARCS];
    char *oid = word(&rest);
    char *type = oid != NULL ? word(&rest) : NULL;
    if (type == NULL)
        return fail(s, "object OID TYPE VALUE");
    struct value *v = must_realloc(NULL, sizeof *v);
    *v = (struct value){.type = T_COUNT, .factor = 1};
    for (int t = 0; t < T_COUNT; t++)
        if (strcmp(value_type_names[t], type) == 0)
            v->type = (enum type)t;
    if (v->type == T_COUNT) {
        free(v);
        return fail(s, "unknown type '%s'", type);
    }
    rest += strspn(rest, blanks);
    if (!parse_value(rest, v)) {
        free(v);
        return fail(s, "not a value of type %s", type);
    }
    value_prepare(v);
    v->kept = s->farm->values;
    s->farm->values = v;
    return add_range(s, oid, arcs, 0, v);
}

/* Copies another set's objects into the current one. */
static bool use_line(struct spec *s, char *rest)
{
    char *name = word(&rest);
    struct set *other = name != NULL ? set_get(s->farm, name, false) : NULL;
    if (other == NULL || other == s->current)
        return fail(s, "use NAME: of a set that exists");
    for (size_t i = 0; i < other->n; i++)
        set_add(s->current, other->objects[i].arcs, other->objects[i].n, other->objects[i].value);
    return true;
}

/* ---- agents ---- */

static bool community_option(struct behaviour *b, const char *text)
{
    b->any_community = strcmp(text, "*") == 0;
    b->community_len = strlen(text);
    if (b->community_len > MAX_COMMUNITY)
        return false;
    memcpy(b->community, text, b->community_len + 1);
    return true;
}

static int name_index(const char *text, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

static bool loss_option(struct behaviour *b, const char *text)
{
    char *end;
    b->loss = strtod(text, &end);
    return end != text && *end == '\0' && b->loss >= 0 && b->loss <= 1;
}

static bool delay_option(struct behaviour *b, const char *text)
{
    uint64_t min, max;
    if (!number(&text, "-", MAX_DELAY, &min))
        return false;
    max = min;
    if (*text == '-' && !whole_number(text + 1, MAX_DELAY, &max))
        return false;
    b->delay_min = (uint32_t)min;
    b->delay_max = (uint32_t)max;
    return min <= max;
}

/* "A", "A-B" or "A-" (without an end) */
static bool during_option(struct behaviour *b, const char *text)
{
    if (!number(&text, "-", UINT64_MAX, &b->during_first))
        return false;
    b->during_last = *text == '\0' ? b->during_first : UINT64_MAX;
    if (*text == '-' && text[1] != '\0' && !whole_number(text + 1, UINT64_MAX, &b->during_last))
        return false;
    return b->during_first <= b->during_last;
}

static bool truncate_option(struct behaviour *b, const char *text)
{
    uint64_t n = 0;
    b->truncate = strcmp(text, "sweep") == 0 ? TRUNCATE_SWEEP : TRUNCATE_AT;
    if (b->truncate == TRUNCATE_AT && !whole_number(text, ANSWER_MAX, &n))
        return false;
    b->truncate_at = (uint32_t)n;
    return true;
}

static bool error_option(struct behaviour *b, const char *text)
{
    static const char *const names[] = {"noError",
                                        "tooBig",
                                        "noSuchName",
                                        "badValue",
                                        "readOnly",
                                        "genErr",
                                        "noAccess",
                                        "wrongType",
                                        "wrongLength",
                                        "wrongEncoding",
                                        "wrongValue",
                                        "noCreation",
                                        "inconsistentValue",
                                        "resourceUnavailable",
                                        "commitFailed",
                                        "undoFailed",
                                        "authorizationError",
                                        "notWritable",
                                        "inconsistentName",
                                        NULL};
    char status[32];
    uint64_t n, index = 0;
    size_t len = strcspn(text, ":");
    if (len >= sizeof status)
        return false;
    memcpy(status, text, len);
    status[len] = '\0';
    b->error = name_index(status, names);
    if (b->error < 0) {
        if (!whole_number(status, INT32_MAX, &n))
            return false;
        b->error = (int32_t)n;
    }
    if (text[len] == ':' && !whole_number(text + len + 1, INT32_MAX, &index))
        return false;
    b->error_index = (int32_t)index;
    return true;
}

enum option_kind { O_FLAG, O_U32, O_U64, O_PAIR, O_NAME, O_SET, O_CALL };

#define FIELD(field) .offset = offsetof(struct behaviour, field)
#define CALL(f)      .kind = O_CALL, .call = f
#define NAMES(...)                                                                                 \
    .kind = O_NAME, .names = (const char *const[])                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
    uint64_t max;             /* of a number */
    const char *absent;       /* what stands for a missing "=VALUE"; NULL: it must be there */
    const char *const *names; /* O_NAME: the field, an int or enum, is an index into these */
    bool (*call)(struct behaviour *b, const char *text);
} options[] = {
    {"set", O_SET, FIELD(set)},
    {"community", CALL(community_option)},
    {"user", CALL(behaviour_user)},
    {"version", FIELD(version), NAMES("1", "2c")},
    {"missing", FIELD(missing), NAMES("auto", "object", "instance", "null", "nosuchname")},
    {"file-order", O_FLAG, FIELD(file_order)},
    {"max-size", O_U32, FIELD(max_size), ANSWER_MAX},
    {"toobig-above", O_U32, FIELD(toobig_above), UINT32_MAX},
    {"uptime", O_U64, FIELD(uptime), UINT64_MAX},
    {"seed", O_U64, FIELD(seed), UINT64_MAX},
    {"loss", CALL(loss_option)},
    {"drop-first", O_U64, FIELD(drop_first), UINT64_MAX},
    {"drop-pattern", O_PAIR, FIELD(drop_n)},
    {"die-after", O_U64, FIELD(die_after), UINT64_MAX},
    {"recover", O_U64, FIELD(recover), UINT64_MAX},
    {"delay", CALL(delay_option)},
    {"during", CALL(during_option)},
    {"share", O_PAIR, FIELD(share_n)},
    {"late", O_U32, FIELD(late), MAX_DELAY},
    {"duplicate", O_U32, FIELD(copies), 16, "2"},
    {"garbage", O_U32, FIELD(garbage), ANSWER_MAX, "64"},
    {"corrupt", O_U32, FIELD(corrupt), ANSWER_MAX, "1"},
    {"truncate", CALL(truncate_option)},
    {"other-source", FIELD(source), NAMES("own", "port", "addr"), .absent = "port"},
    {"error", CALL(error_option)},
    {"other-oid", O_U32, FIELD(other_oid), SNMP_MAX_VARBINDS, "1"},
    {"silent", O_FLAG, FIELD(silent)},
    {"wrong-id", O_FLAG, FIELD(wrong_id)},
    {"wrong-version", O_FLAG, FIELD(wrong_version)},
    {"wrong-community", O_FLAG, FIELD(wrong_community)},
    {"wrong-pdu", O_FLAG, FIELD(wrong_pdu)},
    {"reorder", O_FLAG, FIELD(reorder)},
    {"omit-first", O_FLAG, FIELD(omit_first)},
    {"omit-last", O_FLAG, FIELD(omit_last)},
    {"omit-after", O_U32, FIELD(omit_after), SNMP_MAX_VARBINDS},
    {"extra", O_FLAG, FIELD(extra)},
    {"zero-length", O_FLAG, FIELD(zero_length)},
    {"oversized", O_FLAG, FIELD(oversized)},
    {"stuck", O_FLAG, FIELD(stuck)},
    {"long-lengths", O_FLAG, FIELD(long_lengths)},
};

static bool apply(struct spec *s, struct behaviour *b, const struct option *o, const char *text)
{
    char *field = (char *)b + o->offset;
    uint64_t n, of;
    int i;
    switch (o->kind) {
    case O_FLAG: *(bool *)field = true; return true;
    case O_U32:
    case O_U64:
        if (!whole_number(text, o->max, &n))
            return false;
        memcpy(field, o->kind == O_U32 ? (void *)&(uint32_t){(uint32_t)n} : &n,
               o->kind == O_U32 ? sizeof(uint32_t) : sizeof n);
        return true;
    case O_PAIR: /* "N/M", two fields in a row */
        if (!number(&text, "/", UINT64_MAX, &n) || *text != '/' ||
            !whole_number(text + 1, UINT64_MAX, &of) || of == 0)
            return false;
        memcpy(field, (uint64_t[]){n, of}, 2 * sizeof n);
        return true;
    case O_NAME:
        i = name_index(text, o->names);
        memcpy(field, &i, sizeof i);
        return i >= 0;
    case O_SET: b->set = set_get(s->farm, text, false); return b->set != NULL;
    case O_CALL: return o->call(b, text);
    }
    return false;
}

static bool agent_option(struct spec *s, struct behaviour *b, char *text)
{
    char *value = strchr(text, '=');
    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const struct option *o = &options[i];
        if (strcmp(o->name, text) != 0)
            continue;
        if (o->kind == O_FLAG && value != NULL)
            return fail(s, "option %s takes no value", text);
        if (o->kind != O_FLAG && value == NULL && o->absent == NULL)
            return fail(s, "option %s needs a value", text);
        if (!apply(s, b, o, value != NULL ? value : o->absent))
            return fail(s, "option %s: bad value '%s'", text, value != NULL ? value : o->absent);
        return true;
    }
    return fail(s, "unknown option '%s'", text);
}

/* "A" or "A-B" within 127.0.0.0/8, or "::1" */
static bool parse_addresses(const char *text, uint32_t *first, uint32_t *last)
{
    char a[INET_ADDRSTRLEN] = "";
    struct in_addr in;
    if (strcmp(text, "::1") == 0) {
        *first = *last = ADDR_V6_LOOPBACK;
        return true;
    }
    size_t len = strcspn(text, "-");
    if (len >= sizeof a)
        return false;
    memcpy(a, text, len);
    if (inet_pton(AF_INET, a, &in) != 1)
        return false;
    *first = *last = ntohl(in.s_addr);
    if (text[len] == '-') {
        if (inet_pton(AF_INET, text + len + 1, &in) != 1)
            return false;
        *last = ntohl(in.s_addr);
    }
    return *first >> 24 == 127 && *last >> 24 == 127 && *first <= *last;
}

static bool agent_line(struct spec *s, char *rest)
{
    uint32_t first, last;
    char *addresses = word(&rest);
    if (addresses == NULL || !parse_addresses(addresses, &first, &last))
        return fail(s, "agent 127.A.B.C[-127.A.B.C] or ::1, then options");
    struct behaviour b;
    behaviour_init(&b, set_get(s->farm, "default", true));
    b.since_ms = s->now_ms;
    for (char *text = word(&rest); text != NULL; text = word(&rest))
        if (!agent_option(s, &b, text))
            return false;
    if (s->farm->n + (last - first) > SPEC_MAX_AGENTS)
        return fail(s, "more than %d agents", SPEC_MAX_AGENTS);
    b.kept = s->farm->behaviours;
    const struct behaviour *kept = must_copy(&b, sizeof b);
    s->farm->behaviours = kept;
    for (uint64_t addr = first; addr <= last; addr++)
        agent_put(s->farm, (uint32_t)addr, kept);
    s->v6 |= first == ADDR_V6_LOOPBACK;
    return true;
}

/* ---- lines ---- */

static bool directive(struct spec *s, const char *name, char *rest)
{
    struct set *top = set_get(s->farm, "default", true);
    if (strcmp(name, "object") == 0)
        return object_line(s, rest);
    if (strcmp(name, "use") == 0)
        return use_line(s, rest);
    if (strcmp(name, "agent") == 0)
        return agent_line(s, rest);
    const char *argument = word(&rest);
    if (strcmp(name, "end") == 0) {
        s->current = top;
        return argument == NULL || fail(s, "end takes nothing");
    }
    if (argument == NULL || word(&rest) != NULL)
        return fail(s, "directive '%s': unknown, or not one argument", name);
    if (strcmp(name, "set") == 0) {
        s->current = set_get(s->farm, argument, true);
        return true;
    }
    if (strcmp(name, "log") == 0) {
        if (s->log_path != NULL)
            return fail(s, "there is a log already");
        s->log_path = must_copy(argument, strlen(argument) + 1);
        return true;
    }
    return fail(s, "unknown directive '%s'", name);
}

void spec_init(struct spec *s, struct farm *farm, const char *file)
{
    *s = (struct spec){.farm = farm, .file = file};
    s->current = set_get(farm, "default", true);
}

static bool take_line(struct spec *s, char *text)
{
    s->line++;
    strip(text);
    char *rest = text;
    const char *name = word(&rest);
    return name == NULL || directive(s, name, rest);
}

static void finish(struct spec *s)
{
    for (struct set *set = s->farm->sets; set != NULL; set = set->next)
        set_sort(set);
}

bool spec_line(struct spec *s, char *text)
{
    bool done = take_line(s, text);
    finish(s);
    return done;
}

bool spec_load(struct spec *s)
{
    FILE *f = fopen(s->file, "re");
    char *line = NULL;
    size_t size = 0;
    bool done = f != NULL || fail(s, "cannot open: %s", strerror(errno));
    while (done && getline(&line, &size, f) >= 0)
        done = take_line(s, line);
    if (done && s->current != set_get(s->farm, "default", true))
        done = fail(s, "set without end");
    free(line);
    if (f != NULL)
        fclose(f);
    finish(s);
    return done;
}
