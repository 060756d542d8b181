"""What programs that judge mail say and hear, as octets."""
