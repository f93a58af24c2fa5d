/* The journal's records as JSON, there and back. */
#include "core/queue/record_priv.h"

#include <stddef.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/queue/redrive_priv.h"

enum {
    RECORD_VERSION = 1,
    RECORD_RANGES_MAX = 1024, /* a record stays below some 50 KB */
    DECIMAL_SIZE = 20,
};

void queue__record_init(struct queue_record *record, const struct queue_cursor *cursor)
{
    *record = (struct queue_record){
        .used = cursor->used,
        .floor = cursor->floor,
        .consumed = cursor->consumed + cursor->acking_count - cursor->filtered_count,
        .skipped = cursor->skipped - cursor->skipped_count,
        .dead_to = cursor->dead_to,
    };
}

static void put_text(struct base_writer *writer, const char *text)
{
    base_writer_bytes(writer, text, strlen(text));
}

/* Written by hand: this runs for every ack. */
static void put_number(struct base_writer *writer, int64_t number)
{
    char digits[DECIMAL_SIZE];
    size_t at = sizeof digits;
    uint64_t rest = (uint64_t)number;

    BASE_ASSERT(number >= 0);
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    base_writer_bytes(writer, digits + at, sizeof digits - at);
}

static void put_pair(struct base_writer *writer, bool is_first, int64_t a, int64_t b, bool flag)
{
    put_text(writer, is_first ? "[" : ",[");
    put_number(writer, a);
    put_text(writer, ",");
    put_number(writer, b);
    put_text(writer, flag ? ",1]" : "]");
}

void queue__record_encode(const struct queue_record *record, struct base_writer *writer)
{
    put_text(writer, "{\"v\":1");
    if (record->all) {
        put_text(writer, ",\"all\":true");
    }
    if (record->used) {
        put_text(writer, ",\"used\":true");
    }
    put_text(writer, ",\"floor\":");
    put_number(writer, record->floor);
    put_text(writer, ",\"consumed\":");
    put_number(writer, record->consumed);
    put_text(writer, ",\"skipped\":");
    put_number(writer, record->skipped);
    if (record->dead_to > 0) {
        put_text(writer, ",\"dead\":");
        put_number(writer, record->dead_to);
    }
    put_text(writer, ",\"done\":[");
    for (uint32_t i = 0; i < record->done_count; i++) {
        put_pair(writer, i == 0, record->done[i].first, record->done[i].last, false);
    }
    put_text(writer, "],\"fail\":[");
    for (uint32_t i = 0; i < record->failures_count; i++) {
        const struct queue_record_failure *failure = &record->failures[i];
        put_pair(writer, i == 0, failure->offset, failure->failures, failure->timed_out);
    }
    put_text(writer, "]}");
}

/* Reads the fixed grammar above; the first mismatch marks it failed. */
struct parser {
    const uint8_t *cursor;
    size_t remaining;
    bool failed;
};

static bool accept(struct parser *parser, const char *text)
{
    size_t length = strlen(text);
    if (parser->failed || length > parser->remaining || memcmp(parser->cursor, text, length) != 0) {
        return false;
    }
    parser->cursor += length;
    parser->remaining -= length;
    return true;
}

static void expect(struct parser *parser, const char *text)
{
    if (!accept(parser, text)) {
        parser->failed = true;
    }
}

/* Larger than anything that is counted here: sums of a few do not overflow. */
static const int64_t NUMBER_MAX = INT64_MAX / 4;

static int64_t number(struct parser *parser)
{
    int64_t value = 0;
    size_t digits = 0;

    while (!parser->failed && digits < parser->remaining && parser->cursor[digits] >= '0' &&
           parser->cursor[digits] <= '9') {
        int64_t digit = parser->cursor[digits] - '0';
        if (value > (NUMBER_MAX - digit) / 10) {
            parser->failed = true;
            return 0;
        }
        value = value * 10 + digit;
        digits++;
    }
    if (digits == 0) {
        parser->failed = true;
        return 0;
    }
    parser->cursor += digits;
    parser->remaining -= digits;
    return value;
}

/* The next [a,b] of a list whose '[' was read; false behind its ']'. */
static bool pair(struct parser *parser, bool is_first, int64_t *a, int64_t *b, bool *flag)
{
    if (accept(parser, "]")) {
        return false;
    }
    expect(parser, is_first ? "[" : ",[");
    *a = number(parser);
    expect(parser, ",");
    *b = number(parser);
    *flag = accept(parser, ",1");
    expect(parser, "]");
    return !parser->failed;
}

static enum base_err apply_lists(struct parser *parser, struct queue_cursor *cursor)
{
    enum base_err err = BASE_ERR_OK;
    int64_t a = 0;
    int64_t b = 0;
    bool flag = false;

    expect(parser, ",\"done\":[");
    for (bool is_first = true; err == BASE_ERR_OK && pair(parser, is_first, &a, &b, &flag);
         is_first = false) {
        err = queue_cursor_load_done(cursor, a, b);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    expect(parser, ",\"fail\":[");
    for (bool is_first = true; err == BASE_ERR_OK && pair(parser, is_first, &a, &b, &flag);
         is_first = false) {
        err = queue_cursor_load_failures(cursor, a, b > UINT8_MAX ? UINT8_MAX : (uint32_t)b, flag);
    }
    return err;
}

enum base_err queue__record_apply(struct base_slice text, bool *is_known,
                                  struct queue_cursor *cursor)
{
    struct parser parser = {.cursor = text.data, .remaining = text.length};

    expect(&parser, "{\"v\":");
    int64_t version = number(&parser);
    if (!parser.failed && version > RECORD_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    bool all = accept(&parser, ",\"all\":true");
    bool used = accept(&parser, ",\"used\":true");
    expect(&parser, ",\"floor\":");
    int64_t floor = number(&parser);
    expect(&parser, ",\"consumed\":");
    int64_t consumed = number(&parser);
    expect(&parser, ",\"skipped\":");
    int64_t skipped = number(&parser);
    int64_t dead_to = accept(&parser, ",\"dead\":") ? number(&parser) : 0;
    if (parser.failed) {
        return BASE_ERR_CORRUPT;
    }
    if (!all && !*is_known) {
        return BASE_ERR_OK; /* what it adds to was trimmed, for a whole one that is to come */
    }
    if (all) {
        queue_cursor_load_clear(cursor);
        *is_known = true;
    }
    enum base_err err = queue_cursor_load_floor(cursor, floor, consumed, skipped, used);
    if (dead_to > cursor->dead_to) {
        cursor->dead_to = dead_to;
    }
    if (err == BASE_ERR_OK) {
        err = apply_lists(&parser, cursor);
    }
    if (err == BASE_ERR_OK) {
        expect(&parser, "}");
        err = parser.failed || parser.remaining > 0 ? BASE_ERR_CORRUPT : BASE_ERR_OK;
    }
    return err;
}

void queue__record_encode_rule(const struct queue_tag_rule *rule, struct base_writer *writer)
{
    put_text(writer, "{\"v\":1,\"type\":\"");
    put_text(writer, rule->all ? "and" : "or");
    put_text(writer, "\",\"tags\":[");
    for (uint32_t i = 0; i < rule->count; i++) {
        put_text(writer, i == 0 ? "\"" : ",\"");
        put_text(writer, rule->tags[i]);
        put_text(writer, "\"");
    }
    put_text(writer, "]}");
}

/* The text up to the next quote, which is passed over. */
static struct base_slice quoted(struct parser *parser)
{
    const uint8_t *start = parser->cursor;
    size_t length = 0;

    while (length < parser->remaining && start[length] != '"') {
        length++;
    }
    parser->cursor += length;
    parser->remaining -= length;
    expect(parser, "\"");
    return base_slice_of(start, length);
}

enum base_err queue__record_read_rule(struct base_slice text, struct queue_tag_rule *rule)
{
    struct parser parser = {.cursor = text.data, .remaining = text.length};
    struct base_slice tags[QUEUE_TAGS_MAX] = {{NULL, 0}};
    uint32_t count = 0;

    expect(&parser, "{\"v\":");
    int64_t version = number(&parser);
    if (!parser.failed && version > RECORD_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    bool all = accept(&parser, ",\"type\":\"and\"");
    if (!all) {
        expect(&parser, ",\"type\":\"or\"");
    }
    expect(&parser, ",\"tags\":[");
    while (count < QUEUE_TAGS_MAX && accept(&parser, count == 0 ? "\"" : ",\"")) {
        tags[count++] = quoted(&parser);
        parser.failed |= !queue_tag_is_valid(tags[count - 1]);
    }
    expect(&parser, "]}");
    if (parser.failed || parser.remaining > 0) {
        return BASE_ERR_CORRUPT;
    }
    queue_tag_rule_init(rule, tags, count, all);
    return BASE_ERR_OK;
}

void queue__record_encode_redrive(const struct queue_redrive_record *redrive,
                                  struct base_writer *writer)
{
    put_text(writer, "{\"v\":1,\"state\":\"");
    put_text(writer, queue_redrive_state_text(redrive->state));
    put_text(writer, "\",\"rate\":");
    put_number(writer, redrive->rate);
    put_text(writer, ",\"limit\":");
    put_number(writer, redrive->limit);
    put_text(writer, ",\"moved\":");
    put_number(writer, redrive->moved);
    put_text(writer, ",\"started\":");
    put_number(writer, redrive->started_ms);
    put_text(writer, ",\"ended\":");
    put_number(writer, redrive->ended_ms);
    put_text(writer, ",\"offsets\":[");
    for (uint32_t i = 0; i < redrive->offsets_count; i++) {
        put_text(writer, i == 0 ? "" : ",");
        put_number(writer, redrive->offsets[i]);
    }
    put_text(writer, "]}");
}

static int64_t named_number(struct parser *parser, const char *name)
{
    expect(parser, name);
    return number(parser);
}

enum base_err queue__record_read_redrive(struct base_slice text,
                                         struct queue_redrive_record *redrive)
{
    struct parser parser = {.cursor = text.data, .remaining = text.length};
    bool has_state = false;

    *redrive = (struct queue_redrive_record){.state = QUEUE_REDRIVE_NONE};
    int64_t version = named_number(&parser, "{\"v\":");
    if (!parser.failed && version > RECORD_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    expect(&parser, ",\"state\":\"");
    for (unsigned i = 0; i < QUEUE_REDRIVE_STATE_COUNT && !has_state; i++) {
        redrive->state = (enum queue_redrive_state)i;
        has_state = accept(&parser, queue_redrive_state_text(redrive->state));
    }
    redrive->rate = named_number(&parser, "\",\"rate\":");
    redrive->limit = named_number(&parser, ",\"limit\":");
    redrive->moved = named_number(&parser, ",\"moved\":");
    redrive->started_ms = named_number(&parser, ",\"started\":");
    redrive->ended_ms = named_number(&parser, ",\"ended\":");
    expect(&parser, ",\"offsets\":[");
    while (!parser.failed && redrive->offsets_count < QUEUE_REDRIVE_OFFSETS_MAX &&
           parser.remaining > 0 && parser.cursor[0] != ']') {
        if (redrive->offsets_count > 0) {
            expect(&parser, ",");
        }
        redrive->offsets[redrive->offsets_count++] = number(&parser);
    }
    expect(&parser, "]}");
    bool is_sound = has_state && !parser.failed && parser.remaining == 0 && redrive->rate >= 1 &&
                    redrive->rate <= QUEUE_REDRIVE_RATE_MAX;
    return is_sound ? BASE_ERR_OK : BASE_ERR_CORRUPT;
}

struct collector {
    struct queue_record record;
    struct queue_record_range done[RECORD_RANGES_MAX];
    struct queue_record_failure failures[RECORD_RANGES_MAX];
    queue_record_emit *emit;
    void *context;
};

static void flush(struct collector *collector)
{
    collector->emit(collector->context, &collector->record);
    collector->record.all = false;
    collector->record.done_count = 0;
    collector->record.failures_count = 0;
}

static void collect_done(struct collector *collector, int64_t first, int64_t last)
{
    uint32_t count = collector->record.done_count;
    if (count > 0 && collector->done[count - 1].last == first - 1) {
        collector->done[count - 1].last = last;
        return;
    }
    if (count == RECORD_RANGES_MAX) {
        flush(collector);
        count = 0;
    }
    collector->done[count] = (struct queue_record_range){.first = first, .last = last};
    collector->record.done_count = count + 1;
}

static void collect_failure(struct collector *collector, int64_t offset, uint32_t failures,
                            bool timed_out)
{
    if (collector->record.failures_count == RECORD_RANGES_MAX) {
        flush(collector);
    }
    collector->failures[collector->record.failures_count++] = (struct queue_record_failure){
        .offset = offset, .failures = failures, .timed_out = timed_out};
}

/* An offset that is not done. */
static void collect_undone(struct collector *collector, int64_t offset,
                           const struct queue_slot *slot)
{
    bool is_failing = slot->state == QUEUE_SLOT_FAILING;
    uint32_t failures = slot->failures + (is_failing ? 1u : 0u);

    if (slot->state == QUEUE_SLOT_ACKING || slot->state == QUEUE_SLOT_MOVED) {
        collect_done(collector, offset, offset);
    } else if (failures > 0) {
        collect_failure(collector, offset, failures > UINT8_MAX ? UINT8_MAX : failures,
                        slot->timed_out && !is_failing);
    }
}

void queue__record_all(const struct queue_cursor *cursor, queue_record_emit *emit, void *context)
{
    struct collector collector = {.emit = emit, .context = context};

    queue__record_init(&collector.record, cursor);
    collector.record.all = true;
    collector.record.consumed += cursor->filtered_count;
    collector.record.skipped += cursor->skipped_count;
    collector.record.done = collector.done;
    collector.record.failures = collector.failures;
    for (int64_t offset = cursor->floor; offset < cursor->next; offset++) {
        int64_t undone = queue_cursor_next_undone(cursor, offset);
        if (undone > offset) {
            collect_done(&collector, offset, undone - 1);
        }
        if (undone < cursor->next) {
            collect_undone(&collector, undone, queue_cursor_slot(cursor, undone));
        }
        offset = undone;
    }
    flush(&collector);
}
