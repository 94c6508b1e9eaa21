package bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import org.apache.avro.Schema;

/** What the driver wrote for all sides: the event's schema, the projections' schemas and ids. */
record Told(Schema event, Schema[] views, int[] ids) {
  static Told read(String file) throws IOException {
    JsonNode told = new ObjectMapper().readTree(new File(file));
    Schema[] views = new Schema[2];
    int[] ids = new int[2];
    for (int i = 0; i < 2; i++) {
      JsonNode view = told.get("views").get(i);
      views[i] = new Schema.Parser().parse(view.get("schema").toString());
      ids[i] = view.get("id").asInt();
    }
    return new Told(new Schema.Parser().parse(told.get("event").toString()), views, ids);
  }
}
