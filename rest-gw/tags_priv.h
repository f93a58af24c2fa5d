/* Resource tags in answers. */
#ifndef RESTGW_TAGS_PRIV_H
#define RESTGW_TAGS_PRIV_H

#include "core/base/writer.h"
#include "core/catalog/tags.h"

/* "tags":[{"key":..,"value":..},..] */
void restgw__put_tags(struct base_writer *body, const struct catalog_tags *tags);

#endif
