// Cases for segmentio/kafka-go; see clients.py. The topic has ten messages in partition 0.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"
)

const (
	wait       = 30 * time.Second
	partitions = 4
	messages   = 10
)

// What a case works with.
type run struct {
	bootstrap, topic, group string
}

var cases = map[string]func(*run){
	"metadata":                metadata,
	"offsets":                 offsets,
	"delete_topics":           deleteTopics,
	"group_shares_partitions": share,
	"offsets_are_committed":   commit,
	"old_requests_are_errors": old,
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for name := range cases {
			fmt.Println(name)
		}
		return
	}
	if len(os.Args) != 4 || cases[os.Args[2]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kafka-go --list | BOOTSTRAP CASE TOPIC")
		os.Exit(2)
	}
	cases[os.Args[2]](&run{os.Args[1], os.Args[3], os.Args[3] + "-group"})
}

func fail(format string, values ...interface{}) {
	panic(fmt.Sprintf(format, values...))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(what string, found, wanted interface{}) {
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		fail("%s: %v, wanted %v", what, found, wanted)
	}
}

func until(what string, condition func() bool) {
	for deadline := time.Now().Add(wait); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			fail("not within %v: %s", wait, what)
		}
	}
}

func (r *run) leader() *kafka.Conn {
	conn, err := kafka.DialLeader(context.Background(), "tcp", r.bootstrap, r.topic, 0)
	must(err)
	must(conn.SetDeadline(time.Now().Add(wait)))
	return conn
}

func metadata(r *run) {
	conn, err := kafka.Dial("tcp", r.bootstrap)
	must(err)
	found, err := conn.ReadPartitions(r.topic)
	must(err)
	equal("partitions", len(found), partitions)
	for _, one := range found {
		equal("leader", fmt.Sprintf("%s:%d", one.Leader.Host, one.Leader.Port), r.bootstrap)
	}
	broker, err := kafka.DefaultDialer.LookupLeader(context.Background(), "tcp", r.bootstrap,
		r.topic, partitions-1)
	must(err)
	equal("same broker", broker.ID, found[0].Leader.ID)
	must(conn.Close())
}

func offsets(r *run) {
	conn := r.leader()
	first, last, err := conn.ReadOffsets()
	must(err)
	equal("first and last", fmt.Sprint(first, last), fmt.Sprint(0, messages))
	offset, err := conn.ReadOffset(time.Unix(1, 0))
	must(err)
	equal("offset of long ago", offset, 0)
	offset, err = conn.Seek(3, kafka.SeekEnd)
	must(err)
	equal("three before the end", offset, messages-3)
	if _, err = conn.Seek(messages+1, kafka.SeekAbsolute); err != kafka.OffsetOutOfRange {
		fail("behind the end: %v", err)
	}
	must(conn.Close())
}

func deleteTopics(r *run) {
	conn, err := kafka.Dial("tcp", r.bootstrap)
	must(err)
	must(conn.DeleteTopics(r.topic))
	if err = conn.DeleteTopics(r.topic); err != kafka.UnknownTopicOrPartition {
		fail("deleted twice: %v", err)
	}
	must(conn.Close())
}

// A member of the group. Its fetches are refused (see old), all else of it works.
type member struct {
	*kafka.Reader
	lock       sync.Mutex
	partitions string // what it was given last, as it logs it
}

func (m *member) Write(line []byte) (int, error) {
	const given = "subscribed to partitions: "
	m.lock.Lock()
	defer m.lock.Unlock()
	if at := strings.Index(string(line), given); at >= 0 {
		m.partitions = strings.TrimSpace(string(line[at+len(given):]))
	}
	return len(line), nil
}

// Waits until it has so many partitions.
func (m *member) has(count int) {
	until(fmt.Sprint(count, " partitions"), func() bool {
		m.lock.Lock()
		defer m.lock.Unlock()
		return strings.Count(m.partitions, ":") == count
	})
}

func (r *run) join() *member {
	m := &member{}
	m.Reader = kafka.NewReader(kafka.ReaderConfig{Brokers: []string{r.bootstrap}, Topic: r.topic,
		GroupID: r.group, HeartbeatInterval: 200 * time.Millisecond,
		SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second,
		GroupBalancers: []kafka.GroupBalancer{kafka.RoundRobinGroupBalancer{},
			kafka.RangeGroupBalancer{}},
		Logger: log.New(m, "", 0)})
	return m
}

func share(r *run) {
	first := r.join()
	first.has(partitions)
	second := r.join()
	first.has(partitions / 2)
	second.has(partitions / 2)
	must(second.Close())
	first.has(partitions)
	must(first.Close())
}

// The second member goes on at what the first committed.
func commit(r *run) {
	reader := r.join()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	must(reader.CommitMessages(ctx, kafka.Message{Topic: r.topic, Partition: 0, Offset: 6}))
	must(reader.Close())
	reader = r.join()
	reader.has(partitions)
	if !strings.Contains(reader.partitions, "0:7") {
		fail("it went on at %s", reader.partitions)
	}
	must(reader.Close())
}

// Produce v2, Fetch v2 and CreateTopics v0: an error at once, not silence.
func old(r *run) {
	conn := r.leader()
	if _, err := conn.WriteMessages(kafka.Message{Value: []byte("old")}); err == nil {
		fail("a message in the old format was taken")
	}
	conn = r.leader()
	if _, err := conn.ReadMessage(1 << 20); err == nil {
		fail("a message in the old format was given")
	}
	conn = r.leader()
	err := conn.CreateTopics(kafka.TopicConfig{Topic: r.topic + "-new", NumPartitions: 1,
		ReplicationFactor: 1})
	if err == nil {
		fail("CreateTopics v0 was taken")
	}
	conn = r.leader()
	_, last, err := conn.ReadOffsets()
	must(err)
	equal("nothing was written", last, messages)
}
