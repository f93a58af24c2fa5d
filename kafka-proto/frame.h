/* What is around a message: length prefix, request and response headers. */
#ifndef KPROTO_FRAME_H
#define KPROTO_FRAME_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/reader.h"
#include "kafka-proto/api.h"
#include "kafka-proto/writer.h"

/* Plain values. */
struct kproto_request_header {
    int16_t api_key;
    int16_t api_version;
    int32_t correlation_id;
    struct base_slice client_id; /* borrowed from the frame; may be null */
};

/* Reads the header of a frame whose length prefix has been taken off; the body follows in
 * reader. Does not look at whether api_version is one we can decode.
 *
 * Errors: UNSUPPORTED for a key without a row, the three numbers then being set; MALFORMED
 * with *out zeroed. */
BASE_MUST_USE enum base_err kproto_request_header_decode(struct base_reader *reader,
                                                         struct kproto_request_header *out);

/* Appends a whole response frame, length prefix included. Errors as kproto_encode(). */
BASE_MUST_USE enum base_err kproto_response_encode(struct kproto_writer *writer,
                                                   const struct kproto_api *api, int16_t version,
                                                   int32_t correlation_id, const void *response);

/* Appends a whole request frame, for clients; key and version of the header are api's and
 * header->api_version. */
BASE_MUST_USE enum base_err kproto_request_encode(struct kproto_writer *writer,
                                                  const struct kproto_api *api,
                                                  const struct kproto_request_header *header,
                                                  const void *request);

/* Reads a response header, for clients. MALFORMED leaves *correlation_id 0. */
BASE_MUST_USE enum base_err kproto_response_header_decode(struct base_reader *reader,
                                                          const struct kproto_api *api,
                                                          int16_t version, int32_t *correlation_id);

#endif
