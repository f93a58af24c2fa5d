/* Kafka's error codes. */
#ifndef KPROTO_ERROR_H
#define KPROTO_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

/* One row per code: number, name, whether clients try again, text. In order of number. */
/* clang-format off */
#define KPROTO_ERROR_LIST(X) \
    X(-1, UNKNOWN_SERVER_ERROR, false, "unexpected error on the broker") \
    X(0, NONE, false, "success") \
    X(1, OFFSET_OUT_OF_RANGE, false, "offset is outside the log") \
    X(2, CORRUPT_MESSAGE, true, "batch failed its checksum or is malformed") \
    X(3, UNKNOWN_TOPIC_OR_PARTITION, true, "no such topic or partition here") \
    X(4, INVALID_FETCH_SIZE, false, "fetch size is not allowed") \
    X(5, LEADER_NOT_AVAILABLE, true, "partition has no leader at the moment") \
    X(6, NOT_LEADER_OR_FOLLOWER, true, "partition is led elsewhere") \
    X(7, REQUEST_TIMED_OUT, true, "request timed out") \
    X(8, BROKER_NOT_AVAILABLE, false, "broker is not available") \
    X(9, REPLICA_NOT_AVAILABLE, true, "replica is not available") \
    X(10, MESSAGE_TOO_LARGE, false, "batch is larger than the topic allows") \
    X(11, STALE_CONTROLLER_EPOCH, false, "controller has moved") \
    X(12, OFFSET_METADATA_TOO_LARGE, false, "metadata of a committed offset is too long") \
    X(13, NETWORK_EXCEPTION, true, "connection was lost before the answer") \
    X(14, COORDINATOR_LOAD_IN_PROGRESS, true, "coordinator is still loading") \
    X(15, COORDINATOR_NOT_AVAILABLE, true, "coordinator is not available") \
    X(16, NOT_COORDINATOR, true, "another broker is the coordinator") \
    X(17, INVALID_TOPIC_EXCEPTION, false, "topic name is not allowed") \
    X(18, RECORD_LIST_TOO_LARGE, false, "batch is larger than a segment") \
    X(19, NOT_ENOUGH_REPLICAS, true, "too few replicas in sync") \
    X(20, NOT_ENOUGH_REPLICAS_AFTER_APPEND, true, "written, but to too few replicas") \
    X(21, INVALID_REQUIRED_ACKS, false, "acks is none of -1, 0 and 1") \
    X(22, ILLEGAL_GENERATION, false, "generation is not the group's") \
    X(23, INCONSISTENT_GROUP_PROTOCOL, false, "member has no protocol in common with the group") \
    X(24, INVALID_GROUP_ID, false, "group id is not allowed") \
    X(25, UNKNOWN_MEMBER_ID, false, "group does not know this member") \
    X(26, INVALID_SESSION_TIMEOUT, false, "session timeout is outside the broker's range") \
    X(27, REBALANCE_IN_PROGRESS, false, "group is rebalancing, join again") \
    X(28, INVALID_COMMIT_OFFSET_SIZE, false, "committed offset is too large to store") \
    X(29, TOPIC_AUTHORIZATION_FAILED, false, "not allowed on this topic") \
    X(30, GROUP_AUTHORIZATION_FAILED, false, "not allowed on this group") \
    X(31, CLUSTER_AUTHORIZATION_FAILED, false, "not allowed on this cluster") \
    X(32, INVALID_TIMESTAMP, false, "timestamp is outside the allowed range") \
    X(33, UNSUPPORTED_SASL_MECHANISM, false, "mechanism is not enabled") \
    X(34, ILLEGAL_SASL_STATE, false, "request does not fit the state of authentication") \
    X(35, UNSUPPORTED_VERSION, false, "version is not supported") \
    X(36, TOPIC_ALREADY_EXISTS, false, "topic exists already") \
    X(37, INVALID_PARTITIONS, false, "number of partitions is not allowed") \
    X(38, INVALID_REPLICATION_FACTOR, false, "replication factor is not possible") \
    X(39, INVALID_REPLICA_ASSIGNMENT, false, "replica assignment is not possible") \
    X(40, INVALID_CONFIG, false, "configuration is not valid") \
    X(41, NOT_CONTROLLER, true, "another broker is the controller") \
    X(42, INVALID_REQUEST, false, "request contradicts itself or the protocol") \
    X(43, UNSUPPORTED_FOR_MESSAGE_FORMAT, false, "message format cannot do this") \
    X(44, POLICY_VIOLATION, false, "refused by policy") \
    X(45, OUT_OF_ORDER_SEQUENCE_NUMBER, false, "producer left out a sequence number") \
    X(46, DUPLICATE_SEQUENCE_NUMBER, false, "sequence number was written before") \
    X(47, INVALID_PRODUCER_EPOCH, false, "producer epoch is old") \
    X(48, INVALID_TXN_STATE, false, "transaction state does not allow this") \
    X(49, INVALID_PRODUCER_ID_MAPPING, false, "producer id is not that of the transactional id") \
    X(50, INVALID_TRANSACTION_TIMEOUT, false, "transaction timeout is above the broker's limit") \
    X(51, CONCURRENT_TRANSACTIONS, true, "another change of this transaction is under way") \
    X(52, TRANSACTION_COORDINATOR_FENCED, false, "transaction coordinator has moved") \
    X(53, TRANSACTIONAL_ID_AUTHORIZATION_FAILED, false, "not allowed on this transactional id") \
    X(54, SECURITY_DISABLED, false, "security is switched off") \
    X(55, OPERATION_NOT_ATTEMPTED, false, "not tried because another part failed") \
    X(56, KAFKA_STORAGE_ERROR, true, "disk error on the broker") \
    X(57, LOG_DIR_NOT_FOUND, false, "no such log directory") \
    X(58, SASL_AUTHENTICATION_FAILED, false, "authentication failed") \
    X(59, UNKNOWN_PRODUCER_ID, false, "producer id is not known here") \
    X(60, REASSIGNMENT_IN_PROGRESS, false, "partition is being reassigned") \
    X(61, DELEGATION_TOKEN_AUTH_DISABLED, false, "delegation tokens are switched off") \
    X(62, DELEGATION_TOKEN_NOT_FOUND, false, "no such delegation token") \
    X(63, DELEGATION_TOKEN_OWNER_MISMATCH, false, "delegation token belongs to someone else") \
    X(64, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, false, "not on a connection of this kind") \
    X(65, DELEGATION_TOKEN_AUTHORIZATION_FAILED, false, "not allowed on this delegation token") \
    X(66, DELEGATION_TOKEN_EXPIRED, false, "delegation token has expired") \
    X(67, INVALID_PRINCIPAL_TYPE, false, "kind of principal is not supported") \
    X(68, NON_EMPTY_GROUP, false, "group has members") \
    X(69, GROUP_ID_NOT_FOUND, false, "no such group") \
    X(70, FETCH_SESSION_ID_NOT_FOUND, true, "no such fetch session") \
    X(71, INVALID_FETCH_SESSION_EPOCH, true, "fetch session epoch is not the next one") \
    X(72, LISTENER_NOT_FOUND, true, "leader has no such listener") \
    X(73, TOPIC_DELETION_DISABLED, false, "topics may not be deleted") \
    X(74, FENCED_LEADER_EPOCH, true, "leader epoch is older than the broker's") \
    X(75, UNKNOWN_LEADER_EPOCH, true, "leader epoch is newer than the broker's") \
    X(76, UNSUPPORTED_COMPRESSION_TYPE, false, "client does not know this compression") \
    X(77, STALE_BROKER_EPOCH, false, "broker epoch is old") \
    X(78, OFFSET_NOT_AVAILABLE, true, "high watermark is not known yet") \
    X(79, MEMBER_ID_REQUIRED, false, "join again with the member id given") \
    X(80, PREFERRED_LEADER_NOT_AVAILABLE, true, "preferred leader is not available") \
    X(81, GROUP_MAX_SIZE_REACHED, false, "group is full") \
    X(82, FENCED_INSTANCE_ID, false, "another member took this instance id") \
    X(83, ELIGIBLE_LEADERS_NOT_AVAILABLE, true, "no eligible leader is available") \
    X(84, ELECTION_NOT_NEEDED, true, "partition needs no election") \
    X(85, NO_REASSIGNMENT_IN_PROGRESS, false, "partition is not being reassigned") \
    X(86, GROUP_SUBSCRIBED_TO_TOPIC, false, "group still consumes this topic") \
    X(87, INVALID_RECORD, false, "record failed validation") \
    X(88, UNSTABLE_OFFSET_COMMIT, true, "offset waits for the end of a transaction") \
    X(89, THROTTLING_QUOTA_EXCEEDED, true, "over the quota") \
    X(90, PRODUCER_FENCED, false, "a newer producer has this transactional id") \
    X(91, RESOURCE_NOT_FOUND, false, "no such resource") \
    X(92, DUPLICATE_RESOURCE, false, "resource is named twice or exists") \
    X(93, UNACCEPTABLE_CREDENTIAL, false, "credential is too weak") \
    X(94, INCONSISTENT_VOTER_SET, false, "not one of the voters") \
    X(95, INVALID_UPDATE_VERSION, false, "update version is not allowed") \
    X(96, FEATURE_UPDATE_FAILED, false, "features could not be updated") \
    X(97, PRINCIPAL_DESERIALIZATION_FAILURE, false, "forwarded principal could not be read") \
    X(98, SNAPSHOT_NOT_FOUND, false, "no such snapshot") \
    X(99, POSITION_OUT_OF_RANGE, false, "position is outside the snapshot") \
    X(100, UNKNOWN_TOPIC_ID, true, "no topic with this id here") \
    X(101, DUPLICATE_BROKER_REGISTRATION, false, "broker id is in use") \
    X(102, BROKER_ID_NOT_REGISTERED, false, "broker id is not registered") \
    X(103, INCONSISTENT_TOPIC_ID, true, "topic id is not that of the log") \
    X(104, INCONSISTENT_CLUSTER_ID, false, "cluster id is not ours") \
    X(105, TRANSACTIONAL_ID_NOT_FOUND, false, "no such transactional id") \
    X(106, FETCH_SESSION_TOPIC_ID_ERROR, true, "fetch session mixes topic ids and names") \
    X(107, INELIGIBLE_REPLICA, false, "replica may not join those in sync") \
    X(108, NEW_LEADER_ELECTED, false, "leader changed with this request") \
    X(109, OFFSET_MOVED_TO_TIERED_STORAGE, false, "offset is in tiered storage") \
    X(110, FENCED_MEMBER_EPOCH, false, "member epoch is not the coordinator's, join again") \
    X(111, UNRELEASED_INSTANCE_ID, false, "instance id is still in use") \
    X(112, UNSUPPORTED_ASSIGNOR, false, "assignor is not known") \
    X(113, STALE_MEMBER_EPOCH, false, "member epoch is old, heartbeat first") \
    X(114, MISMATCHED_ENDPOINT_TYPE, false, "request went to the wrong kind of endpoint") \
    X(115, UNSUPPORTED_ENDPOINT_TYPE, false, "kind of endpoint is not supported") \
    X(116, UNKNOWN_CONTROLLER_ID, false, "controller id is not known") \
    X(117, UNKNOWN_SUBSCRIPTION_ID, false, "telemetry subscription is not the current one") \
    X(118, TELEMETRY_TOO_LARGE, false, "telemetry is too large") \
    X(119, INVALID_REGISTRATION, false, "broker registration is not valid") \
    X(120, TRANSACTION_ABORTABLE, false, "transaction must be aborted") \
    X(121, INVALID_RECORD_STATE, false, "record is not in a state for this acknowledgement") \
    X(122, SHARE_SESSION_NOT_FOUND, true, "no such share session") \
    X(123, INVALID_SHARE_SESSION_EPOCH, true, "share session epoch is not the next one") \
    X(124, FENCED_STATE_EPOCH, false, "share state epoch is old") \
    X(125, INVALID_VOTER_KEY, false, "voter key does not fit") \
    X(126, DUPLICATE_VOTER, false, "voter is there already") \
    X(127, VOTER_NOT_FOUND, false, "no such voter") \
    X(128, INVALID_REGULAR_EXPRESSION, false, "regular expression is not valid") \
    X(129, REBOOTSTRAP_REQUIRED, false, "start again from the bootstrap servers") \
    X(130, STREAMS_INVALID_TOPOLOGY, false, "topology is not valid") \
    X(131, STREAMS_INVALID_TOPOLOGY_EPOCH, false, "topology epoch is not valid") \
    X(132, STREAMS_TOPOLOGY_FENCED, false, "topology epoch is old") \
    X(133, SHARE_SESSION_LIMIT_REACHED, true, "too many share sessions")
/* clang-format on */

#define KPROTO_ERROR_ENUM_ROW(number, name, retriable, text) KPROTO_ERROR_##name = (number),
enum kproto_error { KPROTO_ERROR_LIST(KPROTO_ERROR_ENUM_ROW) };
#undef KPROTO_ERROR_ENUM_ROW

/* For any number, also one that is no row: name and text of UNKNOWN_SERVER_ERROR then.
 * Static storage. */
const char *kproto_error_name(int16_t code);
const char *kproto_error_text(int16_t code);
bool kproto_error_is_retriable(int16_t code);

/* What a client is told about a failure that has no more specific answer. */
enum kproto_error kproto_error_from_base(enum base_err err);

#endif
