"""Groups of commands, one module each; `hub.cli` puts them together."""
