/* What can come of a request to a consumer group. These are outcomes, not failures:
 * the doors translate them, each to its own codes. */
#ifndef GROUP_VERDICT_H
#define GROUP_VERDICT_H

/* Row: name, text for logs. */
#define GROUP_VERDICT_LIST(X)                                                             \
    X(OK, "success")                                                                      \
    X(NOT_READY, "committed offsets are still being loaded")                              \
    X(CLOSING, "coordinator shuts down")                                                  \
    X(STORAGE_FAILED, "the log of committed offsets refused the record")                  \
    X(OUT_OF_MEMORY, "out of memory")                                                     \
    X(INVALID_GROUP_ID, "empty group id")                                                 \
    X(INVALID_SESSION_TIMEOUT, "session timeout outside its allowed range")               \
    X(INCONSISTENT_PROTOCOL, "protocol type or protocols differ from the group's")        \
    X(MEMBER_ID_REQUIRED, "join again with the member id that was given")                 \
    X(UNKNOWN_MEMBER, "no such member in this group")                                     \
    X(FENCED_INSTANCE, "another member took over this instance id")                       \
    X(ILLEGAL_GENERATION, "generation is not the current one")                            \
    X(REBALANCE_IN_PROGRESS, "group is rebalancing, join again")                          \
    X(MAX_SIZE, "group is full")                                                          \
    X(TOO_MANY_GROUPS, "the broker has as many groups as it may have")                    \
    X(MEMBER_TOO_LARGE, "protocols, metadata or assignment of a member exceed the limit") \
    X(METADATA_TOO_LARGE, "metadata of a committed offset exceeds the limit")             \
    X(NOT_EMPTY, "group has members")                                                     \
    X(NOT_FOUND, "no such group")                                                         \
    X(SUBSCRIBED_TO_TOPIC, "a member of the group is subscribed to the topic")

#define GROUP_VERDICT_ENUM(name, text) GROUP_##name,
enum group_verdict { GROUP_VERDICT_LIST(GROUP_VERDICT_ENUM) GROUP_VERDICT_COUNT };
#undef GROUP_VERDICT_ENUM

/* Never NULL; static storage. */
const char *group_verdict_text(enum group_verdict verdict);

#endif
