/* Random life of one log against a model of it: appends, reads, trims, rolls, full disks,
 * failing syncs, killed processes and power cuts at any call of the io.
 *
 *     sim_log --seeds FROM COUNT
 *
 * What must hold: nothing below an offset that was reported durable is ever lost or
 * changed; nothing below written is lost when only the process dies; an offset never
 * gets another meaning once it was promised; producers' state survives; a flipped bit
 * never makes the log silently shorter. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "tests/sim/log_harness.h"

enum { BATCHES_MAX = 20000, PRODUCERS_COUNT = 4, ROUNDS_COUNT = 12, STEPS_MAX = 120 };

/* One batch as it was accepted. */
struct entry {
    int64_t base_offset;
    int64_t next_offset;
    int64_t producer_id; /* -1 none */
    int32_t base_sequence;
    int32_t records_count;
    int64_t timestamp_ms;
    uint8_t *bytes; /* owned */
    size_t length;
};

struct model {
    struct log_harness harness;
    struct sim_scheduler *scheduler;
    struct entry entries[BATCHES_MAX];
    uint32_t count;
    int64_t end_offset;
    int64_t durable_offset; /* largest that was reported */
    int64_t written_offset;
    int64_t start_asked; /* largest start that may be */
    int64_t start_acked; /* smallest start that must be */
    int32_t next_sequence[PRODUCERS_COUNT];
    bool has_retention;
    bool may_be_full;
    bool sync_may_fail; /* this round: then not even the written part is safe */
    bool was_full;      /* ever: a segment may have gone without a newer snapshot */
};

static uint64_t seed_now;

static void on_abort(int number)
{
    char line[64];
    (void)number;
    int length = snprintf(line, sizeof line, "FAILED: sim_log --seeds %" PRIu64 " 1\n", seed_now);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
    (void)ignored;
}

static uint64_t pick(struct model *model, uint64_t bound)
{
    return sim_random(model->scheduler, bound);
}

static bool chance(struct model *model, uint64_t one_in)
{
    return sim_chance(model->scheduler, one_in);
}

/* Takes note of what the log promises now. */
static void observe(struct model *model)
{
    struct log_harness *harness = &model->harness;

    if (harness->log == NULL || io_sim_has_crashed(harness->sim)) {
        return;
    }
    int64_t durable_offset = log_harness_durable(harness);
    int64_t written_offset = log_harness_written(harness);
    BASE_ASSERT(written_offset <= model->end_offset);
    BASE_ASSERT(durable_offset <= written_offset);
    BASE_ASSERT(durable_offset >= model->durable_offset);
    model->durable_offset = durable_offset;
    model->written_offset =
        written_offset > model->written_offset ? written_offset : model->written_offset;
}

static bool is_usable(struct model *model)
{
    return !io_sim_has_crashed(model->harness.sim) && log_harness_reason(&model->harness) == NULL;
}

static void remember(struct model *model, const struct base_chunk *chunk,
                     const struct log_harness_batch *spec, const struct logstore_appended *appended)
{
    BASE_ASSERT(model->count < BATCHES_MAX);
    struct entry *entry = &model->entries[model->count];
    *entry = (struct entry){
        .base_offset = appended->base_offset,
        .next_offset = appended->end_offset,
        .producer_id = spec->producer_id,
        .base_sequence = spec->base_sequence,
        .records_count = spec->records_count,
        .timestamp_ms = spec->timestamp_ms,
        .length = chunk->length,
        .bytes = malloc(chunk->length),
    };
    BASE_ASSERT(entry->bytes != NULL);
    memcpy(entry->bytes, chunk->buffer->data + chunk->position, chunk->length);
    BASE_ASSERT(entry->base_offset == model->end_offset);
    BASE_ASSERT(entry->next_offset == entry->base_offset + spec->records_count);
    model->count++;
    model->end_offset = entry->next_offset;
}

static enum base_err append_spec(struct model *model, const struct log_harness_batch *spec,
                                 struct logstore_appended *appended)
{
    struct log_harness *harness = &model->harness;
    struct logstore_batch batch;
    struct base_chunk chunk = log_harness_make(harness, spec);
    enum base_err err = logstore_batch_peek(chunk.buffer->data, chunk.length, &batch, NULL);

    BASE_ASSERT(err == BASE_ERR_OK);
    bool had_crashed = io_sim_has_crashed(harness->sim);
    base_mutex_lock(&harness->lock);
    err = logstore_log_append(harness->log, &chunk, &batch, harness->loop, appended);
    base_mutex_unlock(&harness->lock);
    if (err == BASE_ERR_OK && appended->verdict == LOGSTORE_VERDICT_APPEND) {
        remember(model, &chunk, spec, appended);
    } else if (err == BASE_ERR_OFFLINE && !had_crashed && io_sim_has_crashed(harness->sim)) {
        /* The crash came in the middle of it: it may be there afterwards. */
        appended->base_offset = model->end_offset;
        appended->end_offset = model->end_offset + spec->records_count;
        remember(model, &chunk, spec, appended);
    }
    base_chunk_release(&chunk);
    return err;
}

static void do_append(struct model *model)
{
    struct logstore_appended appended;
    struct log_harness_batch spec = {
        .records_count = 1 + (int32_t)pick(model, 5),
        .value_bytes = (size_t)pick(model, chance(model, 10) ? 9000 : 400),
        .timestamp_ms = base_clock_wall_ms(model->harness.clock) -
                        (int64_t)pick(model, chance(model, 5) ? 5000 : 1),
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
    };
    if (chance(model, 2)) {
        spec.producer_id = (int64_t)pick(model, PRODUCERS_COUNT);
        spec.producer_epoch = 0;
        spec.base_sequence = model->next_sequence[spec.producer_id];
    }
    enum base_err err = append_spec(model, &spec, &appended);
    if (err == BASE_ERR_OK) {
        BASE_ASSERT(appended.verdict == LOGSTORE_VERDICT_APPEND);
        if (spec.producer_id >= 0) {
            model->next_sequence[spec.producer_id] += spec.records_count;
        }
    } else {
        BASE_ASSERT(err == BASE_ERR_OFFLINE || err == BASE_ERR_NO_SPACE);
    }
}

/* Index of the entry that holds offset; count when there is none. */
static uint32_t entry_at(const struct model *model, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = model->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (model->entries[middle].next_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The chunks must be entries from index on, byte by byte. Returns the index behind. */
static uint32_t compare(const struct model *model, const struct logstore_read *read, uint32_t index)
{
    for (uint32_t i = 0; i < read->chunks_count; i++) {
        const uint8_t *data = read->chunks[i].buffer->data + read->chunks[i].position;
        size_t left = read->chunks[i].length;
        while (left > 0) {
            BASE_ASSERT(index < model->count);
            const struct entry *entry = &model->entries[index];
            BASE_ASSERT(entry->length <= left);
            BASE_ASSERT(memcmp(entry->bytes, data, entry->length) == 0);
            data += entry->length;
            left -= entry->length;
            index++;
        }
    }
    return index;
}

static void do_read(struct model *model)
{
    struct log_harness *harness = &model->harness;
    int64_t start = log_harness_start(harness);
    int64_t written = log_harness_written(harness);
    struct logstore_read read = {
        .offset = start + (int64_t)pick(model, (uint64_t)(written - start) + 1),
        .bytes_max = (size_t)pick(model, 20000),
        .first_whole = chance(model, 2),
        .in_memory = true,
    };
    read.limit_offset = read.offset + (int64_t)pick(model, (uint64_t)(written - read.offset) + 1);
    if (chance(model, 3)) {
        read.limit_offset = chance(model, 2) ? written : log_harness_durable(harness);
    }
    log_harness_read(harness, &read);
    if (read.err != BASE_ERR_OK) {
        BASE_ASSERT(read.err == BASE_ERR_OUT_OF_RANGE || !is_usable(model));
        BASE_ASSERT(read.chunks_count == 0);
        return;
    }
    uint32_t index = entry_at(model, read.offset);
    uint32_t behind = compare(model, &read, index);
    if (behind > index) {
        BASE_ASSERT(read.next_offset == model->entries[behind - 1].next_offset);
        BASE_ASSERT(model->entries[behind - 1].base_offset < read.limit_offset);
        BASE_ASSERT(read.length <= read.bytes_max || (behind == index + 1 && read.first_whole));
    } else {
        BASE_ASSERT(read.next_offset == read.offset);
        BASE_ASSERT(!read.first_whole || read.offset >= read.limit_offset);
    }
    logstore_read_release(&read);
}

static void do_lookup(struct model *model)
{
    struct log_harness *harness = &model->harness;
    int64_t now_ms = base_clock_wall_ms(harness->clock);
    struct logstore_lookup lookup = {
        .timestamp_ms =
            chance(model, 4) ? LOGSTORE_LOOKUP_MAX : now_ms - (int64_t)pick(model, 20000),
        .limit_offset = log_harness_written(harness),
    };
    int64_t limit = lookup.limit_offset;
    log_harness_lookup(harness, &lookup);
    if (lookup.err != BASE_ERR_OK) {
        BASE_ASSERT(!is_usable(model));
        return;
    }
    if (model->has_retention || log_harness_start(harness) > 0) {
        return; /* the start may have moved while it ran */
    }
    int64_t best_offset = -1;
    int64_t best_ms = -1;
    for (uint32_t i = 0; i < model->count; i++) {
        const struct entry *entry = &model->entries[i];
        for (int32_t r = 0; r < entry->records_count; r++) {
            int64_t offset = entry->base_offset + r;
            int64_t timestamp_ms = entry->timestamp_ms + r;
            bool is_better = lookup.timestamp_ms == LOGSTORE_LOOKUP_MAX
                                 ? timestamp_ms > best_ms
                                 : best_offset < 0 && timestamp_ms >= lookup.timestamp_ms;
            if (offset < limit && is_better) {
                best_offset = offset;
                best_ms = timestamp_ms;
            }
        }
    }
    BASE_ASSERT(lookup.offset == best_offset);
    BASE_ASSERT(lookup.found_timestamp_ms == best_ms);
}

static void do_trim(struct model *model)
{
    struct log_harness *harness = &model->harness;
    int64_t start = log_harness_start(harness);
    int64_t written = log_harness_written(harness);
    int64_t offset = start + (int64_t)pick(model, (uint64_t)(written - start) + 1);

    model->start_asked = offset > model->start_asked ? offset : model->start_asked;
    enum base_err err = log_harness_trim(harness, offset);
    if (err == BASE_ERR_OK) {
        model->start_acked = offset > model->start_acked ? offset : model->start_acked;
    }
}

static void do_step(struct model *model)
{
    struct log_harness *harness = &model->harness;

    switch (pick(model, 12)) {
    case 0:
        do_read(model);
        break;
    case 1:
        sim_scheduler_advance(model->scheduler, (int64_t)pick(model, 2000000));
        break;
    case 2:
        if (chance(model, 4)) {
            do_trim(model);
        }
        break;
    case 3:
        base_mutex_lock(&harness->lock);
        logstore_log_flush(harness->log, harness->loop);
        base_mutex_unlock(&harness->lock);
        break;
    case 4:
        if (chance(model, 4)) {
            do_lookup(model);
        }
        break;
    case 5:
        if (model->may_be_full && chance(model, 10)) {
            bool full = chance(model, 2);
            model->was_full = model->was_full || full;
            io_sim_set_full(harness->sim, full);
        }
        break;
    default:
        do_append(model);
        break;
    }
    for (uint64_t i = pick(model, 6); i > 0; i--) {
        if (!sim_scheduler_step(model->scheduler)) {
            break;
        }
    }
}

/* Forgets what did not survive. */
static void cut_model(struct model *model, int64_t end_offset)
{
    while (model->count > 0 && model->entries[model->count - 1].next_offset > end_offset) {
        model->count--;
        free(model->entries[model->count].bytes);
    }
    model->end_offset = model->count == 0 ? 0 : model->entries[model->count - 1].next_offset;
    BASE_ASSERT(model->end_offset == end_offset);
    for (int32_t id = 0; id < PRODUCERS_COUNT; id++) {
        model->next_sequence[id] = 0;
    }
    for (uint32_t i = 0; i < model->count; i++) {
        const struct entry *entry = &model->entries[i];
        if (entry->producer_id >= 0) {
            model->next_sequence[entry->producer_id] = entry->base_sequence + entry->records_count;
        }
    }
}

/* The last batch of each producer, sent again, must be known. */
static void check_producers(struct model *model)
{
    for (int64_t id = 0; id < PRODUCERS_COUNT; id++) {
        for (uint32_t i = model->count; i > 0; i--) {
            const struct entry *entry = &model->entries[i - 1];
            if (entry->producer_id != id) {
                continue;
            }
            struct logstore_appended appended;
            struct log_harness_batch spec = {
                .records_count = entry->records_count,
                .value_bytes = 10,
                .producer_id = id,
                .base_sequence = entry->base_sequence,
            };
            enum base_err err = append_spec(model, &spec, &appended);
            BASE_ASSERT(err == BASE_ERR_OK);
            BASE_ASSERT(appended.verdict == LOGSTORE_VERDICT_DUPLICATE);
            BASE_ASSERT(appended.base_offset == entry->base_offset);
            break;
        }
    }
}

/* Everything from the start on must be what the model remembers. */
static void check_content(struct model *model)
{
    struct log_harness *harness = &model->harness;
    int64_t offset = log_harness_start(harness);
    int64_t end = log_harness_written(harness);

    while (offset < end) {
        struct logstore_read read = {.offset = offset,
                                     .limit_offset = end,
                                     .bytes_max = 50000,
                                     .first_whole = true,
                                     .in_memory = true};
        log_harness_read(harness, &read);
        if (read.err == BASE_ERR_OUT_OF_RANGE) {
            BASE_ASSERT(model->has_retention);
            offset = log_harness_start(harness);
            continue;
        }
        BASE_ASSERT(read.err == BASE_ERR_OK);
        BASE_ASSERT(read.chunks_count > 0);
        (void)compare(model, &read, entry_at(model, offset));
        offset = read.next_offset;
        logstore_read_release(&read);
    }
}

/* Opens after a crash, perhaps with further crashes on the way. */
static void reopen(struct model *model, bool power_cut)
{
    struct log_harness *harness = &model->harness;
    bool cut_off = power_cut || model->sync_may_fail;

    for (;;) {
        if (chance(model, 4)) {
            io_sim_crash_at(harness->sim, pick(model, 12));
        }
        enum base_err err = log_harness_open(harness);
        if (!io_sim_has_crashed(harness->sim)) {
            BASE_ASSERT(err == BASE_ERR_OK);
            io_sim_crash_at(harness->sim, UINT64_MAX / 2); /* not while it is checked */
            break;
        }
        if (harness->log != NULL) {
            log_harness_close(harness, false);
        }
        bool again = chance(model, 2);
        cut_off = cut_off || again;
        io_sim_restart(harness->sim, again);
    }
    int64_t start = log_harness_start(harness);
    int64_t end = log_harness_end(harness);
    BASE_ASSERT(end >= model->durable_offset);
    BASE_ASSERT(cut_off || end >= model->written_offset);
    BASE_ASSERT(end <= model->end_offset);
    BASE_ASSERT(start >= model->start_acked);
    BASE_ASSERT(model->has_retention || start <= model->start_asked);
    BASE_ASSERT(log_harness_durable(harness) == end);
    cut_model(model, end);
    model->start_asked = start > model->start_asked ? start : model->start_asked;
    model->start_asked = model->start_asked > end ? end : model->start_asked;
    model->durable_offset = end; /* it was said just now */
    model->written_offset = end;
    check_content(model);
    if (!model->was_full && is_usable(model)) {
        check_producers(model);
    }
}

/* Reads and searches a log with a flipped bit in it: an answer or an error, and no end. */
static void stir(struct model *model)
{
    struct log_harness *harness = &model->harness;
    int64_t end = log_harness_written(harness);
    struct logstore_lookup lookup = {.timestamp_ms = LOGSTORE_LOOKUP_MAX, .limit_offset = end};

    for (int64_t offset = log_harness_start(harness); offset < end;) {
        struct logstore_read read = {.offset = offset,
                                     .limit_offset = end,
                                     .bytes_max = (size_t)pick(model, 5000),
                                     .first_whole = true,
                                     .in_memory = true};
        log_harness_read(harness, &read);
        BASE_ASSERT(read.err == BASE_ERR_OK || read.chunks_count == 0);
        BASE_ASSERT(read.next_offset >= offset);
        BASE_ASSERT(read.next_offset <= end);
        bool is_stuck = read.next_offset == offset;
        BASE_ASSERT(!is_stuck || read.err != BASE_ERR_OK);
        offset = is_stuck ? end : read.next_offset;
        logstore_read_release(&read);
    }
    log_harness_lookup(harness, &lookup);
    BASE_ASSERT(lookup.offset < end);
    sim_scheduler_advance(model->scheduler, 30000000); /* retention */
}

/* One flipped bit after the process died: found, or harmless, but never a shorter log. */
static void check_flip(struct model *model)
{
    struct log_harness *harness = &model->harness;
    char name[LOGSTORE_NAME_SIZE];
    int64_t base_offset = 0;

    /* The newest segment with bytes in it. */
    for (uint32_t i = model->count; i > 0; i--) {
        (void)snprintf(name, sizeof name, "%s/%020" PRId64 ".log", LOG_HARNESS_NAME,
                       model->entries[i - 1].base_offset);
        if (io_sim_size(harness->sim, name) > 0) {
            base_offset = model->entries[i - 1].base_offset;
            break;
        }
    }
    (void)snprintf(name, sizeof name, "%s/%020" PRId64 ".log", LOG_HARNESS_NAME, base_offset);
    uint64_t durable_bytes = 0;
    for (uint32_t i = entry_at(model, base_offset);
         i < model->count && model->entries[i].next_offset <= model->durable_offset; i++) {
        durable_bytes += model->entries[i].length;
    }
    int64_t size = io_sim_size(harness->sim, name);
    if (durable_bytes == 0 || size < (int64_t)durable_bytes) {
        return;
    }
    io_sim_flip(harness->sim, name, pick(model, durable_bytes), (unsigned)pick(model, 8));
    enum base_err err = log_harness_open(harness);
    if (err == BASE_ERR_OK) {
        BASE_ASSERT(log_harness_end(harness) >= model->durable_offset);
    } else {
        BASE_ASSERT(err == BASE_ERR_CORRUPT);
        BASE_ASSERT(strstr(log_harness_reason(harness), name) != NULL);
        BASE_ASSERT(io_sim_size(harness->sim, name) == size);
    }
    stir(model);
    log_harness_close(harness, false);
}

static void set_up(struct model *model, uint64_t seed)
{
    struct log_harness *harness = &model->harness;

    *model = (struct model){0};
    log_harness_init(harness, seed);
    model->scheduler = harness->scheduler;
    struct io_sim_options options = {
        .append_is_durable = chance(model, 4),
        .pending_one_in = pick(model, 4),
        .latency_us_max = 1 + (int64_t)pick(model, 20000),
    };
    if (options.append_is_durable) {
        options.pending_one_in = 1 + pick(model, 2);
    }
    log_harness_use_sim(harness, &options);
    harness->config.durable = chance(model, 2);
    harness->config.segment_bytes = 2000 + pick(model, 60000);
    harness->config.index_interval_bytes = (uint32_t)pick(model, 3000);
    harness->config.flush_bytes = 5000 + pick(model, 50000);
    harness->tail_bytes_max = chance(model, 2) ? 0 : (size_t)pick(model, 100000);
    harness->open_segments_max = 1 + (uint32_t)pick(model, 10);
    model->may_be_full = chance(model, 3);
    if (chance(model, 4)) {
        model->has_retention = true;
        if (chance(model, 2)) {
            harness->config.retention_bytes = (int64_t)pick(model, 100000);
        }
        harness->config.retention_ms = 1000 + (int64_t)pick(model, 20000);
        harness->config.retention_exact = chance(model, 2);
    }
    enum base_err err = log_harness_open(harness);
    BASE_ASSERT(err == BASE_ERR_OK);
}

static void live(struct model *model)
{
    struct log_harness *harness = &model->harness;

    if (chance(model, 3)) {
        io_sim_crash_at(harness->sim, pick(model, 300));
    }
    model->sync_may_fail = chance(model, 8);
    if (model->sync_may_fail) {
        io_sim_fail_sync_at(harness->sim, pick(model, 20));
    }
    for (uint64_t i = pick(model, STEPS_MAX); i > 0 && is_usable(model); i--) {
        do_step(model);
        observe(model);
    }
}

static void run_seed(uint64_t seed)
{
    static struct model model;
    struct log_harness *harness = &model.harness;

    seed_now = seed;
    set_up(&model, seed);
    for (int round = 0; round < ROUNDS_COUNT; round++) {
        live(&model);
        bool clean = is_usable(&model) && chance(&model, 3);
        if (!clean) {
            io_sim_crash(harness->sim);
        } else {
            io_sim_set_full(harness->sim, false);
            sim_scheduler_advance(model.scheduler, 3000000);
            observe(&model);
        }
        int64_t end = log_harness_end(harness);
        log_harness_close(harness, clean);
        if (clean && !io_sim_has_crashed(harness->sim) && !model.sync_may_fail) {
            model.durable_offset = end; /* close(checkpoint) promises it */
        }
        bool power_cut = chance(&model, 2);
        io_sim_restart(harness->sim, power_cut);
        reopen(&model, power_cut);
    }
    io_sim_crash(harness->sim);
    log_harness_close(harness, false);
    io_sim_restart(harness->sim, false);
    check_flip(&model);
    for (uint32_t i = 0; i < model.count; i++) {
        free(model.entries[i].bytes);
    }
    log_harness_fini(harness);
}

int main(int argc, char **argv)
{
    uint64_t from = 1;
    uint64_t count = 100;

    if (argc == 4 && strcmp(argv[1], "--seeds") == 0) {
        from = strtoull(argv[2], NULL, 10);
        count = strtoull(argv[3], NULL, 10);
    } else if (argc != 1) {
        (void)fprintf(stderr, "usage: sim_log [--seeds FROM COUNT]\n");
        return 2;
    }
    (void)signal(SIGABRT, on_abort);
    base_log_configure(getenv("SIM_LOG") == NULL ? BASE_LOG_ERROR + 1 : BASE_LOG_TRACE,
                       BASE_LOG_LOGFMT);
    for (uint64_t seed = from; seed < from + count; seed++) {
        run_seed(seed);
    }
    (void)printf("%" PRIu64 " seeds from %" PRIu64 "\n", count, from);
    return 0;
}
