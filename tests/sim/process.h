/* process.h - processes of the simulation: what a command of the plan does, without a kernel.
 *
 * Use:     p = process_start(argv, descriptor);  the descriptor rings when there is something to be looked at
 *          process_signal(p, signo);  process_input(p, bytes, len);
 *          process_drop(p);           when it is reaped */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct process_seen {
    struct buf output; /* printed and not read */
    bool closed;       /* no more output will come */
    bool exited;
    int status; /* as from waitpid(2) */
};

struct sim_process;

struct sim_process *sim_process_start(char *const *argv, int fd);
struct process_seen *sim_process_look(struct sim_process *p);
void sim_process_signal(struct sim_process *p, int signo);
void sim_process_input(struct sim_process *p, const char *bytes, size_t len);
void sim_process_close_input(struct sim_process *p);
void sim_process_drop(struct sim_process *p);
size_t sim_processes(void);

#endif
