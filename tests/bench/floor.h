/* What the parts of the floor share: the server's side, which runs in a process of its own. */
#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#include <stdint.h>

#include "tests/bench/bench.h"

/* The server's side of a measurement; ends when its connections do. */
typedef void floor_serve_fn(int listener, const struct bench_options *options);

/* Forks it, pinned to server_cpu. Returns its port, and a pipe for floor_result. The caller has
 * flushed stdout. */
int64_t floor_serve(floor_serve_fn *run, const struct bench_options *options, int *result_fd);

/* Waits until it has ended; returns the seconds of CPU time that it took. */
double floor_result(int result_fd);

/* The next connection, without Nagle's delay. */
int floor_accept(int listener);

/* Prints what an exchange of REST's sizes costs the server: received, answered, not looked at. */
void floor_exchange(const struct bench_options *options);

#endif
