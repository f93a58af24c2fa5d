/* The broker as a whole: everything wired together, in the order in which it depends on
 * each other. */
#ifndef MAIN_BROKER_H
#define MAIN_BROKER_H

#include "core/base/err.h"
#include "core/main/config.h"

struct main_broker;

/* Opens the data, starts the loops and both doors. Returns when both serve. On an error
 * everything is closed again and the cause is logged. Main thread only, like all below. */
BASE_MUST_USE enum base_err main_broker_start(const struct main_config *config,
                                              struct main_broker **out);

/* Stops accepting, lets answers leave, makes everything durable and closes it. Sets *broker to
 * NULL. */
void main_broker_stop(struct main_broker **broker);

/* Checks what config says about addresses without opening anything. */
BASE_MUST_USE enum base_err main_broker_check(const struct main_config *config,
                                              char error[MAIN_CONFIG_ERROR_SIZE]);

#endif
