#!/bin/bash
# Installs packages (Debian 12), builds dmsd, starts it with no configuration, and
# shows produce and consume through both doors. Then dmsd stays in the foreground:
# Ctrl-C stops it.
#
#   ./interop/quickstart.sh               all of it
#   ./interop/quickstart.sh --demo-only   stops dmsd after the show
#
# dmsd keeps its data in ./dms-data and serves Kafka on 127.0.0.1:9092 and HTTP on
# 127.0.0.1:8080.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

packages=(gcc libc6-dev cmake ninja-build pkg-config libev-dev libjansson-dev
    libssl-dev libcurl4-openssl-dev
    zlib1g-dev liblz4-dev libzstd-dev libsnappy-dev uthash-dev kcat curl jq)

demo_only=no
case "${1:-}" in
"") ;;
--demo-only) demo_only=yes ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

kafka=127.0.0.1:9092
http=http://127.0.0.1:8080
project=0123456789abcdef0123456789abcdef
base=$http/v1.0/$project
ready_seconds_max=30
stamp=$(date +%s) # names of this run's queues

say() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

install_missing() {
    local missing=() package
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    say "Installing: ${missing[*]}"
    "${root[@]}" apt-get update -q &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${missing[@]}"
}

dmsd_pid=
stop() {
    [ -n "$dmsd_pid" ] || return 0
    kill -TERM "$dmsd_pid" 2>/dev/null
    wait "$dmsd_pid"
    echo "dmsd has stopped (status $?)."
    dmsd_pid=
}

# Starts dmsd and waits until /readyz says that both doors serve.
start() {
    say "Starting: build/release/dmsd"
    build/release/dmsd &
    dmsd_pid=$!
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    local deadline=$((SECONDS + ready_seconds_max))
    until curl -s -o /dev/null -f "$http/readyz"; do
        kill -0 "$dmsd_pid" 2>/dev/null || {
            wait "$dmsd_pid"
            dmsd_pid=
            fail "dmsd ended; its reason is above"
        }
        [ $SECONDS -lt $deadline ] || fail "dmsd is not ready after $ready_seconds_max s"
        sleep 0.1
    done
    # Another server on the port would answer too: ours must still be alive.
    kill -0 "$dmsd_pid" 2>/dev/null || fail "another program answers on $http"
}

# rest METHOD PATH [JSON]: one request, shown; the answer goes to $answer.
rest() {
    local method=$1 path=$2 body=${3:-}
    printf "$ curl -X %s '%s'" "$method" "$base$path"
    local arguments=(-sS --fail-with-body -X "$method" "$base$path")
    if [ -n "$body" ]; then
        printf " -d '%s'" "$body"
        arguments+=(-H 'Content-Type: application/json' -d "$body")
    fi
    printf '\n'
    answer=$(curl "${arguments[@]}") || fail "$method $path: $answer"
    [ -z "$answer" ] || jq -c . <<<"$answer"
}

# make_queue NAME MODE: a queue and a group on it; sets $queue, $topic and $group.
make_queue() {
    rest POST /queues "{\"name\":\"$1\",\"queue_mode\":\"$2\"}"
    queue=$(jq -r .id <<<"$answer")
    topic=$(jq -r '.kafka_topic // empty' <<<"$answer")
    rest POST "/queues/$queue/groups" '{"groups":[{"name":"readers"}]}'
    group=$(jq -r '.groups[0].id' <<<"$answer")
}

# take COUNT: consumes and acknowledges over REST until COUNT messages came.
take() {
    local left=$1 count acks
    while [ "$left" -gt 0 ]; do
        rest GET "/queues/$queue/groups/$group/messages?max_msgs=10&time_wait=10"
        count=$(jq length <<<"$answer")
        [ "$count" -gt 0 ] || fail "no message came"
        bodies+=$(jq -r '.[].message.body | tostring' <<<"$answer")$'\n'
        acks=$(jq -c '{message: [.[] | {handler, status: "success"}]}' <<<"$answer")
        rest POST "/queues/$queue/groups/$group/ack" "$acks"
        left=$((left - count))
    done
}

# kcat_shows TOPIC TEXT: all messages of the topic, with TEXT among them.
kcat_shows() {
    local format='%t [%p] at %o: %s\n' output
    printf "$ kcat -b %s -C -t %s -o beginning -e -q -f '%s'\n" "$kafka" "$1" "$format"
    output=$(kcat -b $kafka -C -t "$1" -o beginning -e -q -f "$format") || fail "kcat failed"
    echo "$output"
    grep -qF "$2" <<<"$output" || fail "kcat did not see: $2"
}

show_kafka() {
    say "1. The Kafka door: kcat produces, kcat consumes"
    local name=quickstart-$stamp
    printf '$ printf "one\\ntwo\\nthree\\n" | kcat -b %s -P -t %s\n' "$kafka" "$name"
    printf 'one\ntwo\nthree\n' | kcat -b $kafka -P -t "$name" || fail "kcat could not produce"
    kcat_shows "$name" three
}

show_rest() {
    say "2. The HTTP door: make a queue and a group, produce, consume, acknowledge"
    make_queue "quickstart-$stamp" NORMAL
    rest POST "/queues/$queue/messages" \
        '{"messages":[{"body":"hello"},{"body":{"order":42}}],"returnId":true}'
    bodies=
    take 2
    rest GET "/queues/$queue/groups"
    rest DELETE "/queues/$queue"
}

show_both() {
    say "3. Both doors, one queue: curl produces, kcat consumes"
    make_queue "quickstart-kafka-$stamp" KAFKA_HA
    rest POST "/queues/$queue/messages" '{"messages":[{"body":"from curl to kcat"}]}'
    kcat_shows "$topic" 'from curl to kcat'

    say "4. ... and the other way round (bodies are base64 here: Kafka values are bytes)"
    printf '$ echo "from kcat to curl" | kcat -b %s -P -t %s\n' "$kafka" "$topic"
    echo "from kcat to curl" | kcat -b $kafka -P -t "$topic" || fail "kcat could not produce"
    bodies=
    take 2
    say "Decoded:"
    while read -r body; do
        [ -z "$body" ] || { base64 -d <<<"$body" && echo; }
    done <<<"$bodies"
    rest DELETE "/queues/$queue"
}

install_missing || fail "could not install packages"
say "Building"
cmake --preset release -DDMSD_TESTS=OFF >/dev/null && cmake --build --preset release ||
    fail "the build failed"
start
show_kafka
show_rest
show_both
if [ "$demo_only" = yes ]; then
    stop
    exit 0
fi
say "dmsd serves Kafka on $kafka and HTTP on $http. Ctrl-C stops it."
wait "$dmsd_pid"
