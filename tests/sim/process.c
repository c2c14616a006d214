#include "config.h"

#include "process.h"

#include "sim.h"

#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOOD_BYTES = 3000000, MS = 1000 };

enum act { ACT_PRINT, ACT_HALF, ACT_FLOOD, ACT_CLOSE, ACT_EXIT, ACT_DIE, ACT_READY, ACT_NAN };

struct sim_process {
    struct process_seen seen;
    int fd; /* -1: dropped */
    enum plan_script script;
    bool server, says_late;
    unsigned number;
    int death; /* the signal of which it dies; 0: it lives */
    size_t pending;
    struct buf input;
    uint64_t luck;
};

/* What it does at some time. */
struct plan_act {
    struct sim_process *p;
    enum act act;
};

static size_t alive;

size_t sim_processes(void)
{
    return alive;
}

static int64_t chance_us(struct sim_process *p, int64_t low, int64_t high)
{
    p->luck = plan_mix(p->luck, 9);
    return low + (int64_t)(p->luck % (uint64_t)(high - low + 1));
}

static void free_if_done(struct sim_process *p)
{
    if (p->fd >= 0 || p->pending > 0)
        return;
    buf_done(&p->seen.output);
    buf_done(&p->input);
    free(p);
}

static void act_out(struct sim_process *p, enum act act)
{
    struct process_seen *s = &p->seen;
    bool talks = !s->closed && p->death == 0;
    switch (act) {
    case ACT_PRINT:
        if (talks)
            buf_printf(&s->output, "%u\n", p->number);
        break;
    case ACT_NAN:
        if (talks)
            buf_puts(&s->output, "no number\n");
        break;
    case ACT_HALF:
        if (talks)
            buf_puts(&s->output, "12");
        break;
    case ACT_READY:
        if (talks)
            buf_puts(&s->output, "PHP Script Server has Started - Parent is spine\n");
        break;
    case ACT_FLOOD:
        for (size_t i = 0; talks && i < FLOOD_BYTES / 100; i++)
            buf_printf(&s->output, "%099d\n", 7);
        break;
    case ACT_CLOSE: s->closed = true; break;
    case ACT_EXIT:
        if (!s->exited)
            s->status = 0;
        s->exited = true;
        break;
    case ACT_DIE:
        s->closed = true;
        if (!s->exited)
            s->status = p->death;
        s->exited = true;
        break;
    }
}

static void on_act(void *arg)
{
    struct plan_act *a = arg;
    struct sim_process *p = a->p;
    enum act act = a->act;
    free(a);
    p->pending--;
    if (p->fd < 0) {
        free_if_done(p);
        return;
    }
    act_out(p, act);
    sim_bell_set(p->fd, true);
}

static void act_in(struct sim_process *p, int64_t us, enum act act)
{
    struct plan_act *a = mem_zalloc(1, sizeof(*a));
    *a = (struct plan_act){p, act};
    p->pending++;
    sim_at(sim_now_us() + us, on_act, a);
}

static void read_command(struct sim_process *p, const char *command)
{
    static const char *const words[PLAN_SCRIPTS] = {
        [SCRIPT_GOOD] = "good",   [SCRIPT_SILENT] = "silent", [SCRIPT_NAN] = "nan",
        [SCRIPT_HANGS] = "hangs", [SCRIPT_STUCK] = "stuck",   [SCRIPT_LATE] = "late",
        [SCRIPT_OPEN] = "open",   [SCRIPT_FLOODS] = "floods", [SCRIPT_HALF] = "half"};
    char word[16];
    SIM_CHECK(sscanf(command, "%15s %u", word, &p->number) == 2, "a command: %s", command);
    int i = 0;
    while (i < PLAN_SCRIPTS && strcmp(words[i], word) != 0)
        i++;
    SIM_CHECK(i < PLAN_SCRIPTS, "a command: %s", command);
    p->script = (enum plan_script)i;
}

static void leave(struct sim_process *p, int64_t us)
{
    act_in(p, us + chance_us(p, 0, 30 * MS), ACT_CLOSE);
    act_in(p, us + chance_us(p, 0, 30 * MS), ACT_EXIT);
}

static void begin_script(struct sim_process *p)
{
    int64_t us = chance_us(p, 1 * MS, 300 * MS);
    switch (p->script) {
    case SCRIPT_GOOD:
        act_in(p, us, ACT_PRINT);
        leave(p, us + 1);
        break;
    case SCRIPT_NAN:
        act_in(p, us, ACT_NAN);
        leave(p, us + 1);
        break;
    case SCRIPT_SILENT: leave(p, us); break;
    case SCRIPT_OPEN:
        act_in(p, us, ACT_PRINT);
        act_in(p, us + 1 * MS, ACT_EXIT);
        break;
    case SCRIPT_FLOODS: act_in(p, us, ACT_FLOOD); break;
    case SCRIPT_HALF: act_in(p, us, ACT_HALF); break;
    case SCRIPT_LATE: p->says_late = true; break;
    case SCRIPT_HANGS:
    case SCRIPT_STUCK:
    case PLAN_SCRIPTS: break;
    }
}

struct sim_process *sim_process_start(char *const *argv, int fd)
{
    struct sim_process *p = mem_zalloc(1, sizeof(*p));
    const char *last = argv[0];
    for (char *const *a = argv; *a != NULL; a++) {
        p->server |= strstr(*a, "script_server.php") != NULL;
        last = *a;
    }
    alive++;
    p->fd = fd;
    if (p->server) {
        p->luck = plan_mix(sim_plan()->seed, 4); /* not the order of starts */
        act_in(p, chance_us(p, 5 * MS, 200 * MS), ACT_READY);
    } else {
        read_command(p, last);
        p->luck = plan_mix(sim_plan()->seed, p->number);
        begin_script(p);
    }
    return p;
}

struct process_seen *sim_process_look(struct sim_process *p)
{
    return &p->seen;
}

void sim_process_signal(struct sim_process *p, int signo)
{
    if (p->death != 0 || (p->seen.exited && p->seen.closed))
        return;
    if (signo == SIGTERM && p->script == SCRIPT_STUCK)
        return;
    if (signo == SIGTERM && p->says_late)
        act_out(p, ACT_PRINT);
    p->death = signo;
    act_in(p, chance_us(p, 50, 3 * MS), ACT_DIE);
}

/* ---- a script server ---- */

static void answer_line(struct sim_process *p, char *line)
{
    line[strcspn(line, "\r")] = '\0';
    while (*line == ' ')
        line++;
    if (strcmp(line, "quit") == 0) {
        leave(p, 1 * MS);
        return;
    }
    read_command(p, line);
    int64_t us = chance_us(p, 1 * MS, 100 * MS);
    switch (p->script) {
    case SCRIPT_GOOD: act_in(p, us, ACT_PRINT); break;
    case SCRIPT_NAN: act_in(p, us, ACT_NAN); break;
    case SCRIPT_OPEN: leave(p, us); break; /* it ends instead of answering */
    case SCRIPT_HALF: act_in(p, us, ACT_HALF); break;
    case SCRIPT_FLOODS: act_in(p, us, ACT_FLOOD); break;
    case SCRIPT_LATE:
        act_in(p, (sim_plan()->script_timeout_s * INT64_C(1000) - 2) * MS, ACT_PRINT);
        break;
    case SCRIPT_SILENT:
    case SCRIPT_HANGS:
    case SCRIPT_STUCK:
    case PLAN_SCRIPTS: break;
    }
}

void sim_process_input(struct sim_process *p, const char *bytes, size_t len)
{
    const char *end;
    if (p->death != 0 || p->seen.exited)
        return;
    buf_append(&p->input, bytes, len);
    while ((end = memchr(buf_str(&p->input), '\n', p->input.len)) != NULL) {
        char line[1100];
        size_t n = (size_t)(end - p->input.data);
        snprintf(line, sizeof(line), "%.*s", (int)n, p->input.data);
        memmove(p->input.data, end + 1, p->input.len - n - 1);
        buf_truncate(&p->input, p->input.len - n - 1);
        answer_line(p, line);
    }
}

void sim_process_close_input(struct sim_process *p)
{
    if (p->death == 0 && !p->seen.exited)
        leave(p, 2 * MS);
}

void sim_process_drop(struct sim_process *p)
{
    SIM_CHECK(p->seen.exited, "a process is forgotten that lives");
    alive--;
    p->fd = -1;
    free_if_done(p);
}
