// Cases for kafkajs; see clients.py.
'use strict';

const assert = require('node:assert');
const {
    AssignerProtocol, CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka,
    PartitionAssigners, Partitioners, logLevel,
} = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const [bootstrap, chosen, topic] = process.argv.slice(2);
const WAIT_MS = 30000;
const group = `${topic}-group`;
const closing = [];
// JSON with mechanism, username and password, where the broker wants to know who is there.
const sasl = process.env.DMSD_SASL ? JSON.parse(process.env.DMSD_SASL) : undefined;

const kafka = new Kafka({
    clientId: 'kafkajs-interop', brokers: [bootstrap], logLevel: logLevel.NOTHING, sasl,
    retry: { retries: 3, initialRetryTime: 100 },
});

async function opened(client) {
    closing.push(client);
    await client.connect();
    return client;
}

const producer = (options) => opened(kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner, ...options,
}));
const admin = () => opened(kafka.admin());

function consumer(options) {
    return opened(kafka.consumer({
        groupId: group, sessionTimeout: 6000, heartbeatInterval: 200, maxWaitTimeInMs: 100,
        ...options,
    }));
}

// Resolves once condition gives something true.
async function until(what, condition) {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
        const value = await condition();
        if (value) {
            return value;
        }
        assert.ok(Date.now() < deadline, `not within ${WAIT_MS} ms: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

// Runs a member of the group; what it was given and what it read grow as it works.
async function member(options = {}, run = {}) {
    const one = { partitions: null, messages: [], joins: 0 };
    one.client = await consumer(options);
    one.client.on(one.client.events.GROUP_JOIN, ({ payload }) => {
        one.joins += 1;
        one.partitions = payload.memberAssignment[topic] || [];
    });
    await one.client.subscribe({ topics: [topic], fromBeginning: true });
    await one.client.run({
        eachMessage: run.eachBatch ? undefined : async ({ partition, message }) => {
            one.messages.push({ partition, ...message });
        },
        ...run,
    });
    return one;
}

const values = (messages) => messages.map(({ value }) => value && value.toString());
const numbers = (count) => [...Array(count).keys()].map(String);
const created = async (partitions = 4) => {
    const client = await admin();
    assert.ok(await client.createTopics({
        topics: [{ topic, numPartitions: partitions }], waitForLeaders: true,
    }));
    return client;
};

const cases = {
    async acks_0_1_and_all() {
        await created(1);
        const client = await producer();
        for (const acks of [1, -1, 0]) {
            const answers = await client.send({ topic, acks, messages: [{ value: `${acks}` }] });
            if (acks !== 0) {
                assert.strictEqual(answers[0].errorCode, 0);
                assert.strictEqual(answers[0].baseOffset, acks === 1 ? '0' : '1');
            }
        }
        const reader = await member();
        await until('three messages', () => reader.messages.length === 3);
        assert.deepStrictEqual(values(reader.messages), ['1', '-1', '0']);
    },

    async compression() {
        await created(1);
        const client = await producer();
        const messages = numbers(300).map((value) => ({ value }));
        for (const compression of [
            CompressionTypes.None, CompressionTypes.GZIP, CompressionTypes.Snappy,
        ]) {
            await client.send({ topic, compression, messages });
        }
        const reader = await member();
        await until('900 messages', () => reader.messages.length === 900);
        assert.deepStrictEqual(values(reader.messages),
            [...numbers(300), ...numbers(300), ...numbers(300)]);
        assert.deepStrictEqual(reader.messages.map(({ offset }) => offset), numbers(900));
    },

    async idempotent_producer() {
        await created(1);
        const client = await producer({ idempotent: true, maxInFlightRequests: 1 });
        for (const value of numbers(50)) {
            await client.send({ topic, messages: [{ value }] });
        }
        const reader = await member();
        await until('50 messages', () => reader.messages.length === 50);
        assert.deepStrictEqual(values(reader.messages), numbers(50));
    },

    async headers_keys_nulls_and_timestamps() {
        await created(1);
        const client = await producer();
        await client.send({
            topic,
            messages: [
                {
                    key: 'key', value: 'value', timestamp: '1234567890123',
                    headers: { one: 'first', many: ['a', 'b'], empty: '' },
                },
                { key: 'tombstone', value: null },
                { value: '' },
            ],
        });
        const reader = await member();
        await until('three messages', () => reader.messages.length === 3);
        const [first, second, third] = reader.messages;
        assert.strictEqual(first.key.toString(), 'key');
        assert.strictEqual(first.timestamp, '1234567890123');
        assert.strictEqual(first.headers.one.toString(), 'first');
        assert.deepStrictEqual(first.headers.many.map(String), ['a', 'b']);
        assert.strictEqual(first.headers.empty.length, 0);
        assert.deepStrictEqual([second.key.toString(), second.value], ['tombstone', null]);
        assert.deepStrictEqual([third.key, third.value.length], [null, 0]);
    },

    async partitioners() {
        await created(4);
        const java = await producer();
        const legacy = await producer({ createPartitioner: Partitioners.LegacyPartitioner });
        const own = await producer({ createPartitioner: () => () => 3 });
        for (const [client, key] of [[java, 'k'], [legacy, 'k']]) {
            const first = await client.send({ topic, messages: [{ key, value: '1' }] });
            const second = await client.send({ topic, messages: [{ key, value: '2' }] });
            assert.strictEqual(first[0].partition, second[0].partition);
        }
        const answers = await own.send({ topic, messages: [{ value: 'x' }] });
        assert.strictEqual(answers[0].partition, 3);
        const told = await java.send({ topic, messages: [{ partition: 2, value: 'x' }] });
        assert.strictEqual(told[0].partition, 2);
    },

    async many_topics_in_one_request() {
        const client = await producer();
        const topics = numbers(8).map((number) => `${topic}-${number}`);
        const answers = await client.sendBatch({
            topicMessages: topics.map((one) => ({ topic: one, messages: [{ value: one }] })),
        });
        assert.deepStrictEqual(answers.map((one) => one.topicName).sort(), topics);
        const reader = await consumer();
        const read = [];
        await reader.subscribe({ topics: [new RegExp(`^${topic}-`)], fromBeginning: true });
        await reader.run({ eachMessage: async (one) => read.push(one.topic) });
        await until('a message of each', () => read.length === 8);
        assert.deepStrictEqual(read.sort(), topics);
    },

    async group_rebalances_and_goes_on() {
        await created(4);
        const client = await producer();
        const first = await member();
        await until('all partitions', () => first.partitions && first.partitions.length === 4);
        const second = await member();
        await until('halves', () => first.partitions.length === 2 && second.partitions
            && second.partitions.length === 2);
        assert.deepStrictEqual([...first.partitions, ...second.partitions].sort(), [0, 1, 2, 3]);
        await client.send({
            topic, messages: numbers(40).map((value, at) => ({ value, partition: at % 4 })),
        });
        await until('all messages',
            () => first.messages.length + second.messages.length === 40);
        await second.client.disconnect();
        await until('all partitions again', () => first.partitions.length === 4);
        await client.send({
            topic, messages: numbers(4).map((value, at) => ({ value, partition: at })),
        });
        await until('the rest', () => first.messages.length + second.messages.length >= 44);
        const seen = [...first.messages, ...second.messages]
            .map(({ partition, offset }) => `${partition}:${offset}`);
        assert.strictEqual(new Set(seen).size, 44);
    },

    async offsets_are_committed_and_resumed() {
        await created(1);
        const client = await producer();
        await client.send({ topic, messages: numbers(10).map((value) => ({ value })) });
        const first = await member({}, { autoCommit: false });
        await until('ten messages', () => first.messages.length === 10);
        await first.client.commitOffsets([{ topic, partition: 0, offset: '7', metadata: 'mark' }]);
        await first.client.disconnect();
        const second = await member();
        await until('three messages', () => second.messages.length === 3);
        assert.deepStrictEqual(values(second.messages), ['7', '8', '9']);
        await second.client.disconnect(); // commits what it read
        const offsets = await (await admin()).fetchOffsets({ groupId: group, topics: [topic] });
        assert.strictEqual(offsets[0].partitions[0].offset, '10');
    },

    async batches_seek_pause_and_resume() {
        await created(1);
        const client = await producer();
        await client.send({ topic, messages: numbers(20).map((value) => ({ value })) });
        let read = [];
        const watermarks = new Set();
        const reader = await member({}, {
            eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
                watermarks.add(batch.highWatermark);
                for (const message of batch.messages) {
                    read.push(message);
                    resolveOffset(message.offset);
                }
                await heartbeat();
            },
        });
        await until('20 messages', () => read.length === 20);
        
        assert.deepStrictEqual([...watermarks], ['20']);
        read = [];
        reader.client.seek({ topic, partition: 0, offset: '15' });
        await until('five again', () => read.length === 5);
        reader.client.pause([{ topic }]);
        assert.strictEqual(reader.client.paused().length, 1);
        reader.client.resume([{ topic }]);
        reader.client.seek({ topic, partition: 0, offset: '19' });
        await until('one again', () => read.length === 6);
        assert.strictEqual(read[5].offset, '19');
    },

    async admin_topics() {
        const client = await created(2);
        assert.ok((await client.listTopics()).includes(topic));
        assert.strictEqual(await client.createTopics({ topics: [{ topic }] }), false);
        await client.createTopics({
            topics: [{ topic: `${topic}-never`, numPartitions: 1 }], validateOnly: true,
            waitForLeaders: false,
        });
        assert.ok(!(await client.listTopics()).includes(`${topic}-never`));
        await client.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
        const { topics } = await client.fetchTopicMetadata({ topics: [topic] });
        assert.strictEqual(topics[0].partitions.length, 5);
        await assert.rejects(
            client.createPartitions({ topicPartitions: [{ topic, count: 1 }] }),
            { type: 'INVALID_PARTITIONS' });
        await client.deleteTopics({ topics: [topic] });
        assert.ok(!(await client.listTopics()).includes(topic));
        await assert.rejects(client.deleteTopics({ topics: [topic] }));
    },

    async admin_configs_and_cluster() {
        const client = await admin();
        await client.createTopics({
            topics: [{
                topic, numPartitions: 1,
                configEntries: [{ name: 'retention.ms', value: '123456789' }],
            }],
        });
        const { resources } = await client.describeConfigs({
            includeSynonyms: true,
            resources: [
                { type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }],
        });
        assert.deepStrictEqual(
            resources[0].configEntries.map((one) => [one.configName, one.configValue]),
            [['retention.ms', '123456789']]);
        const all = await client.describeConfigs({
            includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
        });
        assert.ok(all.resources[0].configEntries.length > 1);
        const cluster = await client.describeCluster();
        assert.strictEqual(cluster.brokers.length, 1);
        assert.strictEqual(`${cluster.brokers[0].host}:${cluster.brokers[0].port}`, bootstrap);
        assert.strictEqual(cluster.controller, cluster.brokers[0].nodeId);
    },

    async admin_offsets() {
        const client = await created(2);
        const sender = await producer();
        await sender.send({
            topic,
            messages: numbers(10).map((value, at) => (
                { value, partition: 0, timestamp: String(1000000 + 1000 * at) })),
        });
        const plain = (rows) => rows.sort((a, b) => a.partition - b.partition)
            .map(({ offset, low, high }) => [offset, low, high]);
        assert.deepStrictEqual(plain(await client.fetchTopicOffsets(topic)),
            [['10', '0', '10'], ['0', '0', '0']]);
        const at = await client.fetchTopicOffsetsByTimestamp(topic, 1003500);
        assert.deepStrictEqual(at.sort((a, b) => a.partition - b.partition)
            .map(({ offset }) => offset), ['4', '0']);
        await client.setOffsets({
            groupId: group, topic, partitions: [{ partition: 0, offset: '4' }],
        });
        let found = await client.fetchOffsets({ groupId: group, topics: [topic] });
        assert.deepStrictEqual(found[0].partitions.find((one) => one.partition === 0).offset, '4');
        await client.resetOffsets({ groupId: group, topic, earliest: true });
        found = await client.fetchOffsets({ groupId: group, topics: [topic] });
        const at0 = found[0].partitions.find((one) => one.partition === 0);
        assert.strictEqual(at0.offset, '-2');
    },

    async admin_groups() {
        const client = await created(2);
        const reader = await member({ partitionAssigners: [PartitionAssigners.roundRobin] });
        await until('joined', () => reader.partitions && reader.partitions.length === 2);
        const { groups: listed } = await client.listGroups();
        assert.ok(listed.some((one) => (
            one.groupId === group && one.protocolType === 'consumer')));
        const described = (await client.describeGroups([group])).groups[0];
        assert.deepStrictEqual([described.state, described.protocol, described.members.length],
            ['Stable', 'RoundRobinAssigner', 1]);
        const { assignment } = AssignerProtocol.MemberAssignment.decode(
            described.members[0].memberAssignment);
        assert.deepStrictEqual(assignment[topic].sort(), [0, 1]);
        await assert.rejects(client.deleteGroups([group]), (error) => (
            error.groups[0].error.type === 'NON_EMPTY_GROUP'));
        await reader.client.disconnect();
        await client.deleteGroups([group]);
        assert.strictEqual((await client.describeGroups([group])).groups[0].state, 'Dead');
    },
};

async function main() {
    try {
        await cases[chosen]();
    } finally {
        await Promise.allSettled(closing.map((one) => one.disconnect()));
    }
}

if (bootstrap === '--list') {
    console.log(Object.keys(cases).join('\n'));
} else {
    main().catch((error) => {
        console.error(error);
        process.exitCode = 1;
    });
}
