"""What FETCH and SEARCH say of messages: items, sections and keys read, planned, tested and rendered. Pure."""
