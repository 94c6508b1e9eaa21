package bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Two hops on Kafka Streams, exactly-once v2, one thread, state in memory with its changelog. */
public final class App {
  private static final int ID = 16;
  private static final int HEAD = 8 + 4 + 8; // version, effective day, sequence

  private App() {}

  /** Checks, and gives the event its person as key. */
  private static final class Gate implements Processor<byte[], byte[], String, byte[]> {
    private final Job job;
    private ProcessorContext<String, byte[]> context;

    Gate(Told told) {
      job = new Job(told);
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      GenericRecord event = job.decode(record.value());
      if (event != null) context.forward(new Record<>(job.person(event), record.value(), record.timestamp()));
    }
  }

  /** Drops what it knows, keeps the status, projects. A person's entry: the status as of the latest decision, then 16 bytes an id. */
  private static final class Ledger implements Processor<String, byte[], String, byte[]> {
    private final Job job;
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> persons;

    Ledger(Told told) {
      job = new Job(told);
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      persons = context.getStateStore("persons");
    }

    @Override
    public void process(Record<String, byte[]> record) {
      GenericRecord event = job.decode(record.value());
      byte[] id = identity(event.get("event_id").toString());
      byte[] before = persons.get(record.key());
      if (before != null && known(before, id)) return;
      byte[] after = after(before, event, id);
      persons.put(record.key(), after);
      send(record, job.project(event, 0), "one");
      send(record, job.project(event, 1), "two");
      send(record, Arrays.copyOf(after, HEAD), "status");
    }

    private void send(Record<String, byte[]> record, byte[] value, String sink) {
      context.forward(new Record<>(record.key(), value, record.timestamp()), sink);
    }
  }

  /** 16 bytes of the id: all of its digits that differ, without a digest to pay for. */
  private static byte[] identity(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return Arrays.copyOf(bytes, ID);
  }

  private static boolean known(byte[] entry, byte[] id) {
    for (int at = HEAD; at < entry.length; at += ID) if (Arrays.equals(entry, at, at + ID, id, 0, ID)) return true;
    return false;
  }

  private static byte[] after(byte[] before, GenericRecord event, byte[] id) {
    byte[] entry = before == null ? new byte[HEAD + ID] : Arrays.copyOf(before, before.length + ID);
    System.arraycopy(id, 0, entry, entry.length - ID, ID);
    ByteBuffer head = ByteBuffer.wrap(entry);
    int effective = (Integer) event.get("effective");
    head.putLong(0, head.getLong(0) + 1);
    if (effective >= head.getInt(8)) head.putInt(8, effective).putLong(12, (Long) event.get("seq"));
    return entry;
  }

  private static Topology topology(Told told, String[] topics) {
    Topology topology = new Topology();
    topology.addSource("in", new ByteArrayDeserializer(), new ByteArrayDeserializer(), topics[0]);
    topology.addProcessor("gate", () -> new Gate(told), "in");
    topology.addSink("passed", topics[1], new StringSerializer(), new ByteArraySerializer(), "gate");
    topology.addSource("events", new StringDeserializer(), new ByteArrayDeserializer(), topics[1]);
    topology.addProcessor("ledger", () -> new Ledger(told), "events");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("persons"), Serdes.String(), Serdes.ByteArray())
            .withCachingDisabled()
            .withLoggingEnabled(Map.of()),
        "ledger");
    topology.addSink("status", topics[2], new StringSerializer(), new ByteArraySerializer(), "ledger");
    topology.addSink("one", topics[3], new StringSerializer(), new ByteArraySerializer(), "ledger");
    topology.addSink("two", topics[4], new StringSerializer(), new ByteArraySerializer(), "ledger");
    return topology;
  }

  /** Told by the environment, as every side is. */
  public static void main(String[] args) throws Exception {
    Map<String, String> told = System.getenv();
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("BENCH_GROUP"));
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("BENCH_BOOTSTRAP"));
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.STATE_DIR_CONFIG, told.get("BENCH_FOLDER"));
    config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    String[] topics = told.get("BENCH_TOPICS").split(",");
    KafkaStreams streams = new KafkaStreams(topology(Told.read(told.get("BENCH_JOB")), topics), config);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.start();
    Thread.currentThread().join();
  }
}
