"""How schemas change: what was released, what differs now, and whom that breaks."""
