/* How the configuration of topics looks on the wire. */
#ifndef KHANDLER_CONFIG_H
#define KHANDLER_CONFIG_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/catalog/topic_config.h"

/* Kafka's ConfigSource, where a value comes from. */
enum khandler_config_source {
    KHANDLER_CONFIG_TOPIC = 1,
    KHANDLER_CONFIG_STATIC_BROKER = 4,
    KHANDLER_CONFIG_DEFAULT = 5,
};

/* Kafka's ConfigType. */
enum khandler_config_type {
    KHANDLER_CONFIG_UNKNOWN = 0,
    KHANDLER_CONFIG_BOOLEAN = 1,
    KHANDLER_CONFIG_STRING = 2,
    KHANDLER_CONFIG_INT = 3,
    KHANDLER_CONFIG_LONG = 5,
    KHANDLER_CONFIG_LIST = 7,
};

enum khandler_config_source khandler_config_source(const struct catalog_topic_config *config,
                                                   enum catalog_topic_config_key key);

enum khandler_config_type khandler_config_type(enum catalog_topic_config_key key);

/* The value as Kafka prints it, in the arena; null when that is full. */
struct base_slice khandler_config_text(struct base_arena *arena,
                                       const struct catalog_topic_config *config,
                                       enum catalog_topic_config_key key);

/* Sets one key to what a client wrote. NULL: done; otherwise a sentence for the client, in
 * the arena or static, and config is unchanged. */
const char *khandler_config_set(struct base_arena *arena, struct catalog_topic_config *config,
                                struct base_slice name, struct base_slice value);

#endif
