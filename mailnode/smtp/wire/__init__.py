"""What stands on the wire, both ways: octets in, events out; answers to octets; and the client's side. Pure."""
