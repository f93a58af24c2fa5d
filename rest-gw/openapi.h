/* The OpenAPI 3.1 document of this API, as the build puts it together from the pieces in
 * rest-gw/openapi/. A route is described where its resource is: add its path to the piece's
 * "paths", new schemas to its "schemas"; a unit test holds the document against the table of
 * routes, both ways, and interop/test_openapi.py holds answers against the schemas. */
#ifndef RESTGW_OPENAPI_H
#define RESTGW_OPENAPI_H

#include <stddef.h>
#include <stdint.h>

/* Static storage; not terminated. */
extern const uint8_t restgw_openapi_json[];
extern const size_t restgw_openapi_json_size;

#endif
