"""What stands on the wire, both ways: octets in, commands out; responses to octets. Pure."""
