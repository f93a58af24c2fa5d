// Producing and reading.
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/sarama"
)

// Each Version makes it send other requests.
func versions(r *run) {
	r.create(1)
	all := []sarama.KafkaVersion{sarama.V0_11_0_0, sarama.V1_0_0_0, sarama.V1_1_0_0,
		sarama.V2_0_0_0, sarama.V2_2_0_0}
	for _, version := range all {
		config := settings()
		config.Version = version
		r.fill(config, 0, 3)
	}
	for _, version := range all {
		config := settings()
		config.Version = version
		messages := r.read(config, 0, sarama.OffsetOldest, 3*len(all))
		equal("last offset", messages[len(messages)-1].Offset, 3*len(all)-1)
	}
}

func acks(r *run) {
	r.create(1)
	for at, level := range []sarama.RequiredAcks{sarama.WaitForLocal, sarama.WaitForAll,
		sarama.NoResponse} {
		config := settings()
		config.Producer.RequiredAcks = level
		producer := r.producer(config)
		_, offset, err := producer.SendMessage(r.message(0, fmt.Sprint(at)))
		must(err)
		if level != sarama.NoResponse {
			equal("offset", offset, at)
		}
		must(producer.Close())
	}
	equal("messages", values(r.read(settings(), 0, 0, 3)), numbers(0, 3))
}

func compression(r *run) {
	r.create(1)
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP,
		sarama.CompressionSnappy, sarama.CompressionLZ4}
	for _, codec := range codecs {
		config := settings()
		config.Producer.Compression = codec
		config.Producer.Flush.Messages = 200
		config.Producer.Flush.Frequency = 50 * time.Millisecond
		r.fill(config, 0, 200)
	}
	for at, message := range r.read(settings(), 0, sarama.OffsetOldest, 200*len(codecs)) {
		equal("value", string(message.Value), fmt.Sprint(at%200))
		equal("offset", message.Offset, at)
	}
}

// It sends zstd in Produce v3, whose consumers need not know zstd: KIP-110 asks for v7.
func zstd(r *run) {
	const unsupportedCompressionType = sarama.KError(76)
	r.create(1)
	config := settings()
	config.Producer.Compression = sarama.CompressionZSTD
	producer := r.producer(config)
	_, _, err := producer.SendMessage(r.message(0, "zstd"))
	if err != unsupportedCompressionType {
		fail("zstd in Produce v3 gave %v", err)
	}
}

func idempotent(r *run) {
	r.create(2)
	config := settings()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	producer := r.producer(config)
	for i := 0; i < 40; i++ {
		_, offset, err := producer.SendMessage(r.message(int32(i%2), fmt.Sprint(i)))
		must(err)
		equal("offset", offset, i/2)
	}
	must(producer.Close())
	equal("messages", len(r.read(settings(), 1, 0, 20)), 20)
}

func async(r *run) {
	const count = 5000
	r.create(4)
	config := settings()
	config.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	config.Producer.Flush.Frequency = 10 * time.Millisecond
	producer, err := sarama.NewAsyncProducer(r.addresses(), config)
	must(err)
	go func() {
		for i := 0; i < count; i++ {
			producer.Input() <- r.message(0, fmt.Sprint(i))
		}
	}()
	next := map[int32]int64{}
	for i := 0; i < count; i++ {
		select {
		case message := <-producer.Successes():
			equal("offset", message.Offset, next[message.Partition])
			next[message.Partition]++
		case err := <-producer.Errors():
			panic(err)
		case <-time.After(wait):
			fail("%d of %d sent", i, count)
		}
	}
	must(producer.Close())
	for partition := int32(0); partition < 4; partition++ {
		equal("in a partition", next[partition], count/4)
		r.read(settings(), partition, 0, count/4)
	}
}

func partitioners(r *run) {
	r.create(4)
	for _, make := range []sarama.PartitionerConstructor{sarama.NewHashPartitioner,
		sarama.NewRandomPartitioner, sarama.NewRoundRobinPartitioner} {
		config := settings()
		config.Producer.Partitioner = make
		producer := r.producer(config)
		seen := map[int32]bool{}
		for i := 0; i < 20; i++ {
			message := r.message(0, "value")
			message.Key = sarama.StringEncoder("same")
			partition, _, err := producer.SendMessage(message)
			must(err)
			seen[partition] = true
		}
		if make("").RequiresConsistency() != (len(seen) == 1) {
			fail("%d partitions seen", len(seen))
		}
		must(producer.Close())
	}
}

func headers(r *run) {
	r.create(1)
	producer := r.producer(settings())
	at := time.Unix(1234567890, 123*1000*1000)
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: r.topic,
		Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("value"), Timestamp: at,
		Headers: []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("1")},
			{Key: []byte("a"), Value: []byte{0, 255}}}})
	must(err)
	_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: r.topic,
		Key: sarama.StringEncoder("tombstone")})
	must(err)
	must(producer.Close())
	messages := r.read(settings(), 0, 0, 2)
	first, second := messages[0], messages[1]
	equal("key", string(first.Key), "key")
	equal("time", first.Timestamp.UnixNano(), at.UnixNano())
	equal("headers", len(first.Headers), 2)
	equal("header", first.Headers[1].Value, []byte{0, 255})
	equal("tombstone", string(second.Key), "tombstone")
	if second.Value != nil {
		fail("a null value came back as %v", second.Value)
	}
}

func tooLarge(r *run) {
	r.create(1)
	config := settings()
	config.Producer.MaxMessageBytes = 4 << 20
	config.Producer.Retry.Max = 0
	producer := r.producer(config)
	_, _, err := producer.SendMessage(r.message(0, strings.Repeat("x", 2<<20)))
	if err != sarama.ErrMessageSizeTooLarge {
		fail("2 MiB gave %v", err)
	}
	_, _, err = producer.SendMessage(r.message(0, strings.Repeat("x", 1000000)))
	must(err)
	equal("size", len(r.read(settings(), 0, 0, 1)[0].Value), 1000000)
}

func starts(r *run) {
	r.create(1)
	r.fill(settings(), 0, 20)
	equal("oldest", values(r.read(settings(), 0, sarama.OffsetOldest, 20)), numbers(0, 20))
	equal("17", values(r.read(settings(), 0, 17, 3)), numbers(17, 20))
	config := settings()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	equal("committed", values(r.read(config, 0, 0, 20)), numbers(0, 20))

	consumer, err := sarama.NewConsumer(r.addresses(), settings())
	must(err)
	newest, err := consumer.ConsumePartition(r.topic, 0, sarama.OffsetNewest)
	must(err)
	r.fill(settings(), 0, 1)
	equal("newest", take(newest, 1)[0].Offset, 20)
	equal("high watermark", newest.HighWaterMarkOffset(), 21)
	_, err = consumer.ConsumePartition(r.topic, 0, 1000)
	if err != sarama.ErrOffsetOutOfRange {
		fail("offset 1000 gave %v", err)
	}
	must(newest.Close())
	must(consumer.Close())
}
