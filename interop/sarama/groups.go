// Offsets, consumer groups and administration.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/Shopify/sarama"
)

func offsetsByTime(r *run) {
	r.create(1)
	producer := r.producer(settings())
	for i := int64(0); i < 10; i++ {
		message := r.message(0, fmt.Sprint(i))
		message.Timestamp = time.Unix(1000+i, 0)
		_, _, err := producer.SendMessage(message)
		must(err)
	}
	must(producer.Close())
	client := r.client(settings())
	for at, wanted := range map[int64]int64{sarama.OffsetOldest: 0, sarama.OffsetNewest: 10,
		1: 0, 1003000: 3, 1003001: 4, 1009000: 9} {
		offset, err := client.GetOffset(r.topic, 0, at)
		must(err)
		equal(fmt.Sprint("offset at ", at), offset, wanted)
	}
	must(client.Close())
}

func offsetManager(r *run) {
	r.create(2)
	for at, retention := range []time.Duration{0, time.Hour} { // OffsetCommit v1 and v2
		config := settings()
		config.Consumer.Offsets.CommitInterval = 10 * time.Millisecond
		config.Consumer.Offsets.Retention = retention
		client := r.client(config)
		manager, err := sarama.NewOffsetManagerFromClient(r.group, client)
		must(err)
		partition, err := manager.ManagePartition(r.topic, int32(at))
		must(err)
		next, _ := partition.NextOffset()
		equal("nothing committed", next, sarama.OffsetOldest)
		partition.MarkOffset(42, "a mark")
		must(partition.Close())
		must(manager.Close())

		manager, err = sarama.NewOffsetManagerFromClient(r.group, client)
		must(err)
		partition, err = manager.ManagePartition(r.topic, int32(at))
		must(err)
		next, metadata := partition.NextOffset()
		equal("committed", fmt.Sprint(next, metadata), fmt.Sprint(42, "a mark"))
		must(partition.Close())
		must(manager.Close())
		must(client.Close())
	}
}

// A member of a consumer group, and what it was given and read.
type member struct {
	lock     sync.Mutex
	topic    string
	claims   []int32
	messages []*sarama.ConsumerMessage
	group    sarama.ConsumerGroup
	stop     context.CancelFunc
	done     chan bool
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.claims = sorted(append([]int32{}, session.Claims()[m.topic]...))
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.lock.Lock()
		m.messages = append(m.messages, message)
		m.lock.Unlock()
		session.MarkMessage(message, "")
	}
	return nil
}

func (m *member) partitions() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.claims
}

func (m *member) read() []*sarama.ConsumerMessage {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]*sarama.ConsumerMessage{}, m.messages...)
}

func (m *member) leave() {
	m.stop()
	<-m.done
	must(m.group.Close())
}

func (r *run) join(strategy sarama.BalanceStrategy) *member {
	config := settings()
	config.Consumer.Group.Rebalance.Strategy = strategy
	group, err := sarama.NewConsumerGroup(r.addresses(), r.group, config)
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	m := &member{topic: r.topic, group: group, stop: stop, done: make(chan bool)}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{r.topic}, m); err != nil {
				fail("consume: %v", err)
			}
		}
	}()
	return m
}

func rebalance(r *run) {
	r.create(4)
	for _, strategy := range []sarama.BalanceStrategy{sarama.BalanceStrategyRange,
		sarama.BalanceStrategyRoundRobin} {
		first := r.join(strategy)
		until("all partitions", func() bool { return len(first.partitions()) == 4 })
		second := r.join(strategy)
		until("halves", func() bool {
			return len(first.partitions()) == 2 && len(second.partitions()) == 2
		})
		equal("together", sorted(append(append([]int32{}, first.partitions()...),
			second.partitions()...)), []int32{0, 1, 2, 3})
		for partition := int32(0); partition < 4; partition++ {
			r.fill(settings(), partition, 10)
		}
		until("messages", func() bool { return len(first.read())+len(second.read()) == 40 })
		second.leave()
		until("all again", func() bool { return len(first.partitions()) == 4 })
		for partition := int32(0); partition < 4; partition++ {
			r.fill(settings(), partition, 1)
		}
		until("the rest", func() bool { return len(first.read())+len(second.read()) >= 44 })
		first.leave()
		seen := map[string]bool{}
		for _, message := range append(first.read(), second.read()...) {
			seen[fmt.Sprint(message.Partition, ":", message.Offset)] = true
		}
		equal("distinct messages", len(seen), 44)
	}
}

func resume(r *run) {
	r.create(1)
	r.fill(settings(), 0, 10)
	first := r.join(sarama.BalanceStrategyRange)
	until("ten", func() bool { return len(first.read()) == 10 })
	first.leave()
	r.fill(settings(), 0, 3)
	second := r.join(sarama.BalanceStrategyRange)
	until("three", func() bool { return len(second.read()) == 3 })
	equal("first of the rest", second.read()[0].Offset, 10)
	second.leave()
}

func adminTopics(r *run) {
	r.create(2)
	admin := r.admin()
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	err, _ := admin.CreateTopic(r.topic, detail, false).(*sarama.TopicError)
	if err == nil || err.Err != sarama.ErrTopicAlreadyExists {
		fail("made twice: %v", err)
	}
	must(admin.CreateTopic(r.topic+"-never", detail, true))
	must(admin.CreatePartitions(r.topic, 5, nil, false))
	topics, failed := admin.DescribeTopics([]string{r.topic, r.topic + "-never"})
	must(failed)
	equal("partitions", len(topics[0].Partitions), 5)
	equal("only validated", topics[1].Err, sarama.ErrUnknownTopicOrPartition)
	must(admin.DeleteTopic(r.topic))
	topics, failed = admin.DescribeTopics([]string{r.topic})
	must(failed)
	equal("deleted", topics[0].Err, sarama.ErrUnknownTopicOrPartition)
	must(admin.Close())
}

func adminConfigs(r *run) {
	admin := r.admin()
	retention := "123456789"
	must(admin.CreateTopic(r.topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"retention.ms": &retention}}, false))
	brokers, _, err := admin.DescribeCluster() // Metadata v0 names no controller
	must(err)
	equal("brokers", len(brokers), 1)
	// Not admin.DescribeConfig, which sends version 0: Kafka gave it up with 4.0 (KIP-896).
	must(brokers[0].Open(settings()))
	for _, version := range []int16{1, 2} {
		answer, err := brokers[0].DescribeConfigs(&sarama.DescribeConfigsRequest{
			Version: version, IncludeSynonyms: true,
			Resources: []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: r.topic,
				ConfigNames: []string{"retention.ms"}}}})
		must(err)
		equal("entries", len(answer.Resources[0].Configs), 1)
		equal("retention", answer.Resources[0].Configs[0].Value, retention)
	}
	equal("address", brokers[0].Addr(), r.bootstrap)
	client := r.client(settings())
	controller, err := client.Controller()
	must(err)
	equal("controller", controller.ID(), brokers[0].ID())
	must(client.Close())
	must(admin.Close())
}

func adminGroups(r *run) {
	r.create(2)
	r.fill(settings(), 0, 5)
	reader := r.join(sarama.BalanceStrategyRange)
	until("five", func() bool { return len(reader.read()) == 5 })
	admin := r.admin()
	groups, err := admin.ListConsumerGroups()
	must(err)
	equal("type", groups[r.group], "consumer")
	described, err := admin.DescribeConsumerGroups([]string{r.group})
	must(err)
	equal("state", described[0].State, "Stable")
	for _, one := range described[0].Members {
		assignment, err := one.GetMemberAssignment()
		must(err)
		equal("assigned", sorted(assignment.Topics[r.topic]), []int32{0, 1})
	}
	equal("members", len(described[0].Members), 1)

	client := r.client(settings())
	coordinator, err := client.Coordinator(r.group)
	must(err)
	request := &sarama.DeleteGroupsRequest{Groups: []string{r.group}}
	answer, err := coordinator.DeleteGroups(request)
	must(err)
	equal("with a member", answer.GroupErrorCodes[r.group], sarama.KError(68)) // NON_EMPTY_GROUP
	reader.leave()
	offsets, err := admin.ListConsumerGroupOffsets(r.group, map[string][]int32{r.topic: {0, 1}})
	must(err)
	equal("committed", offsets.GetBlock(r.topic, 0).Offset, 5)
	equal("nothing committed", offsets.GetBlock(r.topic, 1).Offset, -1)
	answer, err = coordinator.DeleteGroups(request)
	must(err)
	equal("deleted", answer.GroupErrorCodes[r.group], sarama.ErrNoError)
	must(client.Close())
	must(admin.Close())
}
