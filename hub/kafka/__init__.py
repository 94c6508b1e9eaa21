"""Whoever speaks Kafka goes through this room: clients with safe settings, reading whole topics, brokers for one machine."""
