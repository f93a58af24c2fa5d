/* The outside of a simulator with planted faults: its arguments, and the seed a finding came
 * with, so that it can be run again.
 *
 *     PROGRAM --seeds FROM COUNT [--verbose] [--plant FAULT] */
#ifndef SIM_SEEDS_H
#define SIM_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

/* One run from a seed. plant: place in the program's list of faults. */
typedef void sim_run_seed(uint64_t seed, unsigned plant, bool is_verbose);

struct sim_program {
    const char *name;
    const char *const *plants; /* names of the faults; the first stands for none */
    unsigned plants_count;
    sim_run_seed *run;
};

/* Runs the seeds that the arguments ask for; the status to exit with. */
int sim_seeds_main(const struct sim_program *program, int argc, char **argv);

/* Ends the program: what was found, where, and how to find it again. */
_Noreturn void sim_seeds_fail(const char *file, int line, const char *what);

#endif
