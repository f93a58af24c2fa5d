/* Reads the kernel's counters. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "tests/bench/proc.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

void proc_pin(int64_t cpu)
{
    cpu_set_t set;

    if (cpu < 0) {
        return;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        bench_die("cannot run on core %" PRId64, cpu);
    }
}

/* Ticks of /proc/<pid>/stat are 10 ms: too coarse for short runs. */
uint64_t proc_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec time;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        bench_die("cannot read the CPU time of process %d", (int)pid);
    }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void read_ticks(pid_t pid, uint64_t *user, uint64_t *system)
{
    char name[64];
    char text[1024];

    (void)snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(name, "r");
    const char *end = NULL;
    if (file != NULL && fgets(text, sizeof text, file) != NULL) {
        end = strrchr(text, ')'); /* the name before it may hold anything */
    }
    if (end == NULL ||
        sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, user,
               system) != 2) {
        bench_die("cannot read %s", name);
    }
    (void)fclose(file);
}

uint64_t proc_status_kib(pid_t pid, const char *key)
{
    char name[64];
    char line[256];
    uint64_t kib = 0;

    (void)snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        bench_die("cannot read %s", name);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            (void)sscanf(line + strlen(key), "%" SCNu64, &kib);
        }
    }
    (void)fclose(file);
    return kib;
}

void proc_measure_begin(struct proc_measure *measure, int64_t pid)
{
    *measure = (struct proc_measure){.pid = (pid_t)pid};
    if (pid == 0) {
        bench_die("pid= of the server is missing");
    }
    read_ticks(measure->pid, &measure->user_ticks, &measure->system_ticks);
    measure->own_cpu_ns = proc_cpu_ns(getpid());
    measure->started_ns = bench_now_ns();
    measure->cpu_ns = proc_cpu_ns(measure->pid);
}

void proc_measure_report(const struct proc_measure *measure, const char *name, uint64_t messages,
                         uint64_t bytes, uint64_t requests, const struct histogram *histogram)
{
    double cpu = (double)(proc_cpu_ns(measure->pid) - measure->cpu_ns) / 1e9;
    double seconds = (double)(bench_now_ns() - measure->started_ns) / 1e9;
    double own = (double)(proc_cpu_ns(getpid()) - measure->own_cpu_ns) / 1e9;
    uint64_t user = 0;
    uint64_t system = 0;

    read_ticks(measure->pid, &user, &system);
    user -= measure->user_ticks;
    system -= measure->system_ticks;
    printf("{\"case\": \"%s\", \"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"requests\": %" PRIu64 ", \"seconds\": %.6f, \"server_cpu_s\": %.6f, "
           "\"server_user_share\": %.3f, \"client_cpu_s\": %.6f, ",
           name, messages, bytes, requests, seconds, cpu,
           user + system == 0 ? 0 : (double)user / (double)(user + system), own);
    printf("\"messages_per_s\": %.1f, \"mb_per_s\": %.3f, \"cpu_s_per_gb\": %.4f, "
           "\"cpu_s_per_million\": %.4f, \"cpu_us_per_request\": %.3f, ",
           (double)messages / seconds, (double)bytes / 1e6 / seconds,
           bytes == 0 ? 0 : cpu / ((double)bytes / 1e9),
           messages == 0 ? 0 : cpu / ((double)messages / 1e6),
           requests == 0 ? 0 : cpu * 1e6 / (double)requests);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"rss_kib\": %" PRIu64 "}\n",
           histogram_us(histogram, 0.5), histogram_us(histogram, 0.99),
           histogram_us(histogram, 0.999), proc_status_kib(measure->pid, "VmRSS:"));
}
