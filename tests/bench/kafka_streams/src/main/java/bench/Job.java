package bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.GeneralSecurityException;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Decode, check, key and project one event. Reuses its buffers: one per task, not thread-safe. */
final class Job {
  static final int HEADER = 5;
  private final GenericDatumReader<GenericRecord> reader;
  private final int fin;
  private final int percent;
  private final View[] views;
  private final Mac mac;
  private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(256);
  private BinaryDecoder decoder;
  private BinaryEncoder encoder;
  private GenericRecord event;

  /** A projection: its schema, its fields' places in the event, its wire header. */
  private record View(GenericData.Record record, int[] places, GenericDatumWriter<GenericRecord> writer, byte[] header) {
    static View of(Schema event, Schema schema, int id) {
      int[] places = schema.getFields().stream().mapToInt(f -> event.getField(f.name()).pos()).toArray();
      byte[] header = {0, (byte) (id >>> 24), (byte) (id >>> 16), (byte) (id >>> 8), (byte) id};
      return new View(new GenericData.Record(schema), places, new GenericDatumWriter<>(schema), header);
    }
  }

  Job(Told told) {
    Schema schema = told.event();
    reader = new GenericDatumReader<>(schema);
    fin = schema.getField("fin").pos();
    percent = schema.getField("percent").pos();
    views = new View[] {View.of(schema, told.views()[0], told.ids()[0]), View.of(schema, told.views()[1], told.ids()[1])};
    try {
      mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec("b".repeat(32).getBytes(), "HmacSHA256"));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The event (reused by the next call), or null where it is refused. */
  GenericRecord decode(byte[] value) {
    try {
      decoder = DecoderFactory.get().binaryDecoder(value, HEADER, value.length - HEADER, decoder);
      event = reader.read(event, decoder);
      return decoder.isEnd() && sound() ? event : null;
    } catch (IOException | RuntimeException e) {
      event = null;
      return null;
    }
  }

  private boolean sound() {
    CharSequence text = (CharSequence) event.get(fin);
    Object value = event.get(percent);
    boolean ranged = value == null || ((Integer) value >= 0 && (Integer) value <= 100);
    return ranged && text.length() == 7 && text.chars().allMatch(c -> c >= '0' && c <= '9' || c >= 'A' && c <= 'Z');
  }

  /** The person's pseudonym: HMAC-SHA-256 of the FİN, cut to 128 bits, in hex. */
  String person(GenericRecord event) {
    byte[] digest = mac.doFinal(event.get(fin).toString().getBytes());
    return HexFormat.of().formatHex(digest, 0, 16);
  }

  byte[] project(GenericRecord event, int receiver) {
    View view = views[receiver];
    try {
      for (int i = 0; i < view.places.length; i++) view.record.put(i, event.get(view.places[i]));
      buffer.reset();
      buffer.write(view.header, 0, HEADER);
      encoder = EncoderFactory.get().binaryEncoder(buffer, encoder);
      view.writer.write(view.record, encoder);
      encoder.flush();
      return buffer.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
