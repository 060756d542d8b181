"""The extensions of SMTP, each declared in one place: what EHLO says of it, the parameters it gives MAIL and RCPT, and how
they go on to the next hop. Pure."""
