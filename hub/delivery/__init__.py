"""Runs connectors: reads `out.<agency>`, hands batches to sinks, writes what receivers did, commits."""
