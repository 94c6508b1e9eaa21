"""The engine: a Faust worker whose lanes carry records through the pipeline's steps in transactions."""
