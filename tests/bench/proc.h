/* What a process used, as the kernel counts it, and the report of one case. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>

#include "tests/bench/histogram.h"

/* Pins the calling process; cpu -1 does nothing. */
void proc_pin(int64_t cpu);

/* CPU time of all threads of a process, to the nanosecond. */
uint64_t proc_cpu_ns(pid_t pid);

/* A line of /proc/<pid>/status in KiB, as "VmRSS:". */
uint64_t proc_status_kib(pid_t pid, const char *key);

/* The server's counters at the start of what is measured. Plain value. */
struct proc_measure {
    pid_t pid;
    uint64_t started_ns;
    uint64_t cpu_ns;
    uint64_t user_ticks;
    uint64_t system_ticks;
    uint64_t own_cpu_ns;
};

void proc_measure_begin(struct proc_measure *measure, int64_t pid);

/* Prints one line of JSON: throughput, the server's CPU time, latencies, memory. messages
 * and bytes: what was moved since begin. */
void proc_measure_report(const struct proc_measure *measure, const char *name, uint64_t messages,
                         uint64_t bytes, uint64_t requests, const struct histogram *histogram);

#endif
