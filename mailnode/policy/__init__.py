"""Policies: what may be accepted, asked at each stage of an SMTP session."""
