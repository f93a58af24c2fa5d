#include "tests/sim/seeds.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"

struct arguments {
    uint64_t from;
    uint64_t count;
    unsigned plant;
    bool is_verbose;
};

/* Of the run under way, for whoever finds something. */
static const struct sim_program *program_now;
static uint64_t seed_now;
static unsigned plant_now;

static void print_seed(void)
{
    fprintf(stderr, "again with: %s --seeds %" PRIu64 " 1 --plant %s\n", program_now->name,
            seed_now, program_now->plants[plant_now]);
}

void sim_seeds_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "seed %" PRIu64 ": %s:%d: %s\n", seed_now, file, line, what);
    print_seed();
    if (getenv("SIM_ABORT") != NULL) {
        (void)signal(SIGABRT, SIG_DFL);
        abort(); /* for a debugger */
    }
    _exit(1);
}

/* An assertion of the broker itself. */
static void on_abort(int number)
{
    (void)number;
    print_seed();
    _exit(1);
}

static bool parse_plant(const struct sim_program *program, const char *name, unsigned *plant)
{
    for (unsigned i = 0; i < program->plants_count; i++) {
        if (strcmp(name, program->plants[i]) == 0) {
            *plant = i;
            return true;
        }
    }
    return false;
}

static bool parse_arguments(const struct sim_program *program, int argc, char **argv,
                            struct arguments *arguments)
{
    *arguments = (struct arguments){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            arguments->is_verbose = true;
        } else if (strcmp(argv[i], "--plant") == 0 && i + 1 < argc) {
            if (!parse_plant(program, argv[++i], &arguments->plant)) {
                return false;
            }
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
            arguments->from = strtoull(argv[++i], NULL, 10);
            arguments->count = strtoull(argv[++i], NULL, 10);
        } else {
            return false;
        }
    }
    return arguments->count > 0;
}

static void print_usage(const struct sim_program *program)
{
    fprintf(stderr, "usage: %s --seeds FROM COUNT [--verbose] [--plant ", program->name);
    for (unsigned i = 0; i < program->plants_count; i++) {
        fprintf(stderr, "%s%s", i == 0 ? "" : "|", program->plants[i]);
    }
    fprintf(stderr, "]\n");
}

int sim_seeds_main(const struct sim_program *program, int argc, char **argv)
{
    struct arguments arguments;

    if (!parse_arguments(program, argc, argv, &arguments)) {
        print_usage(program);
        return 2;
    }
    base_log_configure(getenv("SIM_LOG") != NULL ? BASE_LOG_TRACE : BASE_LOG_ERROR + 1,
                       BASE_LOG_LOGFMT);
    program_now = program;
    plant_now = arguments.plant;
    (void)signal(SIGABRT, on_abort);
    for (uint64_t i = 0; i < arguments.count; i++) {
        seed_now = arguments.from + i;
        program->run(seed_now, plant_now, arguments.is_verbose);
    }
    printf("%" PRIu64 " seeds\n", arguments.count);
    return 0;
}
