"""Synthetic agencies and persons for a demo, and the audit that says whether a run was balanced.

`plan` is pure and deterministic; `run` sends what it plans; `balance` reads the topics back and shares no code
with the pipeline that it judges. Every person here is invented.
"""
