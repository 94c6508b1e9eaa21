"""The schema registry: schema ids as Confluent's registry keeps them, in the topic `_schemas`."""
