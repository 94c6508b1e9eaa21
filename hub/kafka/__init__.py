"""Whoever speaks Kafka goes through this room: clients with safe settings, whole topics, brokers for one machine."""
