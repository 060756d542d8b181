"""The search index as bytes: terms of messages and in which of them they stand."""
