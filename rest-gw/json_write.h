/* JSON text straight into an answer: for what is made often, and for message
 * bodies, which are kept as JSON text and returned as they came. */
#ifndef RESTGW_JSON_WRITE_H
#define RESTGW_JSON_WRITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/base/writer.h"

/* Appends a literal piece of JSON. */
#define RESTGW_JSON_PUT(writer, literal) \
    base_writer_bytes((writer), "" literal, sizeof(literal) - 1)

void restgw_json_put_integer(struct base_writer *writer, int64_t value);

/* Finite. As few digits as say exactly this value, whole numbers without a fraction. */
void restgw_json_put_double(struct base_writer *writer, double value);

/* With quotes. Bytes that are not UTF-8 become U+FFFD. The null slice is null. */
void restgw_json_put_string(struct base_writer *writer, struct base_slice text);

/* The inside of a string: escaped, without quotes. */
void restgw_json_put_escaped(struct base_writer *writer, struct base_slice text);

/* A jansson value in compact form. A failure shows in writer->err. */
void restgw_json_put_value(struct base_writer *writer, const json_t *value);

#endif
