/* engine/app.h - the program: start order, choice of the driver, stop order.
 *
 * Threads: main thread.
 */
#ifndef SPINE_ENGINE_APP_H
#define SPINE_ENGINE_APP_H

/* Returns the exit status (sysexits), or -signo when the process is to end by that signal. */
int app_main(int argc, char **argv);

#endif
