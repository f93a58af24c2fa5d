#!/bin/bash
# librdkafka's own test suite, from Debian's source package and unmodified, against a running dmsd.
#
#   harness.py num.partitions=4 group.initial.rebalance.delay.ms=3000 \
#       -- librdkafka_suite.sh [NUMBER …]      default: all, half an hour
#
# ctest runs it with the label soak. The package is downloaded and built once, below DMSD_CACHE.
# Each test has a process of its own: those that pull the plug do so for all of a process. Some
# measure time, and want a machine that does nothing else.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${DMSD_CACHE:-$here/../build/interop-cache}/librdkafka-suite
skip=77

# What dmsd does not offer, or says no to on purpose.
declare -A left_out=(
    [0052]="asks with the message sets of Kafka 0.10, whose Produce versions Kafka gave up, too"
    [0055]="ends with transactions"
    [0077]="compacted topics"
    [0092]="AlterConfigs with message.format.version, which Kafka gave up, too"
    [0103]="transactions"
    [0109]="ACLs, by Kafka's own kafka-acls.sh"
    [0115]="ACLs, by Kafka's own kafka-acls.sh"
    [0119]="ACLs, by Kafka's own kafka-acls.sh"
    [0129]="transactions"
)
# Tests of which only some parts are run: those without transactions; all of the admin client but
# CreateTopics with compression.type, AlterConfigs, DeleteRecords and ACLs; all of rebalancing but
# four that delete a topic before the consumer has asked for offsets there. As what is deleted from
# dmsd is gone at once, that asks in vain, and librdkafka 2.0 then never ends (a reference to the
# partition is left over).
declare -A parts=(
    [0061]="without"
    [0081]="DeleteTopics CreatePartitions DescribeConfigs DeleteGroups ListConsumerGroups
        DescribeConsumerGroups DeleteConsumerGroupOffsets AlterConsumerGroupOffsets
        ListConsumerGroupOffsets unclean_destroy"
    [0113]="a_assign b_subscribe c_subscribe d_change e_change f_assign g_incremental k_add
        l_unsubscribe m_unsubscribe s_subscribe t_max u_multiple v_commit x_incremental"
)

# Sources need an entry deb-src, which the system may lack: lists of our own have one.
download() {
    local apt=$cache/apt system=/etc/apt/sources.list
    mkdir -p "$apt/lists/partial" "$apt/sources"
    if [ -e "$system" ]; then
        sed -n 's/^deb /deb-src /p' "$system" >"$apt/sources/own.list"
    fi
    if [ -e "$system.d/debian.sources" ]; then
        sed 's/^Types: .*/Types: deb-src/' "$system.d/debian.sources" >"$apt/sources/own.sources"
    fi
    local options=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources"
        -o "Dir::State::lists=$apt/lists" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update >/dev/null &&
        (cd "$cache" && apt-get "${options[@]}" source --download-only librdkafka >/dev/null)
}

build() {
    rm -rf "$cache/source"
    mkdir -p "$cache/source"
    tar xzf "$cache"/librdkafka_*.orig.tar.gz -C "$cache/source" --strip-components=1
    (cd "$cache/source" && ./configure --disable-gssapi && make -j"$(nproc)" libs &&
        make -j"$(nproc)" -C tests test-runner) >"$cache/build.log" 2>&1
}

# run_one NUMBER PART: true when it passed, or left itself out.
run_one() {
    local log="$cache/log.$1${2:+.$2}"
    if SUBTESTS=$2 TESTS=$1 TEST_KAFKA_VERSION=2.8.0 RDKAFKA_TEST_CONF="$cache/test.conf" \
        timeout 600 ./test-runner -p1 -K -L >"$log" 2>&1; then
        echo "$1${2:+ $2}: passed"
    else
        echo "$1${2:+ $2}: FAILED, see $log"
        sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -a 'failed at' | head -3 || true
        return 1
    fi
}

mkdir -p "$cache"
if [ ! -x "$cache/source/tests/test-runner" ]; then
    download || { echo "no Debian source packages from here"; exit $skip; }
    build || { tail -20 "$cache/build.log"; exit 1; }
fi
printf '%s\n' "metadata.broker.list=$DMSD_BOOTSTRAP" test.topic.random=true \
    test.timeout.multiplier=2 >"$cache/test.conf"
cd "$cache/source/tests"
numbers=("$@")
if [ ${#numbers[@]} = 0 ]; then
    mapfile -t numbers < <(find . -maxdepth 1 -name '0*-*.c*' -printf '%f\n' | cut -c1-4 | sort -u)
fi
failed=0
for number in "${numbers[@]}"; do
    if [ -n "${left_out[$number]:-}" ]; then
        echo "$number: left out: ${left_out[$number]}"
        continue
    fi
    for part in ${parts[$number]:-all}; do
        run_one "$number" "${part/#all/}" || failed=$((failed + 1))
    done
done
echo "$failed failed"
exit $((failed > 0))
