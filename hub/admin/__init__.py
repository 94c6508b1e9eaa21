"""What ops do to a hub from outside: topics, lag, dead letters, replay (with kafka-python)."""
