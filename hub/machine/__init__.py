"""A whole hub on one machine: its broker, its processes, and what people see of them."""
