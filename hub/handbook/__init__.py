"""What agencies read about the events: an AsyncAPI document and pages in both languages, from the catalogue."""
