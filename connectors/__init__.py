"""Connectors, one folder each; the folder's name is how one is asked for. See `hub.sdk`."""
