"""Commands by group, a module each; `hub.cli` lists them."""
