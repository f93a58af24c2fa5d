/* An HTTP server on loopback whose answers are given beforehand, for clients of ours. */
#ifndef FUZZ_ANSWERER_H
#define FUZZ_ANSWERER_H

#include "core/base/slice.h"

enum { ANSWERER_ANSWERS_MAX = 8 };

/* Starts its thread, once; the port. */
int answerer_start(void);

/* The answers to the next requests, in order, each on a connection of its own; further requests
 * get none. One that does not begin with "HTTP/" is a body of a good answer. The bytes stay alive
 * until the next call, which waits for what is being sent. */
void answerer_set(const struct base_slice *answers, unsigned count);

/* Cuts an input at bytes 0x1e; how many. */
unsigned answerer_cut(struct base_slice input, struct base_slice answers[ANSWERER_ANSWERS_MAX]);

#endif
