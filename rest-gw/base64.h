/* Base64 with padding (RFC 4648 §4): how the bytes of Kafka messages travel in JSON. */
#ifndef RESTGW_BASE64_H
#define RESTGW_BASE64_H

#include "core/base/slice.h"
#include "core/base/writer.h"

/* Characters that length bytes become. */
static inline size_t restgw_base64_size(size_t length)
{
    return length / 3 * 4 + (length % 3 == 0 ? 0 : 4);
}

/* Appends the text, without quotes. */
void restgw_base64_put(struct base_writer *writer, struct base_slice bytes);

#endif
