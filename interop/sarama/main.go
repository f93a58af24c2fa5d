// Cases for sarama; see clients.py.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/Shopify/sarama"
)

const wait = 30 * time.Second

// What a case works with.
type run struct {
	bootstrap, topic, group string
}

var cases = map[string]func(*run){
	"versions_of_the_protocol":       versions,
	"acks_and_offsets":               acks,
	"compression":                    compression,
	"zstd_needs_a_newer_produce":     zstd,
	"idempotent_producer":            idempotent,
	"async_producer":                 async,
	"partitioners":                   partitioners,
	"headers_keys_nulls_timestamps":  headers,
	"message_over_the_limit":         tooLarge,
	"consumer_starts_anywhere":       starts,
	"offsets_by_time":                offsetsByTime,
	"offset_manager":                 offsetManager,
	"group_rebalances_and_goes_on":   rebalance,
	"group_resumes_at_what_it_marks": resume,
	"admin_topics":                   adminTopics,
	"admin_configs_and_cluster":      adminConfigs,
	"admin_groups":                   adminGroups,
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for name := range cases {
			fmt.Println(name)
		}
		return
	}
	if len(os.Args) != 4 || cases[os.Args[2]] == nil {
		fmt.Fprintln(os.Stderr, "usage: sarama --list | BOOTSTRAP CASE TOPIC")
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

// Waits until condition is true.
func until(what string, condition func() bool) {
	for deadline := time.Now().Add(wait); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			fail("not within %v: %s", wait, what)
		}
	}
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "sarama-interop"
	config.Version = sarama.V2_2_0_0
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	if given := os.Getenv("DMSD_SASL"); given != "" {
		prove(config, given)
	}
	return config
}

func prove(config *sarama.Config, given string) {
	var sasl struct {
		Mechanism, Username, Password string
	}
	must(json.Unmarshal([]byte(given), &sasl))
	config.Net.SASL.Enable = true
	config.Net.SASL.Mechanism = sarama.SASLMechanism(sasl.Mechanism)
	config.Net.SASL.User = sasl.Username
	config.Net.SASL.Password = sasl.Password
}

func (r *run) addresses() []string {
	return []string{r.bootstrap}
}

func (r *run) client(config *sarama.Config) sarama.Client {
	client, err := sarama.NewClient(r.addresses(), config)
	must(err)
	return client
}

func (r *run) producer(config *sarama.Config) sarama.SyncProducer {
	producer, err := sarama.NewSyncProducer(r.addresses(), config)
	must(err)
	return producer
}

func (r *run) admin() sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin(r.addresses(), settings())
	must(err)
	return admin
}

func (r *run) create(partitions int32) {
	admin := r.admin()
	must(admin.CreateTopic(r.topic, &sarama.TopicDetail{
		NumPartitions: partitions, ReplicationFactor: 1}, false))
	must(admin.Close())
}

func (r *run) message(partition int32, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: r.topic, Partition: partition,
		Value: sarama.StringEncoder(value)}
}

// Sends "0" to "count - 1" to the partition.
func (r *run) fill(config *sarama.Config, partition int32, count int) {
	producer := r.producer(config)
	var messages []*sarama.ProducerMessage
	for i := 0; i < count; i++ {
		messages = append(messages, r.message(partition, fmt.Sprint(i)))
	}
	must(producer.SendMessages(messages))
	must(producer.Close())
}

// The next count messages of a partition.
func (r *run) read(config *sarama.Config, partition int32, offset int64,
	count int) []*sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer(r.addresses(), config)
	must(err)
	reader, err := consumer.ConsumePartition(r.topic, partition, offset)
	must(err)
	messages := take(reader, count)
	must(reader.Close())
	must(consumer.Close())
	return messages
}

func take(reader sarama.PartitionConsumer, count int) []*sarama.ConsumerMessage {
	var messages []*sarama.ConsumerMessage
	deadline := time.After(wait)
	for len(messages) < count {
		select {
		case message := <-reader.Messages():
			messages = append(messages, message)
		case <-deadline:
			fail("%d of %d messages in %v", len(messages), count, wait)
		}
	}
	return messages
}

func values(messages []*sarama.ConsumerMessage) []string {
	var found []string
	for _, message := range messages {
		found = append(found, string(message.Value))
	}
	return found
}

func numbers(from, to int) []string {
	var found []string
	for i := from; i < to; i++ {
		found = append(found, fmt.Sprint(i))
	}
	return found
}

func sorted(list []int32) []int32 {
	sort.Slice(list, func(a, b int) bool { return list[a] < list[b] })
	return list
}
