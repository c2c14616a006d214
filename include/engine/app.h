/* engine/app.h - the program: what is started in which order, and stopped in the reverse one.
 *
 * Why:     there is one way up and one way down, whatever ends the cycle: its own end, the deadline, a
 *          signal, or something that could not be started.
 * Threads: main thread.
 */
#ifndef SPINE_ENGINE_APP_H
#define SPINE_ENGINE_APP_H

#include <stdbool.h>

struct app_end {
    int status;   /* sysexits */
    int signo;    /* the process is to end by this signal; 0 = none */
    bool at_once; /* by _exit(): a thread hangs in a library, nothing may be torn down */
};

struct app_end app_main(int argc, char **argv);

#endif
