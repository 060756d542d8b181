"""What stands on the wire, both ways: octets in, commands out; responses to octets; and the numbers of messages. Pure."""
